"""What is made when it is first used, since most starts do without most of it."""
