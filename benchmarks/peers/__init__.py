"""Other experiment trackers beside anew, each in an environment of its own."""
