"""What programs here import."""
