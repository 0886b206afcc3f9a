"""
Who may ask what: the token, the Host and Origin of a request, and the headers that every answer has.

A server on this machine can be reached by every page in the user's browser, and by everybody else on the machine.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anew.runner.server.connections import LET_IN

METHODS = ("GET", "HEAD", "POST")
ENTER = "/enter.js"
# Has the address without the token replace the one with it, or asks once more: a cookie that is Strict is not sent with
# a request that another site had the browser make, and is with one that a page of ours makes.
ENTER_SCRIPT = b"""\
const tried = "anew-tried";
const query = new URLSearchParams(location.search);
const arrived = query.has("token");
query.delete("token");
const rest = query.toString();
const here = location.pathname + (rest ? "?" + rest : "") + location.hash;
let first = arrived;
try {
  first = arrived || !sessionStorage.getItem(tried);
  if (arrived) sessionStorage.removeItem(tried);
  else sessionStorage.setItem(tried, "1");
} catch { /* storage is switched off */ }
if (arrived) location.replace(here);
else if (first) location.reload();
"""
_ENTERED = """<!doctype html><meta charset="utf-8"><title>Anew</title><script src="/enter.js"></script>
<noscript>The page needs scripts: they are switched off here.</noscript>"""
_REFUSED = """<!doctype html><meta charset="utf-8"><title>Anew</title><script src="/enter.js"></script>
<h1>Who is there?</h1><p>Open the whole address that <code>anew ui</code> printed, with its token.</p>"""
_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Doors:
    """
    How the server may be reached.

    Attributes:
        port: Its port, which the cookie is named after: cookies do not know ports, and two servers would share one.
        token: What opens it.
        hosts: The names that it may be asked by, with ports.
        frames: Origins whose pages may show it in a frame.
    """

    port: int
    token: str
    hosts: frozenset[str]
    frames: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        """The name of the cookie."""
        return f"anew-{self.port}"

    @classmethod
    def of(cls, port: int, *, names: Iterable[str] = (), frames: Iterable[str] = ()) -> Doors:
        """Make doors with a new token of 192 bits, for this machine's own names and others."""
        own = ("127.0.0.1", "localhost", "[::1]", *names)
        return cls(port, secrets.token_urlsafe(24), frozenset(f"{name.lower()}:{port}" for name in own), tuple(frames))


def script_digests(page: bytes) -> str:
    """Return what a policy says of the import maps in a page of ours, which can stand nowhere else."""
    digests = (base64.b64encode(hashlib.sha256(inside).digest()).decode() for inside in _INLINE.findall(page))
    return "".join(f" 'sha256-{each}'" for each in digests)


class Gate:
    """
    An ASGI application that lets through to another one what may ask, and sets the headers of every answer.

    Args:
        app: What answers.
        doors: How it may be reached.
        scripts: What the policy allows beside scripts of this server.
    """

    def __init__(self, app: ASGIApp, doors: Doors, scripts: str = "") -> None:
        self._app = app
        self._doors = doors
        ancestors = " ".join(doors.frames) or "'none'"
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self' data: blob:; "
                "media-src 'self' blob:; connect-src 'self'; font-src 'self'; frame-src 'self'; object-src 'none'; "
                f"base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            **({} if doors.frames else {"x-frame-options": "DENY"}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refused(scope) or self._entered(scope)
        scope[LET_IN] = answer is None
        await (answer or self._app)(scope, receive, self._sending(send))

    def _sending(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return with_headers

    # --- who asks ---------------------------------------------------------------------------------------------------

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self._doors.hosts:
            return _told(421, "This server does not go by that name.", "Open the address that anew ui printed.")
        if scope["method"] not in METHODS:
            return _told(405, f"{scope['method']} is not answered here.", allow=", ".join(METHODS))
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin):
            return _told(403, "Another site had this asked.")
        site = headers.get("sec-fetch-site", "none")
        is_navigation = headers.get("sec-fetch-mode") == "navigate" and scope["method"] != "POST"
        if site not in ("none", "same-origin") and not is_navigation:
            return _told(403, "Another site had this asked.")
        return None

    def _is_own(self, origin: str) -> bool:
        scheme, _, host = origin.lower().partition("://")
        return scheme in ("http", "https") and host in self._doors.hosts

    def _entered(self, scope: Scope) -> Response | None:
        """Return the answer to who brings the token in an address, and to who brings none; None for who may go on."""
        headers = Headers(scope=scope)
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token")
        if scope["path"] == "/" and given is not None and self._is_token(given):
            response = HTMLResponse(_ENTERED)
            # by hand, since the cookie is of this session: it has no age
            cookie = f"{self._doors.cookie}={self._doors.token}; HttpOnly; SameSite=Strict; Path=/"
            response.headers.append("set-cookie", cookie)
            return response
        if scope["path"] == ENTER:
            return Response(ENTER_SCRIPT, media_type="text/javascript")
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        if not self._is_token(_cookies(headers).get(self._doors.cookie, "")):
            if scope["path"].startswith("/api/"):
                return _told(401, "This needs the token.", "Open the whole address that anew ui printed.")
            return HTMLResponse(_REFUSED, 401)
        # a browser says where a request that writes comes from; what brings a cookie and does not say it is none
        if scope["method"] == "POST" and headers.get("origin") is None:
            return _told(403, "Where this comes from is not said (Origin).")
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "backslashreplace"), self._doors.token.encode())


def _cookies(headers: Headers) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            # one that is odd must not hide the others, which are of other servers of this machine
            try:
                found.update({name: morsel.value for name, morsel in SimpleCookie(part.strip()).items()})
            except CookieError:
                continue
    return found


def _told(status: int, message: str, hint: str | None = None, **headers: str) -> Response:
    error: dict[str, Any] = {"message": message, **({"hint": hint} if hint else {})}
    return JSONResponse({"error": error}, status, headers=headers)
