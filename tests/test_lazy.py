"""What is made when it is first used is what it would have been."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from anew.runner import places
from anew.runner.lazy.patterns import regexp


def test_a_pattern_is_compiled_when_it_is_used_and_does_what_it_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    compiled = re.compile

    def noted(*given: Any) -> Any:
        made.append(given)
        return compiled(*given)

    monkeypatch.setattr(re, "compile", noted)
    lazy, eager = regexp(r"(?P<a>\d)b", re.IGNORECASE), compiled(r"(?P<a>\d)b", re.IGNORECASE)

    assert not made
    assert lazy.sub("x", "1B2b") == eager.sub("x", "1B2b") == "xx"
    assert (lazy.pattern, lazy.flags, lazy.groupindex) == (eager.pattern, eager.flags, eager.groupindex)
    assert [found["a"] for found in lazy.finditer("1b 2B")] == ["1", "2"]
    assert len(made) == 1
    monkeypatch.undo()
    assert pickle.loads(pickle.dumps(lazy)) == eager
    found = lazy.fullmatch("1b")
    assert found is not None
    assert found.re in (lazy,)
    assert found.re in {lazy}
    assert lazy == regexp(r"(?P<a>\d)b", re.IGNORECASE) != regexp(r"(?P<a>\d)b")
    assert copy.deepcopy(lazy).fullmatch("1b")
    with pytest.raises(AttributeError):
        getattr(lazy, "nothing")  # noqa: B009  # no pattern has it


def test_a_module_is_imported_when_something_of_it_is_used() -> None:
    code = (
        "import sys\n"
        "from anew.runner.lazy.modules import later\n"
        "csv = later('csv')\n"
        "assert 'csv' not in sys.modules\n"
        "assert csv.writer is __import__('csv').writer\n"
        "sys.modules['csv'].writer = 7\n"
        "assert csv.writer == 7\n"
        "try: csv.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit('it has nothing')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("given", [None, "", " ", "/somewhere/cache", "relative", "~/x"])
def test_the_folders_of_a_user_are_those_that_the_library_names(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("CACHE", "STATE"):
        monkeypatch.delenv(f"XDG_{kind}_HOME", raising=False)
        if given is not None:
            monkeypatch.setenv(f"XDG_{kind}_HOME", given)

    assert places.cache_folder() == Path(platformdirs.user_cache_path("anew"))
    assert places.state_folder() == Path(platformdirs.user_state_path("anew"))


def test_runs_do_without_sqlite(project: Path) -> None:
    """Where it is loaded files may be read past Python, so that each run would have all of the project's watched."""
    script = project / "fit.py"
    script.write_text(
        "import sys\n"
        "from anew import Experiment\n"
        "@Experiment('fit').main\n"
        "def main(lr: float = 0.1):\n"
        "    return lr\n"
        "main.run()\n"
        "main.run()\n"
        "print([name for name in sys.modules if 'sqlite' in name])\n"
    )
    done = subprocess.run([sys.executable, script], cwd=project, check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
