"""A record's text is anybody's: whatever command shows it, it must not drive the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click
import pytest

from anew.runner.cli import main, render
from anew.runner.cli.group import workbench
from anew.runner.format import serial
from anew.runner.records import ContentRef, EnvironmentFacts, GitFacts, HardwareFacts
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run, make_store

# a title, a cleared screen, a carriage return that hides what stood before, a line that is not ours, C1, text direction
EVIL = "x\x1b]0;pwned\x07\x1b[2J\x1b[31mred\rhidden\nforged: line\x9b31m\u202egnp\x00\b"
ALLOWED = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """A store with runs whose every text is hostile."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    store = make_store(tmp_path / "runs")
    for index in range(2):
        number = add_run(
            store,
            experiment=f"evil{EVIL}",
            config={EVIL: EVIL, "n": index, "deep": {EVIL: [EVIL]}},
            metrics={f"loss{EVIL}": [1.0, 0.5 + index], "=cmd|' /C calc'!A0": [1.0, 2.0], "fine": [1.0, 2.0]},
            result={EVIL: EVIL},
            source={f"a{EVIL}.py": f"x = {index}{EVIL}\n"},
            artifacts={f"out{EVIL}": b"%d" % index},
            packages={f"pkg{EVIL}": f"{index}{EVIL}"},
            tags=[f"tag{EVIL}"],
            overrides=(f"a={EVIL}",),
            choices={f"group{EVIL}": EVIL},
            note=EVIL,
        )
        spoil(store, number)
    return store


def spoil(store: FolderStore, number: int) -> None:
    """Write a run's first line again, as somebody else may: texts in every place that has one."""
    path = store.layout.run(number).record
    record = store.get(number)
    source = replace(
        record.source,
        root=f"/{EVIL}",
        git=GitFacts(commit=EVIL, branch=EVIL, dirty=True, remote=EVIL),
    )
    environment = EnvironmentFacts(
        python=f"3{EVIL}",
        implementation=EVIL,
        executable=EVIL,
        packages={f"pkg{EVIL}": f"{number}{EVIL}"},
        variables={f"V{EVIL}": f"{number}{EVIL}"},
        anew=EVIL,
        origins={EVIL: EVIL},
    )
    hardware = HardwareFacts(hostname=EVIL, os=EVIL, cpu_model=EVIL, container=EVIL, scheduler={EVIL: EVIL})
    command = replace(record.command, argv=(EVIL, EVIL), cwd=EVIL)
    changed = replace(
        record, source=source, environment=environment, hardware=hardware, command=command, inputs=(ref_of(EVIL),)
    )
    path.chmod(0o644)
    path.write_bytes(serial.seal(serial.start_to_json(changed)))


def ref_of(name: str) -> ContentRef:
    """A file that is on record and not kept."""
    return ContentRef(path=name, sha256="0" * 64, size=1, kept=False)


COMMANDS = [
    [],
    ["list"],
    ["list", "--columns", "config.n,result,tags"],
    ["list", "--by", "config.n,note"],
    ["list", "--markdown", "--columns", "config.n,result,tags,note"],
    ["best", f"loss{EVIL}", "--min"],
    ["best", f"no{EVIL}", "--min"],
    ["show", "1"],
    ["show", "1", "--full"],
    ["diff", "1", "2"],
    ["why", "1", "2", "--dry-run"],
    ["why", "1", "2", "--metric", f"no{EVIL}"],
    ["compare", "1", "2", "--all"],
    ["compare", "1", "2", "--csv"],
    ["metrics", "1"],
    ["metrics", "1", f"loss{EVIL}"],
    ["metrics", "1", "--csv"],
    ["metrics", "1-2", "--buckets", "3"],
    ["metrics", "1", f"loss{EVIL}", "--buckets", "3", "--csv"],
    ["compare", "--by", "seed", "1", "2", "--metric", f"loss{EVIL}"],
    ["compare", "--by", "seed", "1", "2", "--metric", f"no{EVIL}"],
    ["lineage", "1"],
    ["lineage", "1", "--dot"],
    ["lineage", f"in{EVIL}"],
    ["report", f"no{EVIL}.md"],
    ["usage", "--compute", "--by", f"experiment,host,no{EVIL}"],
    ["usage", "--by", f"experiment,host,no{EVIL}"],
    ["list", "--saved"],
    ["list", "--forget", f"no{EVIL}"],
    ["plot", "--parallel", f"seed,host,metric.loss{EVIL}"],
    ["plot", "--x", "seed", "--y", "host"],
    ["plot", "--x", "seed", "--y", f"metric.loss{EVIL}"],
    ["plot", "1", "2", f"loss{EVIL}", "--band", "--smooth", "0.5"],
    ["repeat", "1"],
    ["metrics", "1", f"no{EVIL}"],
    ["get", "1", "--source", "--inputs", "--config", "--to", "got"],
    ["get", "1", f"out{EVIL}"],
    ["get", "1", f"no{EVIL}"],
    ["plot", "1", "2", f"loss{EVIL}"],
    ["plot", "1", f"no{EVIL}"],
    ["list", f"no{EVIL} == 1"],
    ["list", f"note == {EVIL!r}", "--sort", EVIL],
    ["show", EVIL],
    ["tag", "1", EVIL],
    ["note", "1", EVIL],
    ["comment", "1", EVIL],
    ["verify", "1", "2"],
    ["rerun", "1"],
    ["check"],
    ["check", "--deep"],
    ["check", "--source"],
    ["sync", "runs", "other"],
    ["sweep", "list"],
    ["delete", "2"],
    ["restore", EVIL],
    ["restore", "2"],
    ["purge", "--yes"],
    ["pack", "1-9"],
    ["pack", f"no{EVIL}"],
    ["unpack", "1"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(map(ascii, words))[:60] or "anew alone")
def test_no_command_lets_a_records_text_drive_the_terminal(
    words: list[str], hostile: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)

    said = capsys.readouterr()
    assert code != 70, said.err
    for text in (said.out, said.err):
        plain = ALLOWED.sub("", text)
        odd = {letter for letter in plain if not letter.isprintable() and letter != "\n"}
        assert not odd, (odd, plain)
        assert "\nforged: line" not in plain or words[:1] == ["note"]


def test_what_a_run_printed_goes_to_a_terminal_with_its_colours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = "\x1b[1;31mred\x1b[0m\tand\n" + EVIL
    assert render.as_printed(printed) == printed
    monkeypatch.setattr(render, "on_terminal", lambda: True)
    shown = render.as_printed(printed)
    assert shown.startswith("\x1b[1;31mred\x1b[0m\tand\n")
    assert not {letter for letter in ALLOWED.sub("", shown) if not letter.isprintable()} - {"\n", "\t"}


def test_every_command_is_held_to_it() -> None:
    tried = {words[0] for words in COMMANDS if words}
    # `ui` shows records in a browser alone; see tests/server and tests/page
    not_about_records = {"completion", "log", "logs", "run", "ui"}
    assert set(workbench.list_commands(click.Context(workbench))) - tried <= not_about_records


def test_a_csv_cell_that_begins_as_a_formula_is_a_text(
    hostile: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(hostile, metrics={"=1+1": [-2.5], "@x": [1], "+y": [1], "-z": [1]})
    assert main(["metrics", "last", "--csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["'=1+1", "'@x", "'+y", "'-z"]
    assert rows[0].split(",")[2] == "-2.5"
