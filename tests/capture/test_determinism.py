"""Libraries that compute the same each time: what is turned on, what is put back; imports, watched by several."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from anew.runner.capture import determinism
from anew.runner.capture.determinism import Determinism
from anew.runner.kernel.importing import ImportWatch
from tests.helpers.needs import marked

TORCH = """\
from torch import backends, cuda
state = {"mode": False, "warn_only": False, "threads": 4}
def use_deterministic_algorithms(mode, *, warn_only=False):
    state.update(mode=mode, warn_only=warn_only)
def are_deterministic_algorithms_enabled():
    return state["mode"]
def is_deterministic_algorithms_warn_only_enabled():
    return state["warn_only"]
def get_num_threads():
    return state["threads"]
def set_num_threads(n):
    if n < 1: raise RuntimeError("set_num_threads expects a positive integer")
    state["threads"] = n
def seen():
    flags = backends.cudnn
    return [state["mode"], state["warn_only"], flags.deterministic, flags.benchmark, state["threads"]]
"""
UNTOUCHED = [False, False, False, True, 4]
STRICT = [True, False, True, False, 4]
TORCH_SET = {"torch": "use_deterministic_algorithms, cudnn.deterministic, no cudnn.benchmark"}
VARIABLES = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "MKL_CBWR": "AUTO,STRICT",
    "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
}
VARIABLES_SET = {
    "cublas": "CUBLAS_WORKSPACE_CONFIG=:4096:8",
    "mkl": "MKL_CBWR=AUTO,STRICT",
    "xla": "XLA_FLAGS=--xla_gpu_deterministic_ops=true",
}


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """Libraries named as the real ones, with the switches of the real ones."""
    folder = tmp_path / "libraries"
    for package in ("torch/backends/cudnn", "torch/cuda", "tensorflow/config/experimental"):
        (folder / package).mkdir(parents=True)
    (folder / "torch/__init__.py").write_text(TORCH)
    (folder / "torch/backends/__init__.py").write_text("from torch.backends import cudnn\n")
    (folder / "torch/backends/cudnn/__init__.py").write_text("deterministic, benchmark = False, True\n")
    (folder / "torch/cuda/__init__.py").write_text("up = False\ndef is_initialized(): return up\n")
    (folder / "tensorflow/__init__.py").write_text("from tensorflow import config\n")
    (folder / "tensorflow/config/__init__.py").write_text("from tensorflow.config import experimental\n")
    (folder / "tensorflow/config/experimental/__init__.py").write_text(
        "calls = []\ndef enable_op_determinism(): calls.append(1)\n"
    )
    return folder


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as if nothing had been set or imported."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] in ("torch", "tensorflow", "jax")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setattr(determinism, "_READ", {})


def python(code: str, *paths: Path, **variables: str) -> Any:
    """Run code in a fresh Python with `d`, not started, which appends to `on_set`; return what it assigns to `said`."""
    whole = f"""\
import json, os, sys
from anew.runner.capture.determinism import Determinism
on_set = []
d = Determinism(deterministic=True, on_set=on_set.append)
{textwrap.dedent(code)}
print(json.dumps(said))
"""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    path = os.pathsep.join(str(folder) for folder in (*paths, *sys.path) if folder)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", whole],
        env=kept | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def started(deterministic: bool = True) -> tuple[Determinism, dict[str, str]]:
    """Return a Determinism at work, and what it has reported."""
    reported: dict[str, str] = {}
    at_work = Determinism(deterministic=deterministic, on_set=reported.update)
    at_work.start()
    return at_work, reported


def variables() -> dict[str, str]:
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


# --- variables --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("clean")
def test_variables_are_set_at_the_start_and_put_back_at_the_end() -> None:
    at_work, reported = started()
    assert variables() == VARIABLES
    assert reported == VARIABLES_SET
    assert at_work.warnings == ()
    at_work.close()
    assert variables() == {}


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("name", "before", "within"),
    [
        ("CUBLAS_WORKSPACE_CONFIG", ":16:8", ":16:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", ":4096:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ":0:0", ":4096:8"),
        ("CUBLAS_WORKSPACE_CONFIG", "", ":4096:8"),
        ("MKL_CBWR", "COMPATIBLE", "COMPATIBLE"),
        ("MKL_CBWR", "AVX2,STRICT", "AVX2,STRICT"),
        ("MKL_CBWR", "BRANCH=OFF", "AUTO,STRICT"),
        ("XLA_FLAGS", " ", "--xla_gpu_deterministic_ops=true"),
        ("XLA_FLAGS", "--xla_dump_to=/tmp/x", "--xla_dump_to=/tmp/x --xla_gpu_deterministic_ops=true"),
        ("XLA_FLAGS", "--xla_gpu_deterministic_ops", "--xla_gpu_deterministic_ops"),
        ("XLA_FLAGS", "--a=1 --xla_gpu_deterministic_ops=True", "--a=1 --xla_gpu_deterministic_ops=True"),
    ],
)
def test_a_variable_that_is_right_stays_and_any_other_is_put_back(
    name: str, before: str, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, before)
    at_work, reported = started()
    assert os.environ[name].strip() == within
    assert f"{name}={within}" in reported.values()
    assert at_work.warnings == ()
    at_work.close()
    assert os.environ[name] == before


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("value", ["--xla_gpu_deterministic_ops=false", "/etc/xla_flags"])
def test_flags_of_xla_that_are_the_users_own_choice_or_a_file_are_left_alone(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XLA ends the process when the file that XLA_FLAGS names cannot be read."""
    monkeypatch.setenv("XLA_FLAGS", value)
    at_work, reported = started()
    assert os.environ["XLA_FLAGS"] == value
    assert set(reported) == {"cublas", "mkl"}
    assert at_work.warnings == (
        f"xla may compute differently each time, since XLA_FLAGS is {value!r} and is left alone. "
        "Have it contain --xla_gpu_deterministic_ops=true.",
    )
    at_work.close()


@pytest.mark.usefixtures("clean")
def test_nothing_is_touched_when_nothing_is_asked_for() -> None:
    finders = list(sys.meta_path)
    at_work, reported = started(deterministic=False)
    assert (sys.meta_path, variables(), reported, at_work.warnings) == (finders, {}, {}, ())
    at_work.close()


@pytest.mark.usefixtures("clean")
def test_closing_twice_or_unstarted_changes_nothing_more() -> None:
    Determinism(deterministic=True, on_set=print).close()
    at_work, _ = started()
    at_work.close()
    os.environ["MKL_CBWR"] = "AVX2"
    at_work.close()
    assert os.environ["MKL_CBWR"] == "AVX2"


@pytest.mark.usefixtures("clean")
def test_a_run_within_a_run_leaves_the_outer_one_as_it_was() -> None:
    outer, _ = started()
    inner, reported = started()
    assert reported == VARIABLES_SET
    inner.close()
    assert variables() == VARIABLES
    outer.close()
    assert variables() == {}


# --- what cannot be done now ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "warns"), [("", True), ("random", True), ("0", False), ("12", False)])
def test_hashes_that_differ_from_process_to_process_are_warned_of(seed: str, warns: bool) -> None:
    warnings = python("d.start()\nsaid = d.warnings", PYTHONHASHSEED=seed)
    assert [text.partition(",")[0] for text in warnings] == [
        "The order of sets of texts differs from process to process"
    ] * warns
    assert all("PYTHONHASHSEED=0 python" in text for text in warnings)


def test_cuda_in_use_before_the_run_is_warned_of_unless_the_variable_was_there(libraries: Path) -> None:
    code = "import torch\ntorch.cuda.up = True\nd.start()\nsaid = [d.warnings, torch.seen()]"
    warnings, flags = python(code, libraries)
    assert flags == STRICT
    assert warnings == [
        "cublas may compute differently each time, since it was in use before the run began and has read "
        "CUBLAS_WORKSPACE_CONFIG already. Set CUBLAS_WORKSPACE_CONFIG=:4096:8 before Python starts, or use it only in "
        "main."
    ]
    assert python(code, libraries, CUBLAS_WORKSPACE_CONFIG=":16:8") == [[], STRICT]


def test_cuda_first_used_in_an_earlier_run_of_the_process_is_not_warned_of(libraries: Path) -> None:
    """The jobs of a sweep share a process: what the first has set in time holds for all."""
    code = """
        import torch
        d.start()
        torch.cuda.up = True
        d.close()
        again = Determinism(deterministic=True, on_set=on_set.append)
        again.start()
        said = [d.warnings, again.warnings]
    """
    said = python(code, libraries)
    assert said == [[], []]


@pytest.mark.usefixtures("clean")
def test_jax_in_use_before_the_run_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = types.ModuleType("jax._src.xla_bridge")
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", bridge)
    for is_up, count in ((False, 0), (True, 1)):
        vars(bridge)["backends_are_initialized"] = lambda is_up=is_up: is_up
        at_work, _ = started()
        at_work.close()
        assert len(at_work.warnings) == count
        assert all("Set XLA_FLAGS=--xla_gpu_deterministic_ops=true" in text for text in at_work.warnings)
    monkeypatch.setenv("XLA_FLAGS", "--a --b")
    at_work, _ = started()
    at_work.close()
    assert "Set XLA_FLAGS='--a --b --xla_gpu_deterministic_ops=true' before" in at_work.warnings[0]


# --- libraries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "import torch, tensorflow"])
def test_libraries_are_told_whether_imported_before_or_later(before: str, libraries: Path) -> None:
    said = python(
        f"""
        {before}
        d.start()
        import torch, tensorflow
        flags = torch.seen()
        d.close()
        d.close()
        said = [flags, torch.seen(), tensorflow.config.experimental.calls, on_set, d.warnings]
        """,
        libraries,
    )
    assert said == [STRICT, UNTOUCHED, [1], [VARIABLES_SET, TORCH_SET, {"tensorflow": "enable_op_determinism"}], []]


def test_an_import_inside_of_main_counts_and_one_after_the_run_does_not(libraries: Path) -> None:
    (libraries / "trainer.py").write_text("def fit():\n    import torch\n    return torch.seen()\n")
    assert python("d.start()\nimport trainer\nsaid = trainer.fit()", libraries) == STRICT
    assert python("d.start()\nimport trainer\nd.close()\nsaid = trainer.fit()", libraries) == UNTOUCHED


def test_a_program_that_has_asked_for_warnings_alone_keeps_them(libraries: Path) -> None:
    said = python(
        """
        import torch
        torch.use_deterministic_algorithms(True, warn_only=True)
        d.start()
        flags = torch.seen()
        d.close()
        said = [flags, torch.seen(), on_set[-1]["torch"]]
        """,
        libraries,
    )
    noted = "use_deterministic_algorithms (warn_only), cudnn.deterministic, no cudnn.benchmark"
    assert said == [[True, True, True, False, 4], [True, True, False, True, 4], noted]


def test_what_the_program_itself_sets_in_main_holds_until_the_run_ends(libraries: Path) -> None:
    said = python(
        """
        d.start()
        import torch
        torch.use_deterministic_algorithms(True, warn_only=True)
        flags = torch.seen()
        d.close()
        said = [flags, torch.seen()]
        """,
        libraries,
    )
    assert said == [[True, True, True, False, 4], UNTOUCHED]


@pytest.mark.parametrize("before", ["", "import torch"])
def test_torch_gets_the_threads_of_the_first_run_and_its_own_back(before: str, libraries: Path) -> None:
    said = python(
        f"""
        {before}
        d = Determinism(deterministic=False, torch_threads=3, on_set=on_set.append)
        d.start()
        import torch, tensorflow
        flags = torch.seen()
        d.close()
        said = [flags, torch.seen(), tensorflow.config.experimental.calls, on_set, d.warnings]
        """,
        libraries,
    )
    assert said == [[False, False, False, True, 3], UNTOUCHED, [], [], []]


def test_both_at_once(libraries: Path) -> None:
    said = python(
        """
        d = Determinism(deterministic=True, torch_threads=3, on_set=on_set.append)
        d.start()
        import torch
        said = [torch.seen(), on_set[-1]]
        """,
        libraries,
    )
    assert said == [[*STRICT[:4], 3], TORCH_SET]


def test_threads_that_torch_refuses_become_a_warning(libraries: Path) -> None:
    code = """
        d = Determinism(deterministic=True, torch_threads=0, on_set=on_set.append)
        d.start()
        import torch
        said = [torch.seen(), d.warnings]
    """
    flags, warnings = python(code, libraries)
    assert flags == STRICT
    assert warnings == [
        "torch was not given 0 threads (RuntimeError: set_num_threads expects a positive integer). "
        "Call torch.set_num_threads() in main to see why."
    ]


@pytest.mark.parametrize("text", ["", "def is_deterministic_algorithms_warn_only_enabled(): raise OSError('broken')"])
@pytest.mark.parametrize("first", ["d.start()\nimport torch", "import torch\nd.start()"])
def test_a_library_that_cannot_be_told_is_imported_all_the_same(text: str, first: str, libraries: Path) -> None:
    (libraries / "torch/__init__.py").write_text(f"{text}\nhere = True\n")
    here, warnings, reported = python(f"{first}\nd.close()\nsaid = [torch.here, d.warnings, on_set]", libraries)
    assert here
    assert reported == [VARIABLES_SET]
    assert len(warnings) == 1
    assert warnings[0].startswith("torch may compute differently each time (")
    assert warnings[0].endswith("Call torch.use_deterministic_algorithms(True) in main to see why.")


def test_a_flag_that_cannot_be_put_back_does_not_keep_the_others(libraries: Path) -> None:
    said = python(
        """
        d.start()
        import torch
        torch.state = None
        d.close()
        cudnn = torch.backends.cudnn
        said = [cudnn.deterministic, cudnn.benchmark, "MKL_CBWR" in os.environ]
        """,
        libraries,
    )
    assert said == [False, True, False]


def test_a_callback_that_fails_is_passed_over(libraries: Path) -> None:
    code = """
        d = Determinism(deterministic=True, on_set=lambda done: 1 / 0)
        d.start()
        import torch
        said = [torch.seen(), d.warnings]
    """
    assert python(code, libraries) == [STRICT, []]


def test_two_at_once_are_both_told_and_undone_from_the_last(libraries: Path) -> None:
    said = python(
        """
        d.start()
        inner_set = []
        inner = Determinism(deterministic=True, torch_threads=2, on_set=inner_set.append)
        inner.start()
        import torch
        flags = [torch.seen()]
        for each in (inner, d):
            each.close()
            flags.append(torch.seen())
        said = [flags, on_set[-1], inner_set[-1]]
        """,
        libraries,
    )
    assert said == [[[*STRICT[:4], 2], STRICT, UNTOUCHED], TORCH_SET, TORCH_SET]


@marked("torch", "torch==2.13.0")
def test_the_real_torch_is_told_refuses_and_is_put_back() -> None:
    said = python(
        """
        from anew.runner.capture.seeds import Seeder
        d = Determinism(deterministic=True, torch_threads=1, on_set=on_set.append)
        d.start()
        seeder = Seeder(7)
        seeder.apply()
        import torch
        cudnn = torch.backends.cudnn
        def seen():
            flags = [torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark]
            return flags + [torch.get_num_threads() == 1]
        def refused():
            try:
                torch.nn.MaxUnpool1d(2)(torch.ones(1, 1, 2), torch.tensor([[[0, 2]]]))
            except RuntimeError as error:
                return "does not have a deterministic implementation" in str(error)
        torch.rand(2) @ torch.rand(2)
        within = [seen(), refused(), "torch" in seeder.facts().seeded, d.warnings, on_set[-1]]
        d.close()
        said = [within, seen()[:3], refused(), type(torch.__loader__).__name__]
        """
    )
    assert said == [
        [[True, True, False, True], True, True, [], TORCH_SET],
        [False, False, False],
        None,
        "SourceFileLoader",
    ]


# --- imports, watched -------------------------------------------------------------------------------------------


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules `watched_*`, importable in this process until the test ends."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("watched_a", "watched_b"):
        (tmp_path / f"{name}.py").write_text("ready = True\n")
    finders = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders
    for name in ("watched_a", "watched_b"):
        sys.modules.pop(name, None)


def watch(*names: str) -> tuple[ImportWatch, list[str]]:
    """Return a watch at work, and the names it was told; a module that is not ready fails the test."""
    told: list[str] = []

    def loaded(name: str, module: types.ModuleType) -> None:
        assert module.ready
        told.append(name)

    watching = ImportWatch(names, loaded)
    watching.start()
    return watching, told


@pytest.mark.parametrize("close_first", [0, 1, 2])
@pytest.mark.usefixtures("modules")
def test_any_number_of_watches_are_told_and_closed_in_any_order(close_first: int) -> None:
    importlib.import_module("watched_a")
    watches = [watch("watched_a", "watched_b") for _ in range(3)]
    assert [told for _, told in watches] == [["watched_a"]] * 3
    watches[close_first][0].close()
    module = importlib.import_module("watched_b")
    assert [len(told) for _, told in watches] == [1 if i == close_first else 2 for i in range(3)]
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    before = len(sys.meta_path)
    for watching, _ in watches:
        watching.close()
        watching.close()
    assert len(sys.meta_path) == before - 2


@pytest.mark.usefixtures("modules")
def test_a_watch_closed_between_finding_and_loading_is_told_nothing_and_the_other_is() -> None:
    (first, first_told), (second, second_told) = watch("watched_a"), watch("watched_a")
    spec = importlib.util.find_spec("watched_a")
    assert spec is not None
    assert spec.loader is not None
    first.close()
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    second.close()
    assert (first_told, second_told) == ([], ["watched_a"])


@pytest.mark.usefixtures("modules")
def test_a_finder_of_others_that_asks_all_finders_gets_along() -> None:
    """It skips itself alone, and so comes back to the watch, which must not go round with it."""

    class Everyone:
        def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
            others = (finder for finder in sys.meta_path if finder is not self)
            return next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)

    watching, told = watch("watched_a")
    sys.meta_path.insert(0, Everyone())
    later, told_later = watch("watched_a")
    importlib.import_module("watched_a")
    assert (told, told_later) == (["watched_a"], ["watched_a"])
    later.close()
    watching.close()


@pytest.mark.usefixtures("modules")
def test_what_fails_in_the_callback_fails_no_import() -> None:
    def fail(name: str, module: types.ModuleType) -> None:
        raise ValueError(name)

    importlib.import_module("watched_a")
    watching = ImportWatch(["watched_a", "watched_b"], fail)
    watching.start()
    assert importlib.import_module("watched_b").ready
    watching.close()


def test_half_a_module_is_not_told_of(modules: Path) -> None:
    """A watch that starts inside of the import it waits for has come too late, and the one before it has not."""
    (modules / "watched_a.py").write_text("import watched_b\nready = True\n")
    (modules / "watched_b.py").write_text("import builtins\nbuiltins.start_within()\nready = True\n")
    within: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.start_within", lambda: within.append(watch("watched_a")[1]), raising=False)
        _, told = watch("watched_a")
        importlib.import_module("watched_a")
    assert (told, within) == (["watched_a"], [[]])


@pytest.mark.usefixtures("modules")
def test_imports_in_many_threads_are_told_once() -> None:
    watching, told = watch("watched_a", "watched_b")
    threads = [threading.Thread(target=importlib.import_module, args=(f"watched_{'ab'[i % 2]}",)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watching.close()
    assert sorted(told) == ["watched_a", "watched_b"]


def test_the_callback_takes_any_mapping() -> None:
    """For the type checker: what is reported may be handed on as it is."""

    def record(done: Mapping[str, str]) -> None: ...

    Determinism(deterministic=False, on_set=record).close()
