"""A secret goes in by every door that there is, and no byte of it is in any store."""

from __future__ import annotations

import json
import re
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest

from anew.runner.format.redact import REDACTED
from tests.helpers.scripts import Project, anew
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)

CANARY = "Canary7Qx9Lm2Zt4"
TYPED = f"{CANARY}Typed"
BODY = """
import multiprocessing, threading
from pathlib import Path

# in two, so that the source is no door
CANARY = "Canary7Qx" + "9Lm2Zt4"

SECRET = os.environ["LDAPPASSWORD"]

def child():
    run = anew.current_run()
    run.note(run.dir.name + " of a child: " + CANARY + "Typed")
    run.info({"child": CANARY + "Typed", "nested": {"password": CANARY + "Child"}})
    run.tag(CANARY + "Typed-child")

@experiment.main(config_path="conf", config_name="config")
def main(cfg, run: Run):
    secret = cfg.db["password"]
    print("it is", secret, "and", SECRET, flush=True)
    print("half " + secret[:8], secret[8:], sep="", file=sys.stderr)
    run.log({f"loss/{secret}": 1.0, "a": {f"b{SECRET}": 2}}, step=1)
    run.log({f"bad {secret}": "no number"})
    run.info({"x": secret, f"key {secret}": [secret, {"api_key": CANARY + "Late"}], "path": Path("/" + secret)})
    run.info({"nothing": object(), f"bad {secret}": object()})
    run.tag("t-" + secret)
    run.note("note " + SECRET)
    (run.dir / "file.txt").write_text("harmless")
    run.log_artifact("file.txt", name=f"artifact-{secret}.txt")
    worker = threading.Thread(target=lambda: 1 / int("x" + secret), name=secret)
    worker.start(); worker.join()
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start(); process.join()
    if cfg.get("fail"):
        raise type("E" + secret, (ValueError,), {})(f"no way with {secret} and {SECRET}")
    return {"value": secret, "password": CANARY + "Returned", secret: 1}
"""
CONFIG = f"""
db: {{user: me, password: null}}
users: []
headers:
  Authorization: 'Bearer {CANARY}Yaml {"and so on " * 12}'
credentials:
  value: {CANARY}Below
hydra:
  job:
    env_set:
      SESSION_COOKIE: {CANARY}Cookie
"""
OVERRIDES = (
    f"db.password={TYPED}",
    f"users=[{{name:a,password:{CANARY}A}},{{name:b,pass:'{CANARY}B,x'}}]",
    f"++more.mail.pass={CANARY}Mail",
    f"++more.error_dsn={CANARY}Dsn",
    f"++more.auth.bearer={CANARY}Bearer",
    f"++more.url=https://me:{CANARY}Url@h.org/x",
    f"++more.headers={{Authorization:'Bearer {CANARY}Header'}}",
    f"anew.note=about {TYPED}",
    f"anew.tags=[tag-{TYPED}]",
)


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("LDAPPASSWORD", f"{CANARY}Variable")
    monkeypatch.setenv("CUDA_URL", f"https://x.org/?token={CANARY}Listed")
    trial = Project(project)
    trial.write(BODY)
    (project / "conf").mkdir()
    (project / "conf" / "config.yaml").write_text(CONFIG)
    (project / "s3.py").write_text("")
    subprocess.run("git init -q && git add -A && git commit -qm x", shell=True, cwd=project, check=True)
    (project / "s3.py").write_text(f"PASSWORD = '{CANARY}Diff'\n")
    return trial


def leaks(folder: Path, *, but: tuple[str, ...] = ()) -> list[str]:
    """Return where a secret is in a folder, also in what is compressed there."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder))
        if CANARY in relative:
            found.append(f"the name {relative}")
        if path.is_file() and not relative.startswith(but):
            found += [f"{relative}: {each}" for each in held(path.read_bytes())]
    return found


def held(data: bytes) -> Iterator[str]:
    streams = [
        data,
        *filter(None, (inflated(data, match.start()) for match in re.finditer(rb"x[\x01\x9c\xda]|\x1f\x8b", data))),
    ]
    for text in streams:
        yield from (
            repr(text[max(0, match.start() - 60) : match.end() + 20]) for match in re.finditer(CANARY.encode(), text)
        )


def inflated(data: bytes, start: int) -> bytes | None:
    try:
        return zlib.decompressobj(47).decompress(data[start:])
    except zlib.error:
        return None


# the project's own files are kept as they are
SOURCE = ("objects",)


def source_leaks(store: Path) -> list[str]:
    return [each for each in leaks(store / "objects") if "Diff" in each]


@pytest.mark.parametrize("failing", [False, True], ids=["returned", "raised"])
def test_no_door_of_a_run_lets_a_secret_into_its_store(trial: Project, failing: bool) -> None:
    trial.run(*OVERRIDES, "anew.source.exclude=[s3.py]", *(["+fail=true"] if failing else []), code=int(failing))
    store = trial.folder / "runs"
    record = trial.record()
    assert leaks(store, but=SOURCE) == []
    assert source_leaks(store) == []
    assert REDACTED in record.overrides[0]
    assert record.source.git is not None
    assert "s3.py" not in (record.source.git.diff or "")
    assert record.note is not None
    assert REDACTED in record.note
    assert any("ended with" in each for each in record.warnings)
    assert f"loss/{REDACTED}" in record.metrics
    assert [each.path for each in record.artifacts] == [f"artifact-{REDACTED}.txt"]
    if not failing:
        assert re.fullmatch(r"<redacted [0-9a-f]{16}>", record.result["value"])


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=2",), ("hydra/launcher=basic",)], ids=str)
def test_no_door_of_a_sweep_lets_a_secret_into_its_store(trial: Project, workers: tuple[str, ...]) -> None:
    trial.write("""
    @experiment.main(config_path="conf", config_name="config")
    def main(cfg, run: Run):
        print(cfg.db.password, cfg.users)
        return 1
    """)
    choice = f"db.password={TYPED},{CANARY}Other"
    trial.run("-m", choice, *OVERRIDES[1:], *workers, "anew.source.exclude=[s3.py]")
    store = trial.folder / "runs"
    assert [run.status.value for run in trial.store.find()] == ["COMPLETED"] * 2
    assert (store / "sweeps" / "1" / "multirun.yaml").exists()
    assert leaks(store, but=SOURCE) == []
    assert source_leaks(store) == []


def test_what_a_rerun_is_given_again_is_in_no_store(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(password: str = "none", lr: float = 1.0, *, run: Run):
        return {"is": password, "lr": lr}
    """)
    trial.run(f"password={TYPED}", "anew.source.exclude=[s3.py]")
    assert f"password={REDACTED}" in trial.record(1).overrides
    asked = anew(trial, "rerun", "1", code=2)
    assert "anew rerun 1 password=VALUE" in asked.stderr
    same = json.loads(anew(trial, "rerun", "1", f"password={TYPED}", "--json").stdout)
    assert same["verdict"] == "identical"
    other = json.loads(anew(trial, "rerun", "1", f"password={CANARY}Other", "--json").stdout)
    assert (other["verdict"], other["first_difference"]["name"]) == ("different", "is")
    further = json.loads(anew(trial, "rerun", "1", f"password={TYPED}", "lr=2", "--json").stdout)
    assert further["first_difference"]["name"] == "lr"
    shown = json.dumps([same, other, further])
    assert CANARY not in shown
    assert leaks(trial.folder / "runs", but=SOURCE) == []
    anew(trial, "tag", "1", f"{CANARY}Variable-tag")
    anew(trial, "note", "1", f"{CANARY}Variable")
    assert leaks(trial.folder / "runs", but=SOURCE) == []


def test_observers_get_no_secret(trial: Project, mongo_server: MongoServer, tmp_path: Path) -> None:
    url = with_database(mongo_server.url, "secrets")
    tables = tmp_path / "runs.sqlite"
    trial.run(
        *OVERRIDES,
        "anew.source.exclude=[s3.py]",
        "anew/observers=[files,mongo,sql,webhook]",
        f"anew.observers.mongo.url={url}",
        f"anew.observers.sql.url=sqlite:///{tables}",
        f"anew.observers.webhook.url=http://127.0.0.1:9/{CANARY}Hook",
        "anew.drain_s=5",
    )
    record = trial.record()
    assert (record.observers["mongo"].state, record.observers["sql"].state) == ("delivered", "delivered")
    assert leaks(trial.folder / "runs", but=SOURCE) == []
    assert list(held(tables.read_bytes())) == []
    with mongo_server.client() as client:
        database = client.get_database("secrets")
        for name in database.list_collection_names():
            for document in database[name].find():
                data = document.get("data", b"")
                is_source = name == "fs.chunks" and isinstance(data, bytes) and b"users: []" in data
                found = [] if is_source else [*held(bson.encode(document))]
                assert found == [], f"{name}: {document['_id']}"


@pytest.mark.parametrize(
    "words",
    [
        ("-m", f"+password={TYPED},{CANARY}Other", "hydra.sweep.subdir=j${hydra.job.num}"),
        ("-m", f"+password={TYPED},{CANARY}Other", "hydra.sweep.dir=X"),
        ("-m", f"+password={TYPED},{CANARY}Other", "hydra.sweep.dir=X", "anew.sweep.workers=2"),
        ("-m", f"+password={TYPED},{CANARY}Other", "hydra.sweep.dir=X", "hydra/launcher=basic"),
        (f"+password={TYPED}", "hydra.run.dir=X/${now:%H}", "hydra.output_subdir=said"),
    ],
    ids=str,
)
def test_what_hydra_writes_in_a_folder_of_the_users_choice_holds_no_secret(
    trial: Project, words: tuple[str, ...]
) -> None:
    trial.write("""
    @experiment.main
    def main(cfg, run: Run):
        return 1
    """)
    subprocess.run("git checkout -q s3.py && git add -A && git commit -qm x", shell=True, cwd=trial.folder, check=True)
    trial.run(*words)
    trial.run("+lr=1")
    assert leaks(trial.folder / "runs", but=SOURCE) == []
    assert not [each for each in leaks(trial.folder / "runs" / "objects") if re.search(r"Canary\w+(Typed|Other)", each)]
    written = [*(trial.folder / "X").rglob("*.yaml"), *(trial.folder / "runs").rglob(".hydra/config.yaml")]
    assert len(written) > 1
    if (trial.folder / "X").exists():
        assert leaks(trial.folder / "X") == []
    assert not [each.path for each in trial.record().source.files if "multirun" in each.path or ".hydra" in each.path]


def test_a_folder_that_is_called_by_a_secret_is_warned_of_once(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(cfg, run: Run):
        return 1
    """)
    choice = f"+password={TYPED},{CANARY}Other"
    done = trial.run("-m", choice, "hydra.sweep.subdir=k${hydra.job.override_dirname}", "anew.source.exclude=[s3.py]")
    assert done.stderr.count("override_dirname.exclude_keys") == 1
    record = trial.record(1)
    assert any("holds a secret" in each for each in record.warnings)
    assert CANARY not in str(record)
    assert [each for each in leaks(trial.folder / "runs" / "sweeps") if not each.startswith("the name")] == []
