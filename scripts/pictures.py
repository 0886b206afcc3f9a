"""
Make the pictures of the page in docs/: real runs of a made-up training, shown by a browser.
Needs Chromium, Optuna and Pillow.

    .venv/bin/python scripts/pictures.py [FOLDER]      (the store is made in FOLDER, and taken from there next time)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from anew.runner.store.curate import note, tag  # noqa: E402
from anew.runner.store.folder import FolderStore  # noqa: E402
from tests.helpers.browser import Browser, find_browser  # noqa: E402
from tests.page.driving import View, serving  # noqa: E402

WIDE = 1280
RUNS = "runs?" + urlencode(
    {
        "q": "optimizer == adam and test/acc > 0.9",
        "sort": "-test/acc",
        "cols": "id*,status,config.lr,config.width,test/loss,test/acc,tag",
        "sel": "5-10",
        "charts": "c:test/loss;c:test/acc",
        "split": "56",
        "legend": "config.lr,config.width",
    }
)
TRAIN = '''
"""Train a small classifier; the numbers are made up, with the shape that they have."""
import math
import random
import time

from anew import Experiment, Run

experiment = Experiment("digits")


@experiment.main
def main(lr: float = 0.1, width: int = 64, dropout: float = 0.1, optimizer: str = "sgd", seed: int = 0,
         epochs: int = 60, *, run: Run) -> dict:
    chance = random.Random(f"{lr} {width} {dropout} {optimizer} {seed}")
    if lr > 1:
        raise FloatingPointError("the loss is nan after epoch 3")
    speed = (0.02 + 0.5 * lr ** 0.6) * (1.5 if optimizer == "adam" else 1.0)
    floor = 0.05 + 1.6 / width + 0.25 * (dropout - 0.15) ** 2 + 0.12 * max(0.0, math.log10(lr / 0.12)) ** 2
    for epoch in range(epochs):
        fall = math.exp(-speed * epoch)
        loss = floor + (2.3 - floor) * fall + chance.gauss(0, 0.012 + 0.05 * fall)
        test = loss + 0.02 + 0.0009 * epoch * (1 - dropout) + abs(chance.gauss(0, 0.01))
        acc = 1 - 0.36 * test ** 1.2 - abs(chance.gauss(0, 0.003))
        run.log({"train/loss": max(loss, 0.004), "test/loss": test, "test/acc": acc}, step=epoch)
        time.sleep(0.02)
        if epoch % 10 == 0:
            print(f"epoch {epoch:3}  train {loss:.4f}  test {test:.4f}")
    return {"acc": 1 - 0.36 * test ** 1.2, "loss": test}


if __name__ == "__main__":
    main()
'''
FILL = """
from train import main

main.run(epochs=20)
main.sweep("lr=0.03,0.1,0.3", "width=32,64,128", "optimizer=adam")
try:
    main.run(lr=3.0)
except FloatingPointError:
    pass
main.run(lr=0.2, width=256, optimizer="adam")
main.sweep("hydra/sweeper=optuna", "lr=tag(log, interval(0.005, 0.8))", "width=range(16, 256)",
           "dropout=interval(0.0, 0.5)", "hydra.sweeper.value=loss", "hydra.sweeper.n_trials=24")
"""


def made(folder: Path) -> Path:
    """Return the store in *folder*, filled if it is not there yet."""
    store = folder / "runs"
    if store.is_dir():
        return store
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    (folder / ".gitignore").write_text("runs/\n__pycache__/\n")
    (folder / "train.py").write_text(TRAIN.lstrip())
    (folder / "fill.py").write_text(FILL.lstrip())
    named = ["git", "-c", "user.name=N", "-c", "user.email=n@example.invalid"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First version"]):
        subprocess.run([*named, *words], cwd=folder, check=True)
    subprocess.run([sys.executable, "fill.py"], cwd=folder, check=True)
    opened = FolderStore.open(store)
    tag(opened, 12, ["paper"])
    note(opened, 12, "The widest; holds on the second test set, too.")
    tag(opened, 2, ["baseline"])
    return store


def shot(view: View, name: str) -> None:
    """Write what is seen to docs/."""
    view.rest()
    view.page.settle()
    path = view.page.screenshot(ROOT / "docs" / name)
    with Image.open(path) as picture:
        # few colours are told apart in it
        picture.convert("RGB").quantize(200, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size)
    view.close()


def main() -> None:
    """Make the store, and the pictures of it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "digits"
    executable = find_browser()
    if executable is None:
        sys.exit("pictures.py: no browser: the command chromium is not here")
    store = made(folder)
    browser = Browser(executable, Path(tempfile.mkdtemp()))
    try:
        with serving(store, browser) as served:
            shot(served.open(RUNS, width=WIDE, height=720), "page-runs.png")
            shot(served.open("run/12", width=WIDE, height=860), "page-run.png")
            shot(served.open("sweep/2", width=WIDE, height=860), "page-sweep.png")
    finally:
        browser.close()


if __name__ == "__main__":
    main()
