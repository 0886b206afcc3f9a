"""What runs made and read is handed over so that nothing in it runs as a part of the page."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.serving import Page, served
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until


def content(page: Page, run: int, name: str, **params: Any) -> Any:
    """Return the answer for an artifact, by its digest."""
    found = {each["path"]: each for each in page.get(f"runs/{run}/artifacts")["artifacts"]}[name]
    return page.client.get(f"/api/runs/{run}/content/{found['sha256']}", params={"name": name, **params})


def test_a_page_among_artifacts_is_sandboxed(page: Page) -> None:
    answer = content(page, 1, "page.html")

    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in answer.headers["content-security-policy"]
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_picture_is_shown_and_what_nobody_knows_is_a_download(page: Page) -> None:
    picture, model = content(page, 1, "picture.png"), content(page, 1, "model.bin")

    assert picture.headers["content-type"] == "image/png"
    assert "content-disposition" not in picture.headers
    assert model.headers["content-type"] == "application/octet-stream"
    assert model.headers["content-disposition"] == "attachment; filename*=UTF-8''model.bin"


def test_what_is_to_be_downloaded_is(page: Page) -> None:
    assert content(page, 1, "page.html", download="true").headers["content-type"] == "application/octet-stream"


def test_hostile_names_are_names_and_no_paths(page: Page) -> None:
    markup, up = (
        content(page, 5, "<img src=x onerror=alert(1)>.html", download="true"),
        content(page, 5, "../../up.txt"),
    )

    assert "<" not in markup.headers["content-disposition"]
    assert up.text == "text"
    assert up.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "name", ["x.html", "x.svg", "x.xhtml", "x.xml", "x.js", "x.pdf", "x", "x.png\r\nSet-Cookie: a=b"]
)
def test_a_name_that_is_given_changes_no_safety(page: Page, name: str) -> None:
    found = page.get("runs/1/artifacts")["artifacts"][0]

    answer = page.client.get(f"/api/runs/1/content/{found['sha256']}", params={"name": name})

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["content-type"].partition(";")[0] in (
        "text/html", "image/svg+xml", "text/plain", "application/pdf", "application/octet-stream",
    )  # fmt: skip
    assert "set-cookie" not in answer.headers


def test_artifacts_say_how_they_can_be_shown(page: Page) -> None:
    found = {each["path"]: each["preview"] for each in page.get("runs/1/artifacts")["artifacts"]}

    assert found == {"page.html": "html", "picture.png": "image", "model.bin": None}


def test_content_of_another_run_is_not_had_by_this_one(page: Page) -> None:
    [other] = [each for each in page.get("runs/5/artifacts")["artifacts"] if each["path"].startswith("<")]

    assert page.client.get(f"/api/runs/1/content/{other['sha256']}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "text", "said"),
    [
        ("bytes=8-12", 206, b"alert", "bytes 8-12/25"),
        ("bytes=16-", 206, b"</script>", "bytes 16-24/25"),
        ("bytes=-9", 206, b"</script>", "bytes 16-24/25"),
        ("bytes=0-999", 206, b"<script>alert(1)</script>", "bytes 0-24/25"),
        ("bytes=25-", 416, b"", "bytes */25"),
        ("bytes=-0", 416, b"", "bytes */25"),
        ("bytes=30-40", 416, b"", "bytes */25"),
        ("Bytes=8-12", 206, b"alert", "bytes 8-12/25"),
        # what is not understood, or would be several parts, is answered with all of it
        ("bytes=9-3", 200, b"<script>alert(1)</script>", None),
        ("bytes=25-24", 200, b"<script>alert(1)</script>", None),
        ("bytes=40-30", 200, b"<script>alert(1)</script>", None),
        ("bytes=-", 200, b"<script>alert(1)</script>", None),
        ("bytes=30-40,0-1", 200, b"<script>alert(1)</script>", None),
        ("bytes=--5", 200, b"<script>alert(1)</script>", None),
        ("bytes=0-1,5-6", 200, b"<script>alert(1)</script>", None),
        ("lines=1-2", 200, b"<script>alert(1)</script>", None),
    ],
)
def test_a_player_is_given_the_part_that_it_asks_for(
    page: Page, asked: str, status: int, text: bytes, said: str | None
) -> None:
    for name in ("a.webm", "page.html"):
        found = {each["path"]: each for each in page.get("runs/1/artifacts")["artifacts"]}["page.html"]
        answer = page.client.get(
            f"/api/runs/1/content/{found['sha256']}", params={"name": name}, headers={"range": asked}
        )

        assert (answer.status_code, answer.content) == (status, text)
        assert answer.headers.get("content-range") == said
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-length"] == str(len(text))
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_content_is_let_go_of_where_whoever_asked_leaves_in_the_midst_of_it(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, artifacts={"film.webm": bytes(1 << 25)})
    with served(store.root) as page:
        [film] = page.get("runs/1/artifacts")["artifacts"]
        head = f"GET /api/runs/1/content/{film['sha256']} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", page.port)) as connection:
                connection.sendall(f"{head}Authorization: Bearer {page.token}\r\n\r\n".encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        held = Path(f"/proc/{page.process.pid}/fd")
        until(lambda: not [each for each in held.iterdir() if "objects" in os.path.realpath(each)])
