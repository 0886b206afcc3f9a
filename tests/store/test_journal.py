"""The journal: what was acknowledged is read back, what is damaged is noticed, and nothing else is lost."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner.errors import StoreError
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal, read_points, tail
from tests.helpers.needs import needs


def writer(path: Path, **options: Any) -> JournalWriter:
    start = time.monotonic()
    return JournalWriter(path, clock=lambda: time.monotonic() - start, **options)


def entries(path: Path) -> list[dict[str, Any]]:
    found = list(iter_journal(path))
    assert not [item for item in found if isinstance(item, Flaw)]
    return found  # type: ignore[return-value]


def values(path: Path) -> list[dict[str, Any]]:
    return [entry["m"] for entry in entries(path)]


def test_a_line_is_json_with_its_number_first_and_its_checksum_last(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    journal.log({"train/loss": 0.113}, 900)
    line = (tmp_path / "a.jsonl").read_text()
    assert line.startswith('{"q":1,"k":"m","t":')
    assert list(json.loads(line)) == ["q", "k", "t", "s", "m", "c"]
    assert line.endswith('"}\n')


def test_numbers_of_every_kind_survive(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    given_values = {
        "nan": math.nan,
        "inf": math.inf,
        "minus": -math.inf,
        "zero": -0.0,
        "tiny": 5e-324,
        "big": 2**70,
        "true": True,
        "f32": np.float32(0.5),
        "i8": np.int8(-3),
        "zero_d": np.array(2.5),
        "decimal": Decimal("0.25"),
        "fraction": Fraction(1, 4),
    }
    assert journal.log(given_values) is None
    [kept] = values(tmp_path / "a.jsonl")
    assert kept == {
        "nan": "NaN",
        "inf": "Infinity",
        "minus": "-Infinity",
        "zero": 0.0,
        "tiny": 5e-324,
        "big": 2**70,
        "true": 1,
        "f32": 0.5,
        "i8": -3,
        "zero_d": 2.5,
        "decimal": 0.25,
        "fraction": 0.25,
    }
    assert math.copysign(1, kept["zero"]) == -1


@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(codec=None), max_size=8),
            st.one_of(st.floats(), st.integers()),
            min_size=1,
            max_size=5,
        ),
        max_size=5,
    )
)
def test_any_names_and_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, points: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("j") / "a.jsonl"
    journal = writer(path, durability_ms=0)
    for point in points:
        assert journal.log(point) is None
    journal.close()
    for kept, point in zip(values(path), points, strict=True):
        assert {name: repr(float(value) if isinstance(value, str) else value) for name, value in kept.items()} == {
            name: repr(value) for name, value in point.items()
        }


def test_what_is_no_number_is_refused_by_name_and_the_rest_is_kept(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    refused = journal.log({"a": 1.0, "b": "x", "c": None, "d": np.zeros(3), "e": 1j, 5: 1.0, "f": {"g": 2.0, "h": []}})  # type: ignore[dict-item]
    assert refused is not None
    assert set(refused) == {"b", "c", "d", "e", "5", "f/h"}
    assert refused["d"] == "a metric is one number, not an array of shape (3,)"
    assert values(tmp_path / "a.jsonl") == [{"a": 1.0, "f/g": 2.0}]


def test_a_value_whose_item_fails_is_refused(tmp_path: Path) -> None:
    class Broken:
        def item(self) -> float:
            raise RuntimeError("no device")

    refused = writer(tmp_path / "a.jsonl").log({"x": Broken()})
    assert refused == {"x": "a metric is one number, not a value of type Broken (no device)"}


def test_steps_are_counted_when_absent_and_may_repeat_and_go_back(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    journal.log({"x": 1.0})
    journal.log({"x": 1.0})
    journal.log({"y": 1.0})
    journal.log({"x": 1.0}, 10)
    journal.log({"x": 1.0, "y": 2.0})
    journal.log({"x": 1.0}, 3)
    journal.log({"x": 1.0}, np.int64(3))
    journal.log({"x": 1.0}, 4.0)  # type: ignore[arg-type]
    journal.log({"x": 1.0})
    assert [entry["s"] for entry in entries(tmp_path / "a.jsonl")] == [0, 1, 0, 10, 11, 3, 3, 4, 5]


class Hostile:
    """Whatever is asked of it fails, as with a proxy whose object is gone."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("gone")


def test_values_that_fail_when_looked_at_are_refused_and_nothing_is_raised(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    endless: dict[str, Any] = {}
    endless["again"] = endless
    bad = {
        "proxy": Hostile(),
        "signalling": Decimal("sNaN"),
        "huge fraction": Fraction(10**400),
        "digits": 10**5000,
        "complex": np.complex64(1),
        "text": np.array(["x"]),
        "endless": endless,
    }
    refused = journal.log({"good": 1.0, **bad})
    assert refused is not None
    assert len(refused) == len(bad)
    assert values(tmp_path / "a.jsonl") == [{"good": 1.0}]


def test_an_array_of_one_element_and_an_extended_float_are_numbers(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    assert journal.log({"one": np.array([[0.5]]), "long": np.longdouble(0.25), "truth": np.bool_(True)}) is None
    assert values(tmp_path / "a.jsonl") == [{"one": 0.5, "long": 0.25, "truth": 1}]


def test_a_torch_scalar_that_requires_a_gradient_is_a_number(tmp_path: Path) -> None:
    torch = needs("torch")
    journal = writer(tmp_path / "a.jsonl")
    assert journal.log({"loss": torch.tensor(0.5, requires_grad=True)}) is None
    assert values(tmp_path / "a.jsonl") == [{"loss": 0.5}]


def test_integers_are_exact_up_to_thousands_of_digits(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    numbers = [2**63 - 1, 2**63, -(2**63) - 1, 10**4200]
    for _ in range(2):
        assert journal.log({f"n{i}": number for i, number in enumerate(numbers)}) is None
    assert [list(kept.values()) for kept in values(tmp_path / "a.jsonl")] == [numbers, numbers]


def test_a_name_given_twice_in_one_call_keeps_the_first(tmp_path: Path) -> None:
    refused = writer(tmp_path / "a.jsonl").log({"train/loss": 1.0, "train": {"loss": 2.0, 3: 0.5}})
    assert refused == {"train/loss": "it was given twice in one call"}
    assert values(tmp_path / "a.jsonl") == [{"train/loss": 1.0, "train/3": 0.5}]


def test_ten_thousand_names_of_any_text_come_back(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    odd = ["", " ", "/", '"', "\\", "\n\0", "\ud800", "schön", "🙂"]
    names = [*odd, *(f"layer/{i}" for i in range(10_000))]
    for repeat in range(2):
        assert journal.log({name: i + repeat for i, name in enumerate(names)}) is None
    assert [list(kept) for kept in values(tmp_path / "a.jsonl")] == [names, names]
    for i, name in enumerate(odd):
        assert [value for _, _, value in read_points(tmp_path / "a.jsonl", name)] == [i, i + 1]


def test_the_greatest_step_has_no_successor(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    journal.log({"x": 1.0}, 2**63 - 1)
    journal.log({"x": 1.0})
    journal.log({"x": 1.0}, -(2**63))
    assert [entry["s"] for entry in entries(tmp_path / "a.jsonl")] == [2**63 - 1, 2**63 - 1, -(2**63)]


def test_time_never_goes_back(tmp_path: Path) -> None:
    times = iter([1.0, 0.5, 1.0000004, 2.0])
    journal = JournalWriter(tmp_path / "a.jsonl", clock=lambda: next(times))
    for _ in range(4):
        journal.log({"x": 1.0})
    assert [entry["t"] for entry in entries(tmp_path / "a.jsonl")] == [1.0, 1.0, 1.0, 2.0]


@pytest.mark.parametrize("step", ["1", 1.5, math.nan, None.__class__, True, 2**63])
def test_a_step_that_is_no_whole_number_is_refused(tmp_path: Path, step: Any) -> None:
    refused = writer(tmp_path / "a.jsonl").log({"x": 1.0}, step)
    assert refused is not None
    assert "step" in refused["x"]


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    threads = [
        threading.Thread(target=lambda n=n: [journal.log({f"t{n}": float(i)}, i) for i in range(10_000)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = entries(tmp_path / "a.jsonl")
    assert [entry["q"] for entry in found] == list(range(1, 80_001))
    times = [entry["t"] for entry in found]
    assert times == sorted(times)
    assert [value for t, s, value in read_points(tmp_path / "a.jsonl", "t3")] == [float(i) for i in range(10_000)]


@pytest.mark.parametrize("step", [None, 3, 2**40, -5, np.int64(7)])
def test_what_is_written_quickly_is_what_another_thread_writes(tmp_path: Path, step: Any) -> None:
    """The first thread has ways of its own for names that have come before."""
    points: list[dict[Any, Any]] = [
        *(
            {"a": each}
            for each in (1 / 7, 1e300, -0.0, 5, 2**62, 2**63, -(2**70), True, math.nan, math.inf, np.float32(2))
        ),
        *({"a": 1 / 7, "b": each} for each in (2.5, 5, -(2**62), 2**63, False, math.nan, -math.inf, Fraction(1, 4))),
        {"a": 1.0, "b": "x"},
        {},
        {"a": 1e308, "b": 1e308},
        {"%r": 0.5, "{a}": 1},
        {"b": {"c": 1.0}},
        {"x" * 70_000: 0.5},
    ]
    points += points

    def log(path: Path) -> list[Any]:
        journal = JournalWriter(path, clock=lambda: 7.25, origin=1.0)
        said = [journal.log(point, step) for point in points]
        journal.close()
        told = journal.told()
        assert told is not None
        return [said, repr(told.metrics)]

    ours = log(tmp_path / "a.jsonl")
    with ThreadPoolExecutor(1) as pool:
        journal = JournalWriter(tmp_path / "b.jsonl", clock=lambda: 7.25, origin=1.0)
        journal.log({"first": 0})

        def others() -> list[Any]:
            return [journal.log(point, step) for point in points]

        said = pool.submit(others).result()
    journal.close()
    told = journal.told()
    assert told is not None
    assert ours == [said, repr({name: each for name, each in told.metrics.items() if name != "first"})]

    def shown(path: Path) -> list[Any]:
        return [(entry["t"], entry["s"], repr(entry["m"])) for entry in entries(path)]

    assert shown(tmp_path / "a.jsonl") == shown(tmp_path / "b.jsonl")[1:]
    assert {t for t, _, _ in shown(tmp_path / "a.jsonl")} == {6.25}


def test_a_forked_child_goes_on_in_a_journal_of_its_own(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    journal.log({"x": 1.0})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert journal.forked
            journal.successor(tmp_path / "b.jsonl").log({"x": 2.0})
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not journal.forked
    journal.log({"x": 3.0})
    assert [entry["s"] for entry in entries(tmp_path / "a.jsonl")] == [0, 1]
    assert [entry["s"] for entry in entries(tmp_path / "b.jsonl")] == [1]


def test_two_writers_never_share_a_file(tmp_path: Path) -> None:
    writer(tmp_path / "a.jsonl")
    with pytest.raises(StoreError, match="File exists"):
        writer(tmp_path / "a.jsonl")


def test_a_closed_journal_says_that_its_run_has_ended(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")
    journal.close()
    journal.close()
    with pytest.raises(StoreError, match="its run has ended"):
        journal.log({"x": 1.0})


def test_an_exception_out_of_a_signal_handler_leaves_the_numbers_right(tmp_path: Path) -> None:
    """A handler may raise between the write and the counting of it."""
    script = f"""
import signal, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
path = Path({str(tmp_path)!r}) / "a.jsonl"
journal = JournalWriter(path, clock=time.monotonic)
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
for hit in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + hit * 1e-6)
        while True:
            journal.log({{"x": 1.0}})
    except KeyboardInterrupt:
        pass
journal.log({{"x": 1.0}})
assert not [item for item in iter_journal(path) if isinstance(item, Flaw)]
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# --- damage -----------------------------------------------------------------------------------------------------


def make(path: Path, count: int = 20) -> bytes:
    journal = writer(path)
    for i in range(count):
        journal.log({"x": float(i), "näme": i}, i)
    journal.close()
    return path.read_bytes()


def test_cut_at_any_byte_every_line_before_is_read(tmp_path: Path) -> None:
    data = make(tmp_path / "a.jsonl")
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    cut = tmp_path / "cut.jsonl"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        found = entries(cut)
        whole = sum(end <= length for end in ends)
        complete_but_for_its_newline = length + 1 in ends
        assert [entry["s"] for entry in found] == list(range(whole + complete_but_for_its_newline))


def test_flipped_bits_cost_only_their_lines(tmp_path: Path) -> None:
    data = make(tmp_path / "a.jsonl", 50)
    whole = {entry["q"]: entry for entry in entries(tmp_path / "a.jsonl")}
    dice = random.Random(1)
    path = tmp_path / "b.jsonl"
    for _ in range(500):
        damaged = bytearray(data)
        hit = {dice.randrange(len(data)) for _ in range(dice.randint(1, 3))}
        for at in hit:
            damaged[at] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        found = list(iter_journal(path))
        intact = [item for item in found if not isinstance(item, Flaw)]
        assert all(whole[entry["q"]] == entry for entry in intact)
        assert len(intact) >= 50 - 2 * len(hit)
        if len(intact) < 49:
            assert [item for item in found if isinstance(item, Flaw)]


@pytest.mark.parametrize(
    ("order", "said", "kept"),
    [
        ([1, 2, 5, 6], ["the entries 3 to 4 are missing"], [1, 2, 5, 6]),
        ([1, 3], ["entry 2 is missing"], [1, 3]),
        ([1, 2, 2, 3], ["entry 2 is here a second time"], [1, 2, 3]),
        ([1, 3, 2, 4], ["entry 2 is missing", "entry 2 stands behind entry 3"], [1, 3, 2, 4]),
        (
            [1, 3, 2, 2],
            ["entry 2 is missing", "entry 2 stands behind entry 3", "entry 2 is here a second time"],
            [1, 3, 2],
        ),
    ],
)
def test_lost_doubled_and_swapped_lines_are_noticed_and_no_point_counts_twice(
    tmp_path: Path, order: list[int], said: list[str], kept: list[int]
) -> None:
    lines = make(tmp_path / "a.jsonl", 6).splitlines(keepends=True)
    path = tmp_path / "b.jsonl"
    path.write_bytes(b"".join(lines[number - 1] for number in order))
    found = list(iter_journal(path))
    assert [item.what for item in found if isinstance(item, Flaw)] == said
    assert [item["q"] for item in found if not isinstance(item, Flaw)] == kept
    assert [value for _, _, value in read_points(path, "x")] == [number - 1.0 for number in kept]


# the same in each process that collects tests: they are called by it
_NOISE = random.Random(0).randbytes(5000)


@pytest.mark.parametrize("content", [b"", b"\n\n", _NOISE, b"[]\n", b'{"a":1}\n', b"x" * 100_000])
def test_rubbish_is_never_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert [item for item in iter_journal(path) if not isinstance(item, Flaw)] == []


def test_an_endless_line_is_passed_over_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anew.runner.store.lines.MAX_LINE", 1000)
    path = tmp_path / "a.jsonl"
    good = make(tmp_path / "b.jsonl", 2)
    path.write_bytes(b"x" * 10_500 + b"\n" + good)
    found = list(iter_journal(path))
    assert [type(item) for item in found] == [Flaw, dict, dict]


def test_a_follower_gets_whole_lines_only_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data = make(tmp_path / "a.jsonl", 3)
    path = tmp_path / "b.jsonl"
    path.write_bytes(data[:-5])
    first, offset = tail(path, 0)
    path.write_bytes(data)
    second, _ = tail(path, offset)
    assert [entry["q"] for entry in first + second] == [1, 2, 3]


def test_a_follower_gets_past_an_endless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anew.runner.store.lines.MAX_LINE", 1000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 10_500 + b"\n" + make(tmp_path / "b.jsonl", 3))
    offset = 0
    found: list[dict[str, Any]] = []
    while True:
        new, further = tail(path, offset)
        found += new
        if further == offset:
            break
        offset = further
    assert [entry["q"] for entry in found] == [1, 2, 3]
    assert offset == path.stat().st_size


# --- full disks -------------------------------------------------------------------------------------------------


def test_a_write_that_fails_is_taken_back_and_the_journal_goes_on(tmp_path: Path) -> None:
    script = f"""
import json, resource, signal, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from anew.runner.errors import StoreError
from anew.runner.store.journal import JournalWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = JournalWriter(Path({str(tmp_path)!r}) / "a.jsonl", clock=time.monotonic)
kept, failed = [], 0
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for i in range(200):
    try:
        journal.log({{"x": float(i)}}, i)
        kept.append(i)
    except StoreError as error:
        assert "a.jsonl" in str(error)
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.log({{"x": -1.0}}, 1000)
journal.close()
print(json.dumps([kept, failed]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    kept, failed = json.loads(done.stdout)
    assert failed > 0
    assert [entry["s"] for entry in entries(tmp_path / "a.jsonl")] == [*kept, 1000]


def test_the_limit_of_this_test_process_is_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# --- kill -9 ----------------------------------------------------------------------------------------------------


def _log_until_killed(path: Path, acknowledged: Any) -> None:
    journal = writer(path)
    i = 0
    while True:
        journal.log({"x": float(i)}, i)
        i += 1
        acknowledged.value = i


def kill_at_random(folder: Path, kills: int, seed: int = 0) -> None:
    """Kill writers at random instants; every acknowledged point must be there."""
    dice = random.Random(seed)
    context = multiprocessing.get_context("fork")
    for number in range(kills):
        acknowledged = context.Value("q", 0, lock=False)
        path = folder / f"{number}.jsonl"
        process = context.Process(target=_log_until_killed, args=(path, acknowledged))
        process.start()
        while not acknowledged.value:
            time.sleep(0.0002)
        time.sleep(dice.random() * 0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        steps = [entry["s"] for entry in entries(path)]
        assert steps == list(range(len(steps)))
        assert len(steps) >= acknowledged.value
        path.unlink()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_no_acknowledged_point_is_lost_in_200_kills(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 200)


def test_memory_stays_flat(tmp_path: Path) -> None:
    journal = writer(tmp_path / "a.jsonl")

    def memory() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    def log(count: int, call: Callable[..., Any] = journal.log) -> None:
        for i in range(count):
            call({"x": 0.5}, i)

    log(20_000)
    before = memory()
    log(100_000)
    assert memory() - before < 256
