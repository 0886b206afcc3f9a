"""A resolver that answers otherwise each time has answered for the last time before main."""

from __future__ import annotations

from pathlib import Path

import pytest

import anew
from tests.helpers.scripts import Project

SCRIPT = """
import itertools
from omegaconf import OmegaConf
numbers = itertools.count()
OmegaConf.register_new_resolver("counter", lambda: next(numbers))
OmegaConf.register_new_resolver("twice", lambda value: 2 * value)

@experiment.main({})
def main(cfg):
    seen = [cfg.a, cfg.a, cfg.nested.b[0], cfg.text, cfg.follows]
    written = OmegaConf.to_yaml(cfg)
    OmegaConf.update(cfg, "lr", 2)
    return {{"seen": seen, "twice": cfg.twice, "written": "${{twice:${{lr}}}}" in written and "${{lr}}" in written}}
"""
CONFIG = """
a: ${counter:}
nested: {b: ["${counter:}"]}
text: number ${counter:}
follows: ${a}
lr: 1
twice: ${twice:${lr}}
"""


def test_what_is_on_record_is_what_main_saw_and_sees_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEW_STORE", str(project / "runs"))
    trial = Project(project)
    trial.write(SCRIPT.format('config_path=".", config_name="config"'))
    (project / "config.yaml").write_text(CONFIG)
    trial.run()
    record = trial.record(1)
    config = record.config
    assert record.result["seen"] == [config["a"], config["a"], config["nested"]["b"][0], config["text"], config["a"]]
    assert len({config["a"], config["nested"]["b"][0], int(config["text"].split()[1])}) == 3
    # main changes what the others refer to
    assert (record.result["twice"], record.result["written"]) == (4, True)
    anew.rerun(1, store=project / "runs")
    assert trial.record(2).config == config
    assert trial.record(2).result["seen"] == record.result["seen"]
