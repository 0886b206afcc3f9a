"""Who is let in: every page in the user's browser, and everybody on the machine, can reach a local server."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

from anew.runner.server.connections import MOST
from anew.runner.server.gate import Doors
from anew.runner.store.folder import FolderStore
from tests.helpers.serving import Page, served


def asked(page: Page, method: str = "GET", path: str = "/api/store", body: bytes | None = None, **headers: str) -> Any:
    """Ask as anybody may, with a cookie where one is given; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def cookie(page: Page) -> str:
    return f"anew-{page.port}={page.token}"


def own(page: Page) -> str:
    return f"http://127.0.0.1:{page.port}"


def test_nobody_gets_in_without_the_token(page: Page) -> None:
    for path in ("/", "/page/style.css", "/api/store", "/api/live", "/api/openapi.json", "/nothing"):
        assert asked(page, path=path)[0] == 401
        assert asked(page, path=path, Authorization="Bearer wrong")[0] == 401
        assert asked(page, path=path, Cookie=f"anew-{page.port}=wrong")[0] == 401
    assert asked(page, path="/?token=wrong")[0] == 401
    assert asked(page, path="/api/store?token=" + page.token)[0] == 401


def test_the_token_is_of_192_bits_and_another_each_time() -> None:
    tokens = {Doors.of(1).token for _ in range(10)}

    assert len(tokens) == 10
    assert all(len(token) == 32 for token in tokens)


def test_the_address_that_is_printed_gives_a_cookie_for_this_port_alone(page: Page) -> None:
    status, headers, body = asked(page, path=f"/?token={page.token}&q=lr")

    assert status == 200
    assert headers["set-cookie"] == f"anew-{page.port}={page.token}; HttpOnly; SameSite=Strict; Path=/"
    # the address in the browser is replaced by a script of ours, which keeps the rest of it
    assert b'<script src="/enter.js">' in body
    assert page.token.encode() not in body
    assert asked(page, path="/enter.js")[0] == 200


def test_the_cookie_opens_it_beside_those_of_other_servers(page: Page) -> None:
    several = f"anew-1=other; odd={{;=; {cookie(page)}; a b=c"

    assert asked(page, Cookie=several)[0] == 200
    assert asked(page, path="/", Cookie=several)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{}", ""]
)
def test_names_that_lead_here_by_dns_are_refused(page: Page, host: str) -> None:
    assert asked(page, Host=host.format(page.port), Cookie=cookie(page))[0] == 421


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}", "[::1]:{}"])
def test_its_own_names_are_answered(page: Page, host: str) -> None:
    assert asked(page, Host=host.format(page.port), Cookie=cookie(page))[0] == 200


def test_two_hosts_are_none(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as line:
        request = (
            f"GET /api/store HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nHost: evil\r\nCookie: {cookie(page)}\r\n\r\n"
        )
        line.sendall(request.encode())
        assert b" 4" in line.recv(100).split(b"\r\n")[0]


@pytest.fixture
def writable(store: FolderStore) -> Any:
    with served(store.root) as page:
        yield page


BODY = b'{"text": "hello"}'
NOTE = "/api/runs/1/note"


def test_what_the_page_writes_is_written(writable: Page, store: FolderStore) -> None:
    headers = {"Content_Type": "application/json", "Cookie": cookie(writable)}

    status, _, body = asked(writable, "POST", NOTE, BODY, Origin=own(writable), Sec_Fetch_Site="same-origin", **headers)

    assert (status, store.get(1).note) == (200, "hello"), body


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "http://evil.example", "Content_Type": "application/json"}, 403),
        ({"Origin": "http://127.0.0.1:1", "Content_Type": "application/json"}, 403),
        ({"Origin": "null", "Content_Type": "application/json"}, 403),
        ({"Content_Type": "application/json"}, 403),
        ({"Origin": "{own}", "Sec_Fetch_Site": "cross-site", "Content_Type": "application/json"}, 403),
        ({"Origin": "{own}", "Sec_Fetch_Site": "same-site", "Content_Type": "application/json"}, 403),
        (
            {"Origin": "{own}", "Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Content_Type": "text/plain"},
            415,
        ),
        ({"Origin": "{own}", "Content_Type": "text/plain"}, 415),
        ({"Origin": "{own}", "Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "{own}"}, 415),
    ],
)
def test_what_another_site_has_a_browser_write_is_refused(
    writable: Page, store: FolderStore, headers: dict[str, str], expected: int
) -> None:
    told = {name: value.format(own=own(writable)) for name, value in headers.items()}

    assert asked(writable, "POST", NOTE, BODY, Cookie=cookie(writable), **told)[0] == expected
    assert store.get(1).note is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_has_a_browser_read_is_refused_but_a_link_to_the_page(page: Page, site: str) -> None:
    assert asked(page, Cookie=cookie(page), Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
    assert asked(page, path="/", Cookie=cookie(page), Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_not_answered(page: Page, method: str) -> None:
    status, headers, _ = asked(page, method, Cookie=cookie(page), Origin=own(page))

    assert status == 405
    assert "access-control-allow-origin" not in headers


def test_nothing_is_written_where_it_is_only_to_be_read(page: Page, looked_at: FolderStore) -> None:
    for path, body in (
        ("runs/1/tags", {"add": ["x"]}),
        ("runs/1/note", {"text": "x"}),
        ("runs/delete", {"runs": [1]}),
        ("runs/restore", {"runs": [1]}),
        ("views", {"name": "x", "view": {}}),
        ("views/delete", {"name": "x"}),
        ("sweeps/1/stop", {}),
        ("sweeps/1/resume", {}),
        ("rerun", {"run": "1"}),
    ):
        assert page.client.post(f"/api/{path}", json=body).status_code == 403
    assert looked_at.get(1).tags == ()
    assert not looked_at.views().names()


@pytest.mark.parametrize("path", ["/", "/page/style.css", "/api/store", "/api/runs/1", "/nothing", "/?token={token}"])
def test_every_answer_says_what_a_browser_may_do_with_it(page: Page, path: str) -> None:
    _, headers, _ = asked(page, path=path.format(token=page.token), Cookie=cookie(page))
    policy = headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path in ("/", "/page/style.css") else "no-store")
    assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/page/../runner/server/app.py",
        "/page/..%2f..%2fpyproject.toml",
        "/page/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page//etc/passwd",
        "/page/package.json",
        "/page/node_modules/preact/package.json",
        "/page/src/app.js%00.css",
        "/page/src/",
        "/page",
    ],
)
def test_no_path_leads_out_of_the_page(page: Page, path: str) -> None:
    status, _, body = asked(page, path=path, Cookie=cookie(page))

    assert status == 404
    assert b"root:" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/1/content/..%2f..%2fFORMAT",
        "/api/runs/1/content/../../FORMAT",
        "/api/runs/..%2f1/output",
        "/api/runs/%2e%2e/page",
    ],
)
def test_no_path_leads_into_the_store_but_by_number_and_digest(page: Page, path: str) -> None:
    status, _, body = asked(page, path=path, Cookie=cookie(page))

    assert status in (400, 404)
    assert b'"error"' in body


def test_a_body_that_is_too_large_is_refused(writable: Page) -> None:
    answer = writable.client.post(NOTE, content=b" " * (1 << 20) + BODY, headers={"content-type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"nul", b'{"text": 1}', b'{"text": "x", "more": 1}', b"{}"])
def test_a_body_that_is_none_is_refused(writable: Page, body: bytes) -> None:
    answer = writable.client.post(NOTE, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_what_is_no_http_does_not_end_it(page: Page) -> None:
    for data in (
        b"\0" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 300_000,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", page.port), timeout=30) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            line.recv(1000)

    assert page.get("store")["runs"] == 6


def test_a_request_for_another_protocol_is_not_answered(page: Page) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Key": "x" * 24,
        "Sec_WebSocket_Version": "13",
    }

    assert asked(page, "GET", "/api/live", None, **upgrade)[0] in (400, 401, 403)


def test_a_browser_has_what_it_got_already(page: Page) -> None:
    first = page.client.get("/page/style.css")

    again = page.client.get("/page/style.css", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


def test_forwarded_headers_are_not_believed(page: Page) -> None:
    assert (
        asked(page, Host=f"evil:{page.port}", X_Forwarded_Host=f"127.0.0.1:{page.port}", Cookie=cookie(page))[0] == 421
    )


def test_the_page_asks_no_other_host(page: Page) -> None:
    index = page.client.get("/").text

    assert isinstance(page.client, httpx.Client)
    assert "//" not in index.replace("<!doctype", "")


def test_strangers_who_only_connect_keep_out_nobody_and_are_sent_away(store: FolderStore) -> None:
    with served(store.root) as page, ExitStack() as opened:

        def stranger(said: bytes) -> socket.socket:
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", page.port), timeout=60))
            connection.sendall(said)
            return connection

        strangers = [stranger(said) for said in (b"GET / HTTP/1.1\r\nX: ", b"") for _ in range(MOST + 14)]

        assert page.get("runs")["total"] == 2
        assert page.post("runs/1/tags", add=["x"])["tags"] == ["x"]
        # those that were too many, and those that wait for as long as they like
        assert [gone(strangers[place]) for place in (0, MOST, -1)] == [True] * 3


def test_a_second_request_that_is_sent_in_half_is_not_waited_for(page: Page) -> None:
    head = f"GET /api/store HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nCookie: {cookie(page)}\r\n".encode()
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(head)
        assert gone(connection)


def gone(connection: socket.socket) -> bool:
    """Wait until the other side has closed a connection, and return True; it may have answered before."""
    with suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return True
