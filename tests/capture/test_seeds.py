"""One root seed, from which everything random follows, also in libraries that are imported later."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anew.runner.capture.seeds import LIMIT, Seeder, derive_seed, draw_seed, rng, seed_from_config
from anew.runner.errors import ConfigError
from anew.runner.records import SeedFacts


@pytest.fixture(autouse=True)
def streams() -> Iterator[None]:
    """Leave the random state of this process as it was."""
    before, numpy_before = random.getstate(), np.random.get_state()
    yield
    random.setstate(before)
    np.random.set_state(numpy_before)


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """Libraries named as the real ones, which note how they are seeded."""
    folder = tmp_path / "libraries"
    (folder / "tensorflow").mkdir(parents=True)
    (folder / "torch.py").write_text("seeds = []\ndef manual_seed(seed): seeds.append(seed)\n")
    (folder / "tensorflow" / "__init__.py").write_text("from tensorflow import random\n")
    (folder / "tensorflow" / "random.py").write_text("seeds = []\ndef set_seed(seed): seeds.append(seed)\n")
    return folder


def python(code: str, *paths: Path, **variables: str) -> Any:
    """Run code in a fresh Python after `seeder = Seeder(7)`; return what it assigns to `said`."""
    whole = f"""\
import json, sys
from anew.runner.capture.seeds import Seeder, derive_seed
seeder = Seeder(7)
{textwrap.dedent(code)}
print(json.dumps(said))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))} | variables
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", whole], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- seeds ------------------------------------------------------------------------------------------------------


def test_drawn_seeds_are_in_range_and_differ() -> None:
    seeds = {draw_seed() for _ in range(100)}
    assert len(seeds) > 95
    assert all(0 <= seed < LIMIT for seed in seeds)


def test_a_derived_seed_can_be_worked_out_by_hand() -> None:
    assert derive_seed(7, "numpy") == int(hashlib.sha256(b"7:numpy").hexdigest()[:8], 16)
    assert len({derive_seed(root, name) for root in range(50) for name in ("random", "numpy", "torch")}) == 150


@pytest.mark.parametrize("seed", [0, 1, LIMIT - 1])
def test_the_configuration_may_hold_the_seed(seed: int) -> None:
    assert seed_from_config({"seed": seed, "lr": 1}) == seed


@pytest.mark.parametrize("config", [{}, {"seed": None}, {"seed": "???"}, {"model": {"seed": 5}}])
def test_a_configuration_without_a_seed_has_none(config: dict[str, Any]) -> None:
    assert seed_from_config(config) is None


@pytest.mark.parametrize("seed", [-1, LIMIT, 1.0, "1", True, [1], {"a": 1}, float("nan")])
def test_a_seed_that_is_none_is_refused_with_what_would_be_right(seed: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        seed_from_config({"seed": seed})
    assert str(caught.value) == (
        f"seed={seed!r} cannot be the root seed, which is a whole number from 0 to 4294967295. "
        "Give one, such as seed=1, or leave it out to have one drawn."
    )


# --- streams ----------------------------------------------------------------------------------------------------


def drawn(root: int) -> tuple[list[float], list[float]]:
    seeder = Seeder(root)
    seeder.apply()
    seeder.close()
    return [random.random() for _ in range(5)], list(np.random.random(5))


def test_the_same_root_gives_the_same_streams_and_another_gives_others() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7)[0] != drawn(8)[0]
    assert drawn(7)[1] != drawn(8)[1]


def test_streams_can_be_repeated_by_hand() -> None:
    by_random, by_numpy = drawn(7)
    stream = random.Random(derive_seed(7, "random"))
    assert by_random == [stream.random() for _ in range(5)]
    assert by_numpy == list(np.random.RandomState(derive_seed(7, "numpy")).random_sample(5))
    assert by_random != by_numpy


def test_what_was_pinned_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    seeder = Seeder(7, "config")
    expected = SeedFacts(
        root=7,
        origin="config",
        seeded={"random": derive_seed(7, "random"), "numpy": derive_seed(7, "numpy")},
        hash_randomization="5",
    )
    assert seeder.apply() == expected
    seeder.close()
    assert seeder.facts() == expected


@pytest.mark.parametrize(("value", "said"), [("0", "0"), ("12", "12"), ("random", "random"), ("", "random")])
def test_the_seed_of_hashes_is_on_record(value: str, said: str) -> None:
    assert python("said = seeder.facts().hash_randomization", PYTHONHASHSEED=value) == said


def test_generators_by_name_depend_on_root_and_name_alone() -> None:
    first = {name: rng(7, name).random(4).tolist() for name in ("data", "noise", "ünï", "\udcff")}
    np.random.random(3)
    second = {name: rng(7, name).random(4).tolist() for name in reversed(first)}
    assert first == second
    assert len({values[0] for values in first.values()}) == 4
    assert rng(8, "data").random() != first["data"][0]


def test_generators_by_name_are_the_same_in_every_version() -> None:
    assert rng(7, "data").integers(0, 2**32, 3).tolist() == [2238421581, 4173544699, 3157891204]


# --- libraries imported later -----------------------------------------------------------------------------------


def test_numpy_imported_later_is_seeded_at_its_import() -> None:
    said = python("""
        assert "numpy" not in sys.modules, "importing seeds has imported numpy"
        calls = []
        first = dict(seeder.apply(lambda library, seed: calls.append([library, seed])).seeded)
        assert "numpy" not in sys.modules, "seeding has imported numpy"
        import numpy as np
        values = np.random.random(5).tolist()
        said = [sorted(first), sorted(seeder.facts().seeded), calls, values]
    """)
    assert said == [
        ["random"],
        ["numpy", "random"],
        [["numpy", derive_seed(7, "numpy")]],
        np.random.RandomState(derive_seed(7, "numpy")).random_sample(5).tolist(),
    ]


def test_torch_and_tensorflow_are_seeded_whether_imported_before_or_later(libraries: Path) -> None:
    code = """
        {before}
        seeder.apply()
        import torch, tensorflow
        said = [torch.seeds, tensorflow.random.seeds, dict(seeder.facts().seeded)]
    """
    seeds = {name: derive_seed(7, name) for name in ("random", "tensorflow", "torch")}
    for before in ("", "import torch, tensorflow"):
        said = python(code.format(before=before), libraries)
        assert said == [[seeds["torch"]], [seeds["tensorflow"]], seeds]


def test_an_import_inside_of_another_library_counts_too(libraries: Path) -> None:
    (libraries / "trainer.py").write_text("def fit():\n    import torch\n    return torch.seeds\n")
    assert python("seeder.apply()\nimport trainer\nsaid = trainer.fit()", libraries) == [derive_seed(7, "torch")]


def test_asking_whether_a_library_is_there_does_not_spend_its_seed(libraries: Path) -> None:
    said = python(
        """
        import importlib.util
        seeder.apply()
        spec = importlib.util.find_spec("torch")
        there = [spec.origin.endswith("torch.py"), "manual_seed" in spec.loader.get_source("torch")]
        assert "torch" not in sys.modules
        import torch
        said = [there, torch.seeds]
        """,
        libraries,
    )
    assert said == [[True, True], [derive_seed(7, "torch")]]


def test_an_import_that_fails_and_is_tried_again_is_seeded_the_second_time(libraries: Path) -> None:
    text = (libraries / "torch.py").read_text()
    (libraries / "torch.py").write_text("import sys\nif not hasattr(sys, 'again'): raise ImportError('once')\n" + text)
    said = python(
        """
        seeder.apply()
        try:
            import torch
        except ImportError as error:
            failed = str(error)
        sys.again = True
        import torch
        said = [failed, torch.seeds]
        """,
        libraries,
    )
    assert said == ["once", [derive_seed(7, "torch")]]


def test_the_loader_is_put_back_and_a_reload_works(libraries: Path) -> None:
    said = python(
        """
        import copy, importlib.util, inspect
        seeder.apply()
        spec = importlib.util.find_spec("torch")
        copy.copy(spec.loader)
        import torch
        names = [type(torch.__loader__).__name__, type(torch.__spec__.loader).__name__]
        again = importlib.reload(torch)
        said = [names, type(again.__loader__).__name__, "manual_seed" in inspect.getsource(torch), again.seeds]
        """,
        libraries,
    )
    assert said == [["SourceFileLoader"] * 2, "SourceFileLoader", True, []]


def test_a_lazy_import_is_seeded_when_it_wakes(libraries: Path) -> None:
    said = python(
        """
        import importlib.util
        seeder.apply()
        spec = importlib.util.find_spec("torch")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        torch = importlib.util.module_from_spec(spec)
        sys.modules["torch"] = torch
        spec.loader.exec_module(torch)
        asleep = "torch" not in seeder.facts().seeded
        said = [asleep, torch.seeds]
        """,
        libraries,
    )
    assert said == [True, [derive_seed(7, "torch")]]


@pytest.mark.parametrize(
    "text",
    ["", "def manual_seed(seed): raise ValueError('no device')", "def manual_seed(): pass", "manual_seed = 5"],
)
def test_a_library_that_cannot_be_seeded_is_imported_all_the_same(text: str, libraries: Path) -> None:
    (libraries / "torch.py").write_text(text + "\nhere = True\n")
    said = python("seeder.apply()\nimport torch\nsaid = [torch.here, sorted(seeder.facts().seeded)]", libraries)
    assert said == [True, ["random"]]
    said = python("import torch\nseeder.apply()\nsaid = [torch.here, sorted(seeder.facts().seeded)]", libraries)
    assert said == [True, ["random"]]


def test_a_callback_that_fails_does_not_break_the_import(libraries: Path) -> None:
    code = "seeder.apply(lambda library, seed: 1 / 0)\nimport torch\nsaid = torch.seeds"
    assert python(code, libraries) == [derive_seed(7, "torch")]


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed, so it is not missing")
def test_a_missing_library_is_missing_as_ever(libraries: Path) -> None:
    (libraries / "torch.py").unlink()
    said = python(
        """
        seeder.apply()
        try:
            import torch
        except ModuleNotFoundError as error:
            said = [str(error), error.name]
        """,
        libraries,
    )
    assert said == ["No module named 'torch'", "torch"]


def test_other_imports_are_not_touched(libraries: Path) -> None:
    said = python(
        """
        seeder.apply()
        hook = sys.meta_path[0]
        others = ["numpy", "torch.nn", "tensorflow.random", "colorsys"]
        found = [hook.find_spec(name, None) for name in others]
        import colorsys, email.message
        said = [found, type(colorsys.__loader__).__name__]
        """,
        libraries,
    )
    assert said == [[None] * 4, "SourceFileLoader"]


def test_finders_of_others_are_asked_in_their_order_and_odd_ones_passed_over(libraries: Path) -> None:
    said = python(
        """
        import importlib.abc, importlib.machinery, types
        class Loader(importlib.abc.Loader):
            def create_module(self, spec): return types.ModuleType(spec.name)
            def exec_module(self, module):
                module.seeds = ["custom"]
                module.manual_seed = module.seeds.append
        class Finder:
            def find_spec(self, name, path, target=None):
                if name == "torch":
                    return importlib.machinery.ModuleSpec(name, Loader())
        sys.meta_path[:0] = [object(), Finder()]
        seeder.apply()
        del sys.meta_path[1]
        sys.meta_path.append(object())
        import torch
        said = [torch.seeds, type(torch.__loader__).__name__]
        """,
        libraries,
    )
    assert said == [["custom", derive_seed(7, "torch")], "Loader"]


def test_after_closing_nothing_is_seeded_any_more(libraries: Path) -> None:
    said = python(
        """
        import importlib.util
        before = list(sys.meta_path)
        seeder.apply()
        spec = importlib.util.find_spec("torch")
        torch = importlib.util.module_from_spec(spec)
        seeder.close()
        seeder.close()
        spec.loader.exec_module(torch)
        import tensorflow
        said = [sys.meta_path == before, torch.seeds, tensorflow.random.seeds, sorted(seeder.facts().seeded)]
        """,
        libraries,
    )
    assert said == [True, [], [], ["random"]]


def test_closing_what_was_never_applied_does_nothing() -> None:
    before = list(sys.meta_path)
    Seeder(7).close()
    assert sys.meta_path == before
