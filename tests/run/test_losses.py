"""COMPLETED means that all of it is there: whatever a run could not record, or main took away, has it end as FAILED."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.errors import EXIT_UNKEPT
from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import Project, anew

LIMITED = """
import resource, shutil, multiprocessing
from anew.runner.errors import StoreError
def limit(size):
    # Python ignores the signal that comes with it
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
def many(run, name="x"):
    for step in range(300):
        run.log({name: float(step)}, step)
def overwrite(path, place):
    with open(path, "r+b") as file:
        file.seek(place); file.write(b"@")
def in_fork(work):
    child = os.fork()
    if child == 0:
        try: work()
        finally: os._exit(0)
    os.waitpid(child, 0)
def in_child(limited):
    run = anew.current_run()
    if limited:
        limit(2000)
    many(run, "child")
"""
ROOTS = {"forked child without rights", "forked child with another root"}
JOURNAL = "journal = run.dir.parent / 'events' / 'main.jsonl'"

# what main does -> what the record says of it
LOSSES = {
    "limit": ("limit(8000); many(run)", "records could not be written, and are missing"),
    "limit of nothing": ("limit(0); run.log({'x': 1})", "could not be written"),
    "events": ("many(run); shutil.rmtree(run.dir.parent / 'events')", "events' was removed"),
    "journal": (f"many(run); {JOURNAL}; journal.unlink(); many(run)", "main.jsonl', with 6"),
    "journal replaced": (f"many(run); {JOURNAL}; journal.unlink(); journal.touch()", "is another file by now"),
    "journal cut": (f"many(run); {JOURNAL}; os.truncate(journal, 100)", "was cut short: it has"),
    "record": ("many(run); (run.dir.parent / 'run.json').unlink()", "run.json' was removed"),
    "record cut": ("os.truncate(run.dir.parent / 'run.json', 100)", "run.json' was changed"),
    "record changed": ("overwrite(run.dir.parent / 'run.json', 300)", "run.json' was changed"),
    "journal changed": (f"many(run); {JOURNAL}; overwrite(journal, 800)", "main.jsonl' was changed"),
    "long journal changed near its end": (
        f"[many(run) for _ in range(60)]; {JOURNAL}; overwrite(journal, journal.stat().st_size - 3000)",
        "main.jsonl' was changed while the run went on: 1 of its lines",
    ),
    "output": ("print('said'); (run.dir.parent / 'output.log').unlink()", "output.log' was removed"),
    "output cut": (
        "print('said', flush=True); time.sleep(0.3); log = run.dir.parent / 'output.log'; log.unlink(); log.touch()",
        "output.log' was removed, replaced or cut short",
    ),
    "content": (
        "run.log_artifact('train.py'); shutil.rmtree(run.dir.parents[1] / 'objects')",
        "train.py is gone from the store",
    ),
    "artifact": (
        "(run.dir / 'big').write_bytes(bytes(9000)); limit(8000)\n"
        "    try: run.log_artifact(run.dir / 'big')\n"
        "    except StoreError: pass",
        "the artifact 'big' was not kept",
    ),
    "input": (
        "(run.dir / 'big').write_bytes(bytes(9000)); limit(8000)\n"
        "    try: run.input(run.dir / 'big')\n"
        "    except StoreError: pass",
        "was not kept",
    ),
    "exit": ("limit(8000); many(run); sys.exit(0)", "records could not be written"),
    "forked child": (
        "child = os.fork()\n    if child == 0:\n        limit(2000); many(run); os._exit(0)\n    os.waitpid(child, 0)",
        "a child process could not write all",
    ),
    "forked child's journal": (
        "child = os.fork()\n"
        "    if child == 0:\n"
        "        many(run); os._exit(0)\n"
        "    os.waitpid(child, 0); [each.unlink() for each in (run.dir.parent / 'events').glob('p*.jsonl')]",
        "of a child process is gone",
    ),
    "forked child without rights": (
        "for each in run.dir.parents: each.chmod(0o755)\n"
        "    in_fork(lambda: (os.setgid(65534), os.setuid(65534), many(run)))",
        "a child process could not write all",
    ),
    "forked child with another root": (
        "(run.dir / 'root').mkdir(); in_fork(lambda: (os.chroot(run.dir / 'root'), os.chdir('/'), many(run)))",
        "a child process could not write all",
    ),
    "forked child without descriptors": (
        "in_fork(lambda: (resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)), many(run)))",
        "a child process could not write all",
    ),
    "forked child while the folder is away": (
        "events = run.dir.parent / 'events'; events.rename(run.dir / 'away')\n"
        "    in_fork(lambda: many(run)); (run.dir / 'away').rename(events)",
        "a child process could not write all",
    ),
    "forked child's artifact while the folder is away": (
        "events = run.dir.parent / 'events'; events.rename(run.dir / 'away')\n"
        "    in_fork(lambda: run.log_artifact('train.py')); (run.dir / 'away').rename(events)",
        "a child process could not write all",
    ),
    "forked child's journal cut": (
        "in_fork(lambda: many(run, 'child'))\n"
        "    (journal,) = (run.dir.parent / 'events').glob('p*.jsonl')\n"
        "    os.truncate(journal, journal.read_bytes().index(b'\\n', 900) + 1)",
        "of a child process was cut short: it ends with record",
    ),
    "journal of a forked child's forked child cut": (
        "in_fork(lambda: (many(run, 'child'), in_fork(lambda: many(run, 'grandchild'))))\n"
        "    for journal in (run.dir.parent / 'events').glob('p*.jsonl'):\n"
        "        if b'grandchild' in journal.read_bytes(): os.truncate(journal, 0)",
        "of a child process was cut short: it ends with record 0 of 300",
    ),
    "spawned child": (
        "child = multiprocessing.get_context('spawn').Process(target=in_child, args=(True,))\n"
        "    child.start(); child.join()",
        "a child process could not write all",
    ),
}


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def write(trial: Project, body: str, name: str = "train.py") -> None:
    """Write a script whose main does *body*."""
    trial.write(f"{LIMITED}\n@experiment.main\ndef main(lr: float = 0.1, *, run: Run):\n    {body}\n", name)


@pytest.mark.parametrize("name", LOSSES)
def test_a_run_with_a_hole_ends_as_failed_and_says_why(trial: Project, name: str) -> None:
    if name in ROOTS and os.getuid():
        pytest.skip("only root may do that")
    body, why = LOSSES[name]
    write(trial, body)
    done = trial.run(code=EXIT_UNKEPT)
    record = trial.record(1)

    assert record.status is Status.FAILED
    assert record.exit_code == EXIT_UNKEPT
    assert record.error is not None
    assert record.error.type == "anew.runner.errors.UnkeptError"
    assert why in record.error.message
    assert any(why in text for text in record.warnings)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("anew: Run 1 is FAILED, since main returned and not all of it is on record: ")
    assert why in last
    assert "COMPLETED after" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not [each.name for each in (trial.folder / "runs" / "1").rglob(".*") if each.name != ".hydra"]


def test_what_is_written_by_children_and_by_all_is_no_hole(trial: Project) -> None:
    write(
        trial,
        "many(run)\n    child = os.fork()\n    if child == 0:\n        many(run, 'forked'); os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    child = multiprocessing.get_context('spawn').Process(target=in_child, args=(False,))\n"
        "    child.start(); child.join(); run.log_artifact('train.py'); run.input('train.py')",
    )
    trial.run()
    record = trial.record(1)

    assert record.status is Status.COMPLETED
    assert not record.warnings
    assert [record.metrics[name].count for name in ("x", "forked", "child")] == [300, 300, 300]


def test_an_artifact_that_was_kept_at_the_second_attempt_is_no_hole(trial: Project) -> None:
    write(
        trial,
        "(run.dir / 'big').write_bytes(bytes(9000)); before = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))\n"
        "    try: run.log_artifact(run.dir / 'big')\n"
        "    except StoreError: resource.setrlimit(resource.RLIMIT_FSIZE, before); run.log_artifact(run.dir / 'big')",
    )
    trial.run()

    assert trial.record(1).status is Status.COMPLETED


def test_with_warn_such_a_run_is_completed_with_a_warning(trial: Project) -> None:
    write(trial, "limit(8000); many(run); return 7")
    done = trial.run("anew.on_loss=warn")
    record = trial.record(1)

    assert (record.status, record.result) == (Status.COMPLETED, 7)
    assert any("could not be written, and are missing" in text for text in record.warnings)
    assert "could not be written, and are missing" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("anew: run 1 COMPLETED after")


def test_what_main_raises_stays_the_error(trial: Project) -> None:
    write(trial, "limit(8000); many(run); raise ValueError('mine')")
    trial.run(code=1)
    record = trial.record(1)

    assert record.error is not None
    assert (record.error.type, record.error.message) == ("ValueError", "mine")
    assert any("could not be written, and are missing" in text for text in record.warnings)


def test_a_run_whose_whole_folder_was_removed_is_not_called_completed(trial: Project) -> None:
    write(trial, "shutil.rmtree(run.dir.parent)")
    done = trial.run(code=EXIT_UNKEPT)

    assert "COMPLETED" not in done.stderr
    assert "has no outcome on record" in done.stderr.splitlines()[-1]


def test_what_nobody_foresaw_at_the_end_does_not_pass_for_a_run_that_went_well(trial: Project) -> None:
    write(trial, "from anew.runner.store import afterwards; afterwards.settle = None")
    done = trial.run(code=EXIT_UNKEPT)

    assert "TypeError: 'NoneType' object is not callable" in done.stderr
    assert "has no outcome on record" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("limit", ["(5, 5)", "(5, resource.getrlimit(resource.RLIMIT_NOFILE)[1])"])
def test_a_run_that_may_open_few_files_is_what_is_said_of_it(trial: Project, limit: str) -> None:
    write(trial, f"many(run); resource.setrlimit(resource.RLIMIT_NOFILE, {limit}); return 1")
    with trial.start() as process:
        said = process.communicate(timeout=60)[1]
    record = trial.record(1)

    assert f"un 1 {record.status.value} after" in said or f"as {record.status.value}." in said.splitlines()[-1]
    assert "was removed" not in said
    assert "no space" not in said
    if "getrlimit" in limit:  # else nothing can be opened any more
        assert (record.status, process.returncode) == (Status.COMPLETED, 0), said


def test_what_is_said_of_a_hole_is_in_sentences(trial: Project) -> None:
    write(trial, "many(run); resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5)); return 1")
    with trial.start() as process:
        said = process.communicate(timeout=60)[1]

    assert not [line for line in said.splitlines() if "anew check So" in line or "FOLDER The" in line]
    lines = said.splitlines()
    assert len(lines) == len(set(lines))


def test_what_main_returned_is_not_said_to_lack_space_when_the_folder_is_gone(trial: Project) -> None:
    write(trial, "shutil.rmtree(run.dir.parent); return 1")
    done = trial.run(code=EXIT_UNKEPT)

    assert "what main returned" not in done.stderr


def test_from_python_it_is_an_error_to_be_caught(trial: Project) -> None:
    write(trial, "limit(8000); many(run)", "lib.py")
    (trial.folder / "train.py").write_text(
        "import lib, anew\nfrom anew.runner.errors import UnkeptError\n"
        "try:\n    lib.main.run()\nexcept UnkeptError as error:\n    print(error.run, error.status)\n"
    )
    done = trial.run()

    assert done.stdout.split() == ["1", "FAILED"]


@pytest.mark.parametrize("how", [[], ["anew.sweep.workers=2"]])
def test_a_job_of_a_sweep_with_a_hole_fails_and_the_others_go_on(trial: Project, how: list[str]) -> None:
    write(
        trial,
        "many(run)\n    if lr == 1:\n        (run.dir.parent / 'events' / 'main.jsonl').unlink()\n    return lr",
    )
    done = trial.run("-m", "lr=1,2,3", *how, code=1)
    sweep = trial.store.sweep(1)

    assert [job.status for job in sweep.jobs] == [Status.FAILED, Status.COMPLETED, Status.COMPLETED]
    assert "1 failed" in done.stderr.replace("1 FAILED", "1 failed")
    assert "main.jsonl" in anew(trial, "sweep", "show", "1").stdout + done.stderr


# --- a disk that is really full ------------------------------------------------------------------------------------

FULL = """
set -e
mkdir -p {disk}
mount -t tmpfs -o size=600k none {disk}
{python} train.py --store {disk}/runs anew.source.enabled=false > out 2> err && echo 0 > code || echo $? > code
rm -f {disk}/fill
cp -r {disk}/runs {kept}
"""
FILL = """
    with open(run.dir.parents[2] / "fill", "wb", buffering=0) as file:
        try:
            while True: file.write(bytes(4096))
        except OSError: pass
"""


def on_a_full_disk(trial: Project, tmp_path: Path) -> tuple[int, str, RunRecord]:
    """Run the script in a small file system; return its exit code, what it said, and the record that is left."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -rm is not permitted here, so no small disk can be made")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    script = FULL.format(disk=disk, kept=kept, python=sys.executable)
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=trial.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code, said = (trial.folder / "code").read_text(), (trial.folder / "err").read_text()
    return int(code), said, FolderStore.open(kept).get(1)


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ("many(run); return 'x' * 1000", EXIT_UNKEPT, Status.FAILED),
        ("return 1", 0, Status.COMPLETED),
        ("return 'x' * 100_000", EXIT_UNKEPT, Status.FAILED),
        ("raise ValueError('mine' * 30_000)", 1, Status.FAILED),
        ("print('said ' * 2000)", EXIT_UNKEPT, Status.FAILED),
    ],
)
def test_a_full_disk_does_not_keep_the_outcome_out(
    trial: Project, tmp_path: Path, body: str, code: int, status: Status
) -> None:
    write(trial, f"many(run){FILL}    {body}")
    found, said, record = on_a_full_disk(trial, tmp_path)

    assert (found, record.status) == (code, status), said
    assert f"run 1 {status.value} after" in said
    assert not record.damage


def test_a_signal_on_a_full_disk_leaves_its_outcome_though_main_does_not_react(trial: Project, tmp_path: Path) -> None:
    write(
        trial,
        f"many(run){FILL}    import ctypes, signal\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    ctypes.PyDLL(None).sleep(30)",
    )
    code, said, record = on_a_full_disk(trial, tmp_path)

    assert (code, record.status) == (143, Status.INTERRUPTED), said


def test_a_disk_without_space_for_an_outcome_has_no_run_begun(trial: Project, tmp_path: Path) -> None:
    """What cannot end on record does not start."""
    from anew.runner.guard import reserve

    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"mount -t tmpfs -o size=8k none {tmp_path} && {sys.executable} -c "
         f"\"from anew.runner.guard import reserve; reserve.set_aside('{tmp_path}')\""],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip("unshare -rm is not permitted here, so no small disk can be made")

    assert "No space left on device" in done.stderr
    assert reserve.RESERVED_BYTES > 8192
