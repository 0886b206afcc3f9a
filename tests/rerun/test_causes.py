"""Why a re-run came out different: the true reason is found and named, and how far the verdict goes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner.errors import RerunError
from tests.helpers import scripts
from tests.helpers.scripts import Project


class Again(Project):
    """A project whose runs are run again."""

    @property
    def runs(self) -> Path:
        return self.folder.parent / "runs"

    def again(self, *args: str, code: int = 0, **env: str) -> dict[str, Any]:
        """`anew rerun ... --json`."""
        words = ("rerun", *args, "--json")
        done = scripts.anew(self.folder.parent, *words, code=code, ANEW_STORE=str(self.runs), **env)
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    def anew(self, *args: str, code: int = 0) -> Any:
        return scripts.anew(self.folder.parent, *args, code=code, ANEW_STORE=str(self.runs))

    def stored(self, ref: int | str) -> Any:
        return anew.open_store(self.runs).get(ref)


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    return Again(project)


def kinds(shown: dict[str, Any]) -> list[str]:
    return [cause["kind"] for cause in shown["reasons"]]


TEN_POINTS = """
@experiment.main
def main(*, run: Run):
    for step in range(10):
        run.log({"x": step / 7}, step=step)
        if step == 2 and os.environ.get("KILL"):
            os.kill(os.getpid(), 9)
    (run.dir / "x.txt").write_text("x")
    run.log_artifact("x.txt")
    return 5
"""


def test_a_killed_run_is_identical_as_far_as_it_got(trial: Again) -> None:
    trial.write(TEN_POINTS)
    trial.run(code=-9, env={"KILL": "1"})
    shown = trial.again("1")
    assert (shown["verdict"], shown["points"], shown["status"]) == ("identical", 3, "COMPLETED")
    assert "identical as far as it got (3 points)" in trial.anew("rerun", "1").stdout
    rows = trial.anew("verify", "1").stdout.splitlines()
    assert "identical (3 points)" in rows[1]


def test_what_is_lost_of_a_record_is_not_compared_and_is_said(trial: Again) -> None:
    trial.write(TEN_POINTS)
    trial.run()
    journal = trial.runs / "1" / "events" / "main.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    metric = [index for index, line in enumerate(lines) if b'"k":"m"' in line]
    lines[metric[4]] = lines[metric[4]].replace(b'"x":', b'"y":')
    journal.write_bytes(b"".join(lines))
    shown = trial.again("1")
    assert shown["verdict"] == "identical"
    assert any("main.jsonl" in text and "not compared" in text for text in shown["remarks"])
    # what is there is compared all the same
    trial.write(TEN_POINTS.replace("step / 7", "step / 8"))
    assert trial.again("1", "--code", "current", code=3)["verdict"] == "different"


def test_a_run_whose_outcome_is_gone_is_compared_by_what_it_logged(trial: Again) -> None:
    trial.write(TEN_POINTS)
    trial.run()
    (trial.runs / "1" / "outcome.json").unlink()
    shown = trial.again("1")
    assert (shown["verdict"], shown["points"]) == ("identical", 10)
    trial.write(TEN_POINTS.replace('write_text("x")', 'write_text("z")'))
    shown = trial.again("1", "--code", "current", code=3)
    assert shown["first_difference"]["what"] == "artifact"


def test_a_result_that_was_not_kept_is_like_no_other(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return object()
    """)
    trial.run()
    assert trial.stored(1).unkept
    shown = trial.again("1", code=3)
    assert (shown["verdict"], kinds(shown)) == ("different", ["unkept"])


def test_facts_and_tags_that_main_sets_are_compared_and_those_of_others_are_not(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        run.tag("good" if os.environ.get("GOOD") else "bad")
        run.info({"deep": {"layers": 3 if os.environ.get("GOOD") else 4}})
    """)
    trial.run("anew.tags=[paper]", env={"GOOD": "1"})
    trial.anew("tag", "1", "later")
    shown = trial.again("1", GOOD="1")
    assert shown["verdict"] == "identical"
    shown = trial.again("1", code=3)
    first = shown["first_difference"]
    assert (first["what"], first["name"], first["recorded"], first["now"]) == ("info", "deep.layers", 3, 4)


@pytest.mark.parametrize(
    ("body", "env", "again", "code"),
    [
        ("return float(os.environ['MY_LR'])", "0.1", "0.2", "os.environ['MY_LR']"),
        ("return float(os.environ['MY_LR'])", "0.1", None, "os.environ['MY_LR']"),
        ("run.log({'loss': 1 if os.getenv('MY_LR') else 2})", None, "yes", "os.getenv('MY_LR')"),
        ("print(os.environ.get('MY_LR', 'none')); return float(lr())", "1", "3", "os.environ.get('MY_LR', '5')"),
    ],
)
def test_a_variable_that_is_not_on_record_is_named_with_what_puts_it_there(
    trial: Again, body: str, env: str | None, again: str | None, code: str
) -> None:
    trial.write(f"""
    def lr():
        return os.environ.get('MY_LR', '5')

    @experiment.main
    def main(*, run: Run):
        {body}
    """)
    trial.run(env={} if env is None else {"MY_LR": env})
    shown = trial.again("1", code=3, **({} if again is None else {"MY_LR": again}))
    assert "variable" in kinds(shown)
    sentences = [each["sentence"] for each in shown["reasons"] if each["kind"] == "variable"]
    assert any(f"follow{how} from {code} in train.py:" in each for each in sentences for how in ("s", ""))
    assert all("to have it recorded, and restored: anew.environment.variables=[MY_LR]" in each for each in sentences)


def test_a_variable_that_is_put_on_record_as_was_said_is_restored_and_explains_nothing(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return [os.environ["MY_LR"], os.environ.get("OMP_NUM_THREADS"), time.time()]
    """)
    trial.run("anew.environment.variables=[MY_LR]", env={"MY_LR": "0.1"})
    shown = trial.again("1", code=3, MY_LR="0.2")
    assert shown["first_difference"]["name"] == "[2]"
    assert kinds(shown) == ["time"]


def test_an_input_outside_of_the_project_that_changed_is_named(trial: Again, tmp_path: Path) -> None:
    data = tmp_path / "elsewhere" / "data.txt"
    data.parent.mkdir()
    data.write_text("3")
    trial.write("""
    @experiment.main
    def main(data: str = "", *, run: Run):
        return float(open(data).read())
    """)
    trial.run(f"data={data}")
    (reference,) = trial.stored(1).inputs
    assert (reference.path, reference.kept) == (str(data), False)
    assert trial.again("1", "--strict")["verdict"] == "identical"
    data.write_text("4")
    shown = trial.again("1", code=3)
    assert [(cause["kind"], cause["where"]) for cause in shown["reasons"]] == [("input", str(data))]
    assert "data.txt" in trial.anew("rerun", "1", "--strict", code=4).stderr


def test_a_file_of_the_project_that_main_misses_is_named(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return open("late.txt").read() if os.environ.get("LATE") else 3
    """)
    trial.run()
    (trial.folder / "late.txt").write_text("5")
    shown = trial.again("1", code=3, LATE="1")
    assert [(cause["kind"], cause["where"]) for cause in shown["reasons"]][:1] == [("missing", "late.txt")]
    assert "run.input('late.txt')" in shown["reasons"][0]["sentence"]


def test_nothing_is_named_that_has_no_part_in_it(trial: Again) -> None:
    """A clock and a generator without a seed that the outcome does not follow from."""
    trial.write("""
    import random
    @experiment.main
    def main(*, run: Run):
        t0 = time.time()
        print(random.Random().random(), {"a", "b"}, time.time() - t0)
        return os.environ.get("THING")
    """)
    trial.run(env={"THING": "1"})
    shown = trial.again("1", code=3)
    named = [cause for cause in shown["reasons"] if cause["sentence"].startswith(("The result", "In the result"))]
    assert [cause["kind"] for cause in named] == ["variable"]
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return os.environ.get("".join(["TH", "ING"]))
    """)
    trial.run(env={"THING": "1"})
    assert kinds(trial.again("last", code=3)) == ["unknown"]


def test_what_main_need_not_have_come_to_is_said_to_be_possible_and_a_second_rerun_settles_it(trial: Again) -> None:
    trial.write("""
    import random
    def shaken(value):
        return value + str(random.Random().random())
    @experiment.main
    def main(noise: bool = False, *, run: Run):
        value = os.environ.get("THING", "")
        return shaken(value) if noise else value
    """)
    trial.run(env={"THING": "1"})
    [reason] = trial.again("1", code=3)["reasons"]
    assert (reason["kind"], reason["where"]) == ("unseeded", "train.py:8")
    assert "may follow from random.Random() in train.py:8" in reason["sentence"]
    assert "anew rerun 1 --twice" in reason["sentence"]
    assert kinds(trial.again("1", "--twice", code=3)) == ["unknown"]
    trial.run("noise=true")
    [reason] = trial.again("last", "--twice", code=3)["reasons"]
    assert (reason["kind"], reason["where"]) == ("unseeded", "train.py:8")
    # what is known comes first
    trial.run(env={"THING": "1"})
    (trial.folder / "train.py").write_text((trial.folder / "train.py").read_text() + "\n")
    reasons = trial.again("last", "--code", "current", code=3)["reasons"]
    assert [reason["kind"] for reason in reasons] == ["source", "unseeded"]


def test_a_second_rerun_tells_chance_from_change(trial: Again) -> None:
    trial.write("""
    import uuid
    @experiment.main
    def main(*, run: Run):
        if os.environ.get("CHANCE"):
            run.log({"id": uuid.uuid4().int % 10**9})
        return os.environ.get("THING")
    """)
    trial.run(env={"CHANCE": "1", "THING": "1"})
    shown = trial.again("1", "--twice", code=3, CHANCE="1", THING="1")
    assert (shown["settled"], kinds(shown)) == (False, ["unseeded"])
    assert "run 3" in shown["remarks"][-1]
    assert "each time" in shown["remarks"][-1]
    shown = trial.again("1", "--twice", code=3, CHANCE="1", THING="2")
    assert "in result it came out as the first, and other than run 1" in shown["remarks"][-1]
    trial.run(env={"THING": "1"})
    shown = trial.again("last", "--twice", code=3)
    assert (shown["settled"], kinds(shown)) == (True, ["variable"])
    assert trial.stored(shown["run"]).verdict.settled is True
    # one that is identical is not run twice
    before = len(anew.open_store(trial.runs).numbers())
    assert trial.again("last", "--twice", "--code", "recorded")["settled"] is None
    assert len(anew.open_store(trial.runs).numbers()) == before + 1


def test_strict_looks_at_packages_that_were_imported(trial: Again, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for name in ("used", "idle"):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text("x = 1\n")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n")
    trial.write("""
    import used
    @experiment.main
    def main(*, run: Run):
        return used.x
    """)
    path = {"PYTHONPATH": str(site)}
    trial.run(env=path)
    assert "used" in trial.stored(1).environment.imported
    assert "idle" not in trial.stored(1).environment.imported
    metadata = site / "idle-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))
    os.utime(site)
    assert trial.again("1", "--strict", PYTHONPATH=str(site))["differences"]["packages"]["idle"]["imported"] is False
    done = scripts.anew(trial.folder.parent, "rerun", "1", "--strict=all", code=4, ANEW_STORE=str(trial.runs), **path)
    assert "idle (packages)" in done.stderr


def test_verify_has_a_row_for_each_and_exits_by_the_worst(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return time.time() if os.environ.get("CLOCK") else 1
    """)
    trial.run()
    done = trial.anew("verify", "1", "77", "tag:none", "last", "--json", code=2)
    rows = json.loads(done.stdout)
    assert [(row["ref"], row["verdict"]) for row in rows] == [(1, "identical"), ("77", None), ("tag:none", None)]
    assert "No run '77'" in rows[1]["error"]
    trial.run(env={"CLOCK": "1"})
    scripts.anew(trial.folder.parent, "verify", "77", "last", code=3, ANEW_STORE=str(trial.runs), CLOCK="1")


def test_the_list_says_of_reruns_how_they_came_out(trial: Again) -> None:
    trial.write(TEN_POINTS)
    trial.run()
    assert "again" not in trial.anew("list").stdout
    trial.again("1")
    head, newest, *_ = trial.anew("list").stdout.splitlines()
    assert "again" in head
    assert "1: identical" in newest


def test_a_rerun_refuses_settings_that_it_would_not_heed(trial: Again) -> None:
    trial.write(TEN_POINTS)
    trial.run()
    for word in ("anew.store=elsewhere", "anew.tags=[a]"):
        with pytest.raises(RerunError, match="has no effect on a re-run"):
            anew.rerun(1, word)


@pytest.mark.long
def test_a_seed_can_be_set_for_a_function_without_one_and_changed_in_a_rerun(trial: Again) -> None:
    trial.write("""
    import random
    @experiment.main
    def main(*, run: Run):
        return random.random()
    """)
    trial.run("anew.seed=7")
    trial.run("anew.seed=7")
    first, second = trial.stored(1), trial.stored(2)
    assert (first.seed, first.seeds.origin, first.result) == (7, "setting", second.result)
    shutil.rmtree(trial.folder)
    assert trial.again("1")["verdict"] == "identical"
    shown = trial.again("1", "anew.seed=8")
    assert (shown["verdict"], trial.stored(shown["run"]).seed) == ("different", 8)


def test_points_of_threads_are_compared_by_step(trial: Again) -> None:
    trial.write("""
    import threading
    @experiment.main
    def main(*, run: Run):
        def work(n):
            time.sleep(0.2 * (n if os.environ.get("ONE") else 2 - n))
            run.log({"x": n / 3}, step=n)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    """)
    trial.run(env={"ONE": "1"})
    shown = trial.again("1")
    assert shown["verdict"] == "identical"
    assert shown["remarks"] == ["The points of x came in another order: several processes or threads logged it."]


@pytest.mark.long
def test_an_error_that_says_where_it_ran_is_told_by_that(trial: Again) -> None:
    """The laid-out project lies below the sandbox by its whole path: both together are one place."""
    trial.write("@experiment.main\ndef main(*, run: Run):\n    run.log_artifact('nothing.txt')\n")
    trial.run(code=1)
    shown = trial.again("1", code=3)
    assert [each["kind"] for each in shown["reasons"]] == ["place"], shown["causes"]


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        ("hashlib.md5(open('d').read().encode()).hexdigest()", False),
        ("str(uuid.UUID(int=len(open('d').read()), version=4))", True),
        ("uuid.UUID(int=len(open('d').read()), version=4).hex", True),
    ],
)
def test_digits_are_a_random_id_only_where_they_look_like_one(trial: Again, value: str, is_told: bool) -> None:
    trial.write(f"""
    import hashlib, uuid
    @experiment.main
    def main(*, run: Run):
        return {value}
    """)
    (trial.folder / "d").write_text("then")
    trial.run()
    (trial.folder / "d").write_text("today, longer")
    done = trial.anew("rerun", "1", "--code", "current", "--json", code=3)
    assert "what main opens itself is today's" in done.stderr
    shown = json.loads(done.stdout)
    assert any("random id" in cause["sentence"] for cause in shown["reasons"]) == is_told
    assert is_told or any(cause["where"] == "d" for cause in shown["reasons"])


def test_another_order_is_no_cause_of_a_list_that_grew(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return os.listdir("data")
    """)
    (trial.folder / "data").mkdir()
    (trial.folder / "data" / "a").touch()
    trial.run()
    (trial.folder / "data" / "b").touch()
    shown = trial.again("1", "--code", "current", code=3)
    assert not any(cause["kind"] == "order" for cause in shown["reasons"])


@pytest.mark.long
def test_what_main_reads_and_then_writes_anew_is_put_back(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        text = open("state.dat").read()
        with open("state.dat", "w") as file:
            file.write(text + "1")
        return text
    """)
    (trial.folder / "state.dat").write_text("abc")
    (trial.folder / "state.dat").chmod(0o640)
    trial.run()
    assert [(item.path, item.mode) for item in trial.stored(1).inputs] == [("state.dat", 0o640)]
    for ref in ("1", "2"):
        assert trial.again(ref)["verdict"] == "identical"
    assert (trial.folder / "state.dat").read_text() == "abc1"


def test_a_script_that_was_compiled_is_run_again(trial: Again) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        return 3
    """)
    import py_compile

    script = trial.folder / "train.py"
    py_compile.compile(str(script), cfile=str(trial.folder / "train.pyc"))
    script.unlink()
    trial.run(name="train.pyc")
    assert trial.again("1")["verdict"] == "identical"
