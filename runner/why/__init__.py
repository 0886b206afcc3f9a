"""Which difference between two runs made the difference: mixtures of their records, run until the causes are alone."""
