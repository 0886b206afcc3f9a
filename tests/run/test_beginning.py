"""What a run begins with: secrets are out of it before anything of it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.config.main import ComposedJob
from anew.runner.places import Places
from anew.runner.records import CommandFacts, Provenance
from anew.runner.run.beginning import capture_beginning
from anew.runner.run.origin import Claim, Origin
from anew.runner.settings import Settings
from tests.helpers.stores import make_store

BY_NAME = "under-a-name-1"
TYPED = "typed-and-named-2"
IN_URL = "in-a-link-3"
IN_ENVIRONMENT = "in-the-environment-4"
SECRETS = (BY_NAME, TYPED, IN_URL, IN_ENVIRONMENT)


def test_a_secret_that_one_place_gives_away_is_in_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them stands somewhere under a name, or in a form, that tells; and elsewhere without either."""
    monkeypatch.setenv("SERVICE_TOKEN", IN_ENVIRONMENT)
    bare = f"{BY_NAME} {IN_URL} {IN_ENVIRONMENT}"
    job = ComposedJob(
        call=lambda run: None,
        config={"db": {"password": BY_NAME, "url": f"mongodb://me:{IN_URL}@host/x"}, "text": bare},
        unresolved=f"db:\n  password: {BY_NAME}\nnote: {bare} {TYPED}\n",
        overrides=(f"db.password={BY_NAME}", f"text={bare} {TYPED}"),
        choices={},
        settings={},
        provenance=Provenance(unresolved=f"note: {bare}\n", settings=(f"anew.note={bare} {TYPED}",)),
        views={"config.yaml": f"text: {bare}\n", "hydra.yaml": f"words:\n- text={bare} {TYPED}\n"},
    )
    command = CommandFacts(argv=("train.py", "--api-key", TYPED, f"text={bare}"), cwd=str(tmp_path))
    store = make_store(tmp_path / "runs")
    number, layout = store.claim()
    hydra = layout.files / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text(f"- text={bare} {TYPED}\n")

    beginning = capture_beginning(
        job,
        Claim(store=store, number=number, layout=layout, settings=Settings()),
        Origin(experiment="x", command=command, places=Places(tmp_path), scan=None, cache=tmp_path / "cache"),
    )

    kept = [repr(beginning.record), *beginning.views.values(), (hydra / "overrides.yaml").read_text()]
    assert [secret for secret in SECRETS for text in kept if secret in text] == []
    assert beginning.record.config["db"]["password"] == "<redacted>"
    assert beginning.record.overrides[0] == "db.password=<redacted>"
    assert not layout.record.exists()
