"""The description of the interface, and whatever can be asked by it: nothing of that is a fault of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from anew.runner.server.app import LIVE, WAYS
from anew.runner.store.folder import FolderStore
from tests.helpers.serving import Page, served

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def page(looked_at: FolderStore) -> Iterator[Page]:
    """A page from which all may be done."""
    with served(looked_at.root, "--allow-rerun") as page:
        yield page


@pytest.fixture(scope="module")
def described(page: Page) -> Any:
    """What the server says of itself, without what never ends."""
    found = page.get("openapi.json")
    del found["paths"][LIVE]
    schema = schemathesis.openapi.from_dict(found)
    schema.config.update(base_url=page.url)
    return schema


def test_everything_that_can_be_asked_is_described(page: Page) -> None:
    found = page.get("openapi.json")

    told = {(path, method.upper()) for path, each in found["paths"].items() for method in each}
    assert told == {(way.path, way.method) for way in WAYS} | {(LIVE, "GET")}
    assert all(each["summary"] for path in found["paths"].values() for each in path.values())


@pytest.mark.slow
def test_nothing_that_is_asked_is_a_fault(page: Page, described: Any) -> None:
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=12,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        def asked(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {page.token}"})

        asked()
