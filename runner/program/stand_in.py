"""Imported as `__mp_main__` in place of a program some of whose names were changed; becomes that program."""

from anew.runner.program.imported import begin_again

_file, _package, _code = begin_again()
globals().update(__file__=_file, __package__=_package, __spec__=None, __doc__=None)
exec(_code, globals())
