"""What notebooks show, as HTML."""
