"""What values follow from, as far as source shows it."""

from __future__ import annotations

import sys
import textwrap

import pytest

from anew.runner.rerun.reached import surely_reached
from anew.runner.rerun.tracing import trace


def result(body: str) -> list[tuple[str, str]]:
    """The kind and the place of all that a main follows from."""
    traced = trace({"a.py": textwrap.dedent(body)})
    return sorted((each.kind, each.where) for each in traced.results["main"][""])


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("import numpy as np\ndef main():\n    return np.random.default_rng().normal()", ["unseeded"]),
        ("import numpy as np\ndef main():\n    return np.random.default_rng(None).normal()", ["unseeded"]),
        ("import numpy as np\ndef main():\n    return np.random.default_rng(7).normal()", []),
        ("import numpy as np\ndef main():\n    return np.random.normal()", []),
        ("from random import Random as R\ndef main():\n    return R().random()", ["unseeded"]),
        ("import random\ndef main():\n    return random.Random(3).random()", []),
        ("import random\ndef main():\n    return random.SystemRandom(3).random()", ["unseeded"]),
        ("import secrets\ndef main():\n    return secrets.token_hex()", ["unseeded"]),
        ("import time\ndef main():\n    t = time.time()\n    return time.time() - t", ["time", "time"]),
        ("import time\ndef main():\n    t = time.time()\n    return 3", []),
        ("import datetime as d\ndef main():\n    return str(d.datetime.now())", ["time"]),
        ("import time\ndef main():\n    n = 0\n    while time.time() < 3:\n        n += 1\n    return n", ["time"]),
        ("def main():\n    s = {'a', 'b'}\n    return [x for x in s]", ["hash"]),
        ("def main():\n    s = {'a', 'b'}\n    return sorted(s)", []),
        ("def main():\n    return len(set('abc'))", []),
        ("def main():\n    return list({1, 2})", []),
        ("import os\ndef main():\n    return os.listdir('.')", ["order"]),
        ("import os\ndef main():\n    return sorted(os.listdir('.'))", []),
        ("import tempfile\ndef main():\n    with tempfile.TemporaryDirectory() as d:\n        return d", ["temporary"]),
        ("import time\ndef f(x):\n    return x\ndef main():\n    return f(time.time())", ["time"]),
        (
            "import time\nclass A:\n    def f(s):\n        s.t = time.time()\ndef main(a):\n    return a.t",
            ["time"],
        ),
        ("import time\ndef main():\n    found = []\n    found.append(time.time())\n    return found", ["time"]),
        ("import os\ndef main():\n    return os.environ['A']", ["variable"]),
        ("import os\ndef main():\n    return os.environ.get('A', 'b')", ["variable"]),
        ("import os, time\ndef main():\n    return os.environ.get('A', time.time())", ["time", "variable"]),
        ("from os import getenv as g\nA = g('A')\ndef main():\n    return int(A)", ["variable"]),
        ("from os import environ\ndef main():\n    if 'A' in environ:\n        return 1\n    return 2", ["variable"]),
        ("import os\ndef main(name):\n    os.environ['A'] = 'b'\n    return os.environ[name]", []),
        ("from time import perf_counter as now\ndef main():\n    return now()", ["time"]),
    ],
)
def test_a_result_follows_from(body: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in result(body)] == kinds


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no except* before 3.11")
def test_a_block_of_except_star_is_followed() -> None:
    body = (
        "import time\ndef main():\n    try:\n        t = 1\n    except* OSError:\n        t = time.time()\n    return t"
    )
    assert [kind for kind, _ in result(body)] == ["time"]


def test_the_keys_of_what_is_returned_and_logged_are_told_apart() -> None:
    traced = trace(
        {
            "a.py": textwrap.dedent("""
            import time, uuid
            def main(run):
                begin = time.time()
                out = {"n": 3}
                out["took"] = time.time() - begin
                run.log({"loss": 1.0, "id": uuid.uuid4().int, "train": {"s": begin}})
                run.info({"when": begin, "what": 1})
                return out
            """)
        }
    )
    assert not traced.results["main"]["n"]
    assert {each.kind for each in traced.results["main"]["took"]} == {"time"}
    assert not traced.metrics["loss"]
    assert [each.where for each in traced.metrics["id"]] == ["a.py:7"]
    assert {each.kind for each in traced.metrics["train/s"]} == {"time"}
    assert {each.kind for each in traced.info["when"]} == {"time"}
    assert not traced.info["what"]


def test_it_is_followed_through_files() -> None:
    sources = {"noise.py": "import os\ndef salt():\n    return os.urandom(3)\n"}
    sources["a.py"] = "from noise import salt\ndef main():\n    return salt().hex()\n"
    assert [each.where for each in trace(sources).results["main"][""]] == ["noise.py:3"]


def test_what_is_no_python_is_passed_over() -> None:
    assert trace({"a.py": "def main(:", "b.py": "x = '\0'", "c.py": "(" * 500}).all == ()


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("def main(a):\n    if a:\n        f()\n    return g()", {2, 4}),
        ("def main(a):\n    if a:\n        return 1\n    return g()", {2}),
        ("def main(a):\n    if a:\n        raise OSError\n    return g()", {2, 4}),
        ("def f():\n    return c()\ndef main(a):\n    if a:\n        f()\n    return a", {4, 6}),
        ("def f():\n    return c()\ndef main(a):\n    return f()", {2, 4}),
        ("def f():\n    return c()\ndef main(a):\n    return list(map(f, a))", {2, 4}),
        ("class A:\n    def __init__(self):\n        c()\n    def g(self):\n        d()\ndef main():\n    A()", {3, 7}),
        ("class A:\n    def g(self):\n        d()\ndef main(a):\n    a.g()", {3, 5}),
        ("def main(a):\n    return 1 if a else (\n        c())", set()),
        ("def main(a):\n    return a and c()", set()),
        ("def main(a):\n    for x in a:\n        c()\n        if x:\n            continue\n        d()", {2, 3, 4}),
        ("def main(a):\n    try:\n        c()\n    except OSError:\n        d()", {3}),
        ("def main():\n    c()\nif __name__ == '__main__':\n    main()", {2, 3, 4}),
        ("def main(a):\n    while a():\n        c()\n    with b() as x:\n        d()", {2, 3, 4, 5}),
        ("def main(a):\n    match a():\n        case 1:\n            c()", {2}),
        ("def main(:", set()),
    ],
)
def test_a_line_is_sure_to_be_reached(body: str, lines: set[int]) -> None:
    assert surely_reached({"a.py": body}, ["main"]) == {f"a.py:{line}" for line in lines}
