"""`python -m anew` is the command `anew` of this Python: for where that is not on PATH, or another's is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    from anew.runner import cli
else:
    cli = later("anew.runner.cli")

if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the working directory: no file there may stand for a module that is imported from here on
    sys.exit(cli.main())
