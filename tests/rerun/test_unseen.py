"""What a program uses without opening it by Python: a re-run finds it as it was, or says what it is not."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.rerun.test_rerun import Again, trial

__all__ = ["trial"]  # a fixture

# name -> what main does, with what `furnish` has laid out
WAYS = {
    "sqlite": "sqlite3.connect('read.db').execute('select sum(x) from t').fetchone()[0]",
    "sqlite by url": "sqlite3.connect('file:url.db?mode=ro', uri=True).execute('select x from t').fetchone()[0]",
    "sqlite, changed": "changed('changed.db')",
    "changed in place": "in_place('place.dat')",
    "added to": "added('log.dat')",
    "added to, read before": "[open('read_log.dat').read(), added('read_log.dat')]",
    "another program": "subprocess.run(['cat', 'sub/cat.dat'], capture_output=True, text=True).stdout",
    "a shell": "[os.system('grep -q 3 sub/shell.dat'), os.popen('wc -l < sub/shell.dat').read()]",
    "a Python": "subprocess.run([sys.executable, 'child.py'], capture_output=True, text=True).stdout",
    "names": "[sorted(os.listdir('names')), sorted(p.name for p in Path('names').iterdir())]",
    "sizes": "sorted((each.name, each.stat().st_size) for each in os.scandir('names'))",
    "a pattern": "[glob.glob('names/*.png'), sorted(map(str, Path().rglob('*.png')))]",
    "another program's list": "subprocess.run(['ls', 'names'], capture_output=True, text=True).stdout",
    "whether it is there": "[Path('flag').exists(), os.path.isdir('empty'), os.path.getsize('names/a.png')]",
    "into a folder that was there": "[open('empty/new.dat', 'w').write('x'), os.listdir('empty')]",
    "a file that is replaced": "[open('old.bin', 'w').write('x'), open('old.bin').read()]",
    "on the way to main": "TABLE",
}
PROGRAM = f"""
import glob, sqlite3, subprocess
from pathlib import Path

TABLE = open("sub/table.dat").read()

def changed(name):
    base = sqlite3.connect(name)
    base.execute("insert into t values (10)")
    base.commit()
    return base.execute("select sum(x) from t").fetchone()[0]

def in_place(name):
    with open(name, "r+") as file:
        before = file.read()
        file.write("and more")
    return [before, open(name).read()]

def added(name):
    with open(name, "a") as file:
        file.write("and more")
    return open(name).read()

@experiment.main
def main():
    return {{{", ".join(f"{name!r}: {way}" for name, way in WAYS.items())}}}
"""


def furnish(folder: Path) -> None:
    """Lay out what the program uses."""
    for name in ("read.db", "url.db", "changed.db"):
        with sqlite3.connect(folder / name) as base:
            base.execute("create table t (x)")
            base.execute("insert into t values (3)")
        base.close()
    for name in ("place", "log", "read_log", "sub/cat", "sub/shell", "sub/python", "sub/table", "names/b"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.dat").write_text(f"{name}\n3\n")
    (folder / "child.py").write_text("import beside\nprint(beside.ANSWER, open('sub/python.dat').read())\n")
    (folder / "beside.py").write_text("ANSWER = 42\n")
    (folder / "names" / "a.png").write_bytes(b"\0" * 12)
    (folder / "old.bin").write_bytes(b"of before")
    (folder / "flag").touch()
    (folder / "empty").mkdir()


@pytest.mark.parametrize("how", ["edited", "deleted"])
def test_what_is_used_past_python_is_there_again(how: str, trial: Again) -> None:
    furnish(trial.folder)
    trial.write(PROGRAM)
    trial.run()
    record = trial.record()
    assert record.warnings == ()
    # names alone are no content
    assert not any(ref.path in ("names/a.png", "flag", "old.bin") for ref in (*record.inputs, *record.source.files))
    if how == "deleted":
        shutil.rmtree(trial.folder)
    else:
        for path in trial.folder.rglob("*"):
            if path.is_file():
                path.write_text("raise SystemExit('this is of today')\n")
    shown = trial.again("1")
    assert (shown["verdict"], shown["notes"]) == ("identical", [])
    # of what was laid out by name alone nothing is taken for the work of main
    written = trial.folder.parent / "runs" / "2" / "files" / "written"
    assert sorted(path.name for path in written.rglob("*") if path.is_file()) == ["new.dat", "old.bin"]
    assert trial.again("2")["verdict"] == "identical"


def test_content_that_is_not_on_record_is_said_to_be_the_cause(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main():
        return [os.path.getsize("big.bin"), open("big.bin").read() if os.environ.get("READ") else ""]
    """)
    (trial.folder / "big.bin").write_text("content")
    trial.run()
    assert trial.again("1", "--strict")["verdict"] == "identical"
    [first, *_] = trial.again("1", code=3, READ="1")["reasons"]
    assert (first["kind"], first["where"]) == ("input", "big.bin")
    assert "the name alone is on record" in first["sentence"]
    assert "run.input('big.bin')" in first["sentence"]
    assert "not on record: big.bin" in trial.anew("rerun", "1", "--strict", code=4, READ="1").stderr


@pytest.mark.parametrize("command", ["[sys.executable, '-I', '-c', '1']", "'python3 -sE -c 1'"])
def test_a_python_that_heeds_no_variables_is_said_and_refused_under_strict(command: str, trial: Again) -> None:
    trial.write(f"""
    import subprocess
    @experiment.main
    def main():
        subprocess.run({command}, shell=isinstance({command}, str), check=False)
    """)
    done = trial.run()
    assert "heeds no variables" in done.stderr
    assert "heeds no variables" in trial.record().warnings[0]
    shown = trial.again("1")
    assert shown["verdict"] == "identical"
    assert "finds modules as they are installed today" in shown["notes"][0]
    assert "not on record: python" in trial.anew("rerun", "1", "--strict", code=4).stderr


def test_what_another_program_reads_by_an_absolute_path_is_todays_which_is_said(trial: Again) -> None:
    data = trial.folder / "data.dat"
    data.write_text("3")
    trial.write(f"""
    import subprocess
    @experiment.main
    def main():
        return subprocess.run(["cat", {str(data)!r}], capture_output=True, text=True).stdout
    """)
    trial.run()
    assert trial.again("1", "--strict")["verdict"] == "identical"
    data.write_text("4")
    [first, *_] = trial.again("1", code=3)["reasons"]
    assert (first["kind"], first["where"]) == ("input", "data.dat")
    assert "not on record: data.dat" in trial.anew("rerun", "1", "--strict", code=4).stderr


@pytest.mark.slow
def test_a_table_that_arrow_reads_is_there_again(trial: Again) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    (trial.folder / "out").mkdir()
    pandas.DataFrame({"x": [1, 2, 3]}).to_parquet(trial.folder / "table.parquet")
    pandas.DataFrame({"x": [7]}).to_parquet(trial.folder / "out" / "made.parquet")
    trial.write("""
    import pandas as pd
    import pyarrow.parquet as pq
    EARLY = pd.read_parquet("table.parquet")
    @experiment.main
    def main():
        mapped = pq.read_table("table.parquet", memory_map=True)
        EARLY.to_parquet("out/made.parquet")
        return [int(EARLY.x.sum()), mapped.num_rows, int(pd.read_parquet("out/made.parquet").x.sum())]
    """)
    trial.run()
    assert [ref.path for ref in trial.record().inputs] == ["table.parquet"]
    shutil.rmtree(trial.folder)
    assert trial.again("1")["verdict"] == "identical"
