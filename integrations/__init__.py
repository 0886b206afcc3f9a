"""
Small classes to hand to other libraries, which log into the run that is going on; a file for each library.

Each imports its library, which has to be installed, when it is imported itself: `anew.integrations.lightning`. Where
no run is going on, one is begun as by `anew.start`, and ends with the program.
"""
