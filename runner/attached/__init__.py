"""What a run has beside its numbers and its files."""
