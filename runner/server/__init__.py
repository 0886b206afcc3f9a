"""The page of `anew ui`: a server of one store, over HTTP. Loaded as a whole by that command, and by nothing else."""
