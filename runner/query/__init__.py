"""Recorded runs as people and programs want to see them; of any store, and without running anything of a record."""
