"""A project and its store, with a run of every kind that a page can be asked to show; recorded by real runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.store.curate import delete, note, tag
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import Project, anew

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIP = Path(__file__).with_name("clip.webm")
# What must be text wherever it is shown, and never an element, a script, a handler or a sequence that acts.
HOSTILE = "<img src=x onerror=document.title='taken'>"
SCRIPTED_HTML = """\
<!doctype html><h1>A report</h1><p id="said">before the script</p>
<script>
  document.getElementById("said").textContent = "the script ran";
  try { parent.document.title = "taken"; } catch (error) {}
  fetch("/api/store").then(() => { document.title = "read"; });
</script>
"""
TRAIN = """
import math, os, random, struct, sys, time, wave, zlib
from pathlib import Path
from enum import Enum
import anew
from anew import Experiment, Run
from helper import miss

experiment = Experiment("fit")

class Kind(Enum):
    SGD = "sgd"
    ADAM = "adam"

def png(width=48, height=32):
    rows = b"".join(b"\\0" + bytes(v for x in range(width) for v in (x * 5, y * 7, 160)) for y in range(height))
    def part(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\\x89PNG\\r\\n\\x1a\\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")

def pdf():
    text = b"BT /F1 24 Tf 20 50 Td (A page of a run) Tj ET"
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
             b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 260 100]/Contents 4 0 R"
             b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
             b"<</Length %d>>stream\\n%s\\nendstream" % (len(text), text)]
    out, places = b"%PDF-1.4\\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\\n" % (number, part)
    table = b"".join(b"%010d 00000 n \\n" % place for place in places)
    return out + b"xref\\n0 5\\n0000000000 65535 f \\n%strailer<</Size 5/Root 1 0 R>>\\nstartxref\\n%d\\n%%%%EOF" % (
        table, len(out))

def media(run, folder):
    folder.mkdir(exist_ok=True)
    (folder / "picture.png").write_bytes(png())
    (folder / "page.pdf").write_bytes(pdf())
    (folder / "clip.webm").write_bytes(Path(os.environ["CLIP"]).read_bytes())
    (folder / "report.html").write_text(os.environ["HTML"])
    (folder / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
                                        '<rect width="40" height="20" fill="teal"/><script>alert(1)</script></svg>')
    (folder / "facts.json").write_text('{"classes": ["cat", "dog"], "nested": {"deep": [1, 2.5, null, true]}}')
    (folder / "table.csv").write_text("label,n,share\\n" + "".join(
        f'"name, {i}",{i},{i / 7:.3f}\\n' for i in range(40)) + '"=HYPERLINK(""x"")","<b>bold</b>",1\\n')
    (folder / "notes.txt").write_text("plain text\\nwith <b>marks</b>\\n")
    (folder / "model.bin").write_bytes(bytes(range(256)) * 40)
    with wave.open(str(folder / "tone.wav"), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(8000)
        sound.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 3))) for i in range(2000)))
    for path in sorted(folder.iterdir()):
        run.log_artifact(path, name=path.name)

@experiment.main
def main(lr: float = 0.1, width: int = 16, steps: int = 30, kind: Kind = Kind.SGD, name: str = "plain",
         layers: list[int] = [64, 32], clip: float | None = None, fail: bool = False, end: str = "",
         full: bool = False, noise: bool = False, many: int = 0, *, run: Run) -> dict:
    print(f"\\x1b[1mstart\\x1b[0m \\x1b[32mlr={lr}\\x1b[0m width={width}", flush=True)
    loss = 1.0
    for step in range(steps):
        loss = miss(loss, lr) + width / 5000 + (random.SystemRandom().random() / 50 if noise else 0)
        run.log({"loss": loss, "test/accuracy": 1 - loss / 2}, step=step)
        if end:
            print(f"step {step}", flush=True)
            time.sleep(0.05)
    if many:
        run.log({f"deep/{n}": n for n in range(many)}, step=0)
    if full:
        run.input("data.csv")
        run.info({"rows": 3, "classes": ["cat", "dog"]})
        run.warn("few samples")
        media(run, Path(run.dir) / "media")
        print("\\x1b[31mred\\x1b[0m \\x1b[48;5;25mon blue\\x1b[0m \\x1b[38;2;200;120;0mtrue\\x1b[0m")
        print("\\x1b]0;taken\\x07\\x1b[2J\\x1b]8;;javascript:alert(1)\\x07link\\x1b]8;;\\x07 \\x1b[5Aup")
        print("10%\\r50%\\r100%")
        print(os.environ["HOSTILE"])
        for line in range(3000):
            print(f"line {line} of the output")
    if fail:
        print("about to fail", file=sys.stderr, flush=True)
        raise ValueError(f"width {width} does not fit " + os.environ["HOSTILE"])
    while end == "wait" and not Path("enough").exists():
        time.sleep(0.1)
        step += 1
        run.log({"loss": loss}, step=step)
        print(f"step {step}", flush=True)
    return {"loss": loss, "size": width * 10}

if __name__ == "__main__":
    main()
"""
HELPER = "def miss(loss, lr):\n    return loss * (1 - lr)\n"
HELPER_LATER = "def miss(loss, lr):\n    # slower, and steadier\n    return loss * (1 - lr / 2)\n"
# What many processes would take long for; from Python, too.
FILL = """
import os, sys
from train import main

main.run({"name": os.environ["HOSTILE"]}, steps=5, many=1200)
main.run(lr=0.9, steps=2)
main.sweep("lr=0.05,0.1,0.2", "width=8,16", "fail=false,true", "steps=12")
space = ["hydra/sweeper=optuna", "lr=tag(log, interval(0.01, 0.5))", "width=range(4, 64)", "steps=6"]
if "searches" in sys.argv:
    main.sweep(*space, "hydra.sweeper.value=loss", "hydra.sweeper.n_trials=8")
    aims = ["hydra.sweeper.value=[loss,size]", "hydra.sweeper.direction=[minimize,minimize]"]
    main.sweep(*space, *aims, "hydra.sweeper.n_trials=6")
"""


# In this order they are run.
RUNS = (
    *("full", "failed", "lost", "interrupted", "other", "noisy", "identical", "different"),
    *("hostile", "trash"),
)


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """What is in the store: the number of a run or of a sweep of each kind; a folder; runs that still go on."""

    folder: Path
    store: Path
    full: int
    failed: int
    lost: int
    interrupted: int
    other: int
    noisy: int
    identical: int
    different: int
    hostile: int
    trash: int
    grid: int
    search: int | None
    pareto: int | None


def make(folder: Path, *, searches: bool = True) -> Kinds:
    """Make a project in *folder* and fill its store with a run of every kind that ends."""
    project = Project(folder)
    begin(project)
    environment = variables()
    settings = ["anew/observers=[files,export]", "anew.observers.export.dir=exported"]
    project.run("full=true", *settings, env=environment)
    project.run("fail=true", "width=8", code=1, env=environment)
    end_by(project, signal.SIGKILL)
    end_by(project, signal.SIGINT)
    (folder / "helper.py").write_text(HELPER_LATER)
    project.run("lr=0.2", "kind=ADAM", "layers=[128]", env=environment)
    project.run("noise=true", "steps=10", env=environment)
    again(project, 5)
    again(project, 6, code=3)
    (folder / "fill.py").write_text(FILL)
    project.run(*(["searches"] if searches else []), name="fill.py", env=environment)
    numbers = dict(zip(RUNS, range(1, 11), strict=True))
    search, pareto = (2, 3) if searches else (None, None)
    kinds = Kinds(folder=folder, store=folder / "runs", **numbers, grid=1, search=search, pareto=pareto)
    curated(project.store, kinds)
    return kinds


def again(project: Project, number: int, code: int = 0) -> None:
    """Run a run again."""
    anew(project, "rerun", str(number), code=code, **variables())


def begin(project: Project) -> None:
    """Write the project's files, and commit them."""
    folder = project.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    (folder / ".gitignore").write_text("runs/\nexported/\n__pycache__/\n")
    (folder / "data.csv").write_text("a,b\n1,2\n3,4\n")
    (folder / "helper.py").write_text(HELPER)
    (folder / "train.py").write_text(TRAIN)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(
            ["git", "-c", "user.name=N", "-c", "user.email=n@example.invalid", *words], cwd=folder, check=True
        )


def variables() -> dict[str, str]:
    """Return what the script reads of its environment."""
    return {"CLIP": str(CLIP), "HTML": SCRIPTED_HTML, "HOSTILE": HOSTILE}


def curated(store: FolderStore, kinds: Kinds) -> None:
    """Give runs what people give them: tags, notes, a place in the trash."""
    tag(store, kinds.full, ["paper", "best of all"])
    note(store, kinds.full, "The first that holds.\nSee the picture.")
    tag(store, kinds.hostile, [HOSTILE])
    note(store, kinds.hostile, HOSTILE)
    delete(store, kinds.trash)


def has_optuna() -> bool:
    """Whether searches can be made here."""
    return find_spec("optuna") is not None


def end_by(project: Project, number: int) -> None:
    """Start a run and end it with a signal once it has logged."""
    with going(project) as process:
        process.send_signal(number)
        process.wait(60)


@contextmanager
def going(project: Project, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run that goes on until it is ended; killed at the end of the block."""
    before = {record.uid for record in project.store.find()}
    process = project.start("end=wait", "steps=4", *words, env=variables())
    try:
        wait_for(lambda: any(record.metrics for record in project.store.find() if record.uid not in before))
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(holds: object, patience_s: float = 60) -> None:
    """Wait until what is asked for holds."""
    assert callable(holds)
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "what was waited for did not come"
        time.sleep(0.05)


if __name__ == "__main__":
    os.environ.setdefault("ANEW_QUIET", "true")
    print(make(Path(sys.argv[1])))
