"""`anew ui` from its start to its end, and what it says when it cannot start."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.errors import AnewError
from anew.runner.server import page_files, serve
from anew.runner.server.page_files import PageFiles
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW, anew
from tests.helpers.serving import free_port, served
from tests.helpers.waiting import until

USED = 2


def refused(folder: Path, *words: str, **env: str) -> str:
    """Return what is said where it does not start."""
    done = anew(folder, "ui", "--no-browser", *words, code=USED, **env)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_prints_one_address_and_ends_when_it_is_told_to(store: FolderStore, number: int, code: int) -> None:
    with served(store.root) as page:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", page.said[0])
        assert page.stop(number) == code
        assert page.process.stdout is not None
        assert page.process.stderr is not None
        assert (page.process.stdout.read(), page.process.stderr.read()) == ("", "")


def test_a_port_that_is_taken_is_said(store: FolderStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(store.root, "--store", ".", "--port", str(taken.getsockname()[1]))

    assert "is taken" in said
    assert "anew ui --port" in said


def test_without_a_port_a_second_one_takes_another(store: FolderStore) -> None:
    with served(store.root) as first, served(store.root, "--port", str(free_port())) as second:
        assert first.port != second.port
        assert first.get("store")["runs"] == second.get("store")["runs"] == 2


def test_a_store_that_there_is_not_is_said(tmp_path: Path) -> None:
    assert "There is no store" in refused(tmp_path, "--store", "nowhere")


def test_an_empty_store_is_shown(tmp_path: Path) -> None:
    FolderStore.open(tmp_path / "runs", create=True)
    with served(tmp_path / "runs") as page:
        assert page.get("store")["runs"] == 0
        assert page.get("runs")["rows"] == []
        assert page.get("columns")["columns"]
        assert page.get("sweeps") == {"sweeps": []}


def test_other_machines_are_let_in_only_when_that_is_said_twice(store: FolderStore) -> None:
    said = refused(store.root, "--store", ".", "--host", "0.0.0.0")

    assert "--allow-remote" in said
    assert "not encrypted" in said
    assert "no address of this machine" in refused(store.root, "--store", ".", "--host", "192.0.2.7", "--allow-remote")


def test_a_machine_that_is_let_in_is_answered_by_its_name(store: FolderStore) -> None:
    words = [*ANEW, "ui", "--store", str(store.root), "--no-browser", "--host", "0.0.0.0", "--allow-remote"]
    words += ["--port", str(free_port())]
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "not encrypted" in process.stderr.read()
    assert line.startswith(f"http://{socket.gethostname()}:")


def test_an_address_that_cannot_be_printed_ends_it_with_a_sentence(store: FolderStore) -> None:
    words = [*ANEW, "ui", "--store", str(store.root), "--no-browser", "--port", str(free_port())]
    with open("/dev/full", "w") as full:  # it is a device
        done = subprocess.run(words, text=True, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)

    assert done.returncode == USED
    assert "Traceback" not in done.stderr
    assert "What is printed cannot be written" in done.stderr


@pytest.mark.parametrize("lead", [">&-", ">/dev/null"])
def test_an_address_that_nobody_is_told_is_not_served(store: FolderStore, lead: str) -> None:
    words = shlex.join([*ANEW, "ui", "--store", str(store.root), "--no-browser", "--port", str(free_port())])
    done = subprocess.run(["sh", "-c", f"{words} {lead}"], text=True, stderr=subprocess.PIPE, check=False, timeout=60)

    assert done.returncode == USED
    assert "nobody would have the address" in done.stderr
    assert "anew ui > FILE" in done.stderr


def test_what_is_refused_is_not_said_to_be_open_to_others(store: FolderStore) -> None:
    said = refused(store.root, "--store", ".", "--host", "nosuch.invalid", "--allow-remote")
    port = refused(store.root, "--store", ".", "--host", "0.0.0.0", "--port", "5111")

    assert "other machines can reach" not in said
    assert "ssh -N -L 5111:127.0.0.1:5111" in port


def test_starting_runs_and_changing_nothing_do_not_go_together(store: FolderStore) -> None:
    assert "one of them" in refused(store.root, "--store", ".", "--read-only", "--allow-rerun")


def test_over_ssh_it_says_what_to_type_where_one_sits(store: FolderStore) -> None:
    with served(store.root, SSH_CONNECTION="192.0.2.1 5000 192.0.2.2 2222", DISPLAY=":9") as page:
        assert page.process.stdout is not None
        line = page.process.stdout.readline()
    assert f"ssh -N -L {page.port}:127.0.0.1:{page.port} -p 2222 " in line
    assert line.rstrip().endswith("@192.0.2.2")


def test_a_browser_is_opened_by_a_file_that_others_cannot_read(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is given to a program is seen by all users of the machine."""
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}.new; mv {seen}.new {seen}\n')
    browser.chmod(0o755)
    state = tmp_path / "state"
    words = [*ANEW, "ui", "--store", str(store.root), "--port", str(free_port())]
    environment = {**os.environ, "BROWSER": f"{browser} %s", "DISPLAY": ":9", "XDG_STATE_HOME": str(state)}
    environment.pop("SSH_CONNECTION", None)
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        until(seen.exists)
        given = seen.read_text().strip()
        path = Path(given.removeprefix("file://"))
        mode, text = stat.S_IMODE(path.stat().st_mode), path.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert given.startswith(f"file://{state}")
    assert mode == 0o600
    assert url in text
    assert url.partition("token=")[2] not in given
    assert not path.exists()


def test_without_its_libraries_it_names_the_extra(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')\n")

    assert "pip install 'anew[ui]'" in refused(store.root, "--store", ".", PYTHONPATH=str(tmp_path))


def test_without_its_files_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_files, "_NEEDED", ("index.html", "vendor/never-made.json"))

    with pytest.raises(AnewError, match="make page"):
        PageFiles.found()


def test_nothing_of_it_is_loaded_by_other_commands(store: FolderStore) -> None:
    code = (
        "import sys; from anew.runner.cli import main; main(['list', '--store', '.']); "
        "print([name for name in sys.modules"
        " if name.startswith(('starlette', 'uvicorn', 'msgspec', 'anew.runner.server'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=store.root, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.long
def test_a_large_store_that_was_never_read_is_shown_while_it_is_read(tmp_path: Path) -> None:
    from benchmarks.filled_store import fill

    fill(tmp_path / "runs", 3_000, small=True)
    with served(tmp_path / "runs") as page:
        first = page.get("runs", limit=100, columns="result")
        assert (first["total"], len(first["rows"]), first["rows"][0]["id"]) == (3_000, 100, 3_000)
        until(lambda: page.get("store")["indexing"] is None, seconds=120)
        last = page.get("runs", limit=2_000, offset=2_900, columns="result")
        assert [row["id"] for row in last["rows"]] == [*range(100, 0, -1)]
        assert page.get("runs", q="result < 0.0005", sort="-result")["total"] == 1_000
        assert page.get("runs", sort="result", limit=2)["rows"][0]["id"] == 3_000


def test_a_notebook_shows_it_in_a_frame(store: FolderStore) -> None:
    code = (
        "import anew, urllib.request\n"
        f"page = anew.ui({str(store.root)!r}, height=300)\n"
        f"assert anew.ui({str(store.root)!r}).url == page.url\n"
        "html = page._repr_html_()\n"
        "assert '<iframe' in html and page.url in html and 'height=\"300\"' in html\n"
        "answer = urllib.request.urlopen(page.url)\n"
        "assert 'http://localhost:*' in answer.headers['content-security-policy']\n"
        "assert answer.headers['x-frame-options'] is None\n"
        "print('shown')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout == "shown\n"


def test_the_usual_port_is_left_to_whoever_has_it(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(serve, "PORT", taken.getsockname()[1])
        page = serve.Served(store, serve.Options())

    assert page.port not in (0, serve.PORT)
    page._socket.close()


def test_the_first_page_names_the_modules_that_it_needs_and_they_come_packed(store: FolderStore) -> None:
    with served(store.root) as page:
        index = page.client.get("/").text
        named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', index)
        assert len(named) == len(set(named)) > 30
        assert {"/page/src/app.js", "/page/src/table.js", "/page/vendor/preact.js", "/page/vendor/uplot.js"} <= {*named}
        sent = 0
        for name in (*named, "/page/style.css", "/page/src/runs.css", "/page/views/run.css"):
            with page.client.stream("GET", name) as answer:
                assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip"), name
                sent += sum(len(piece) for piece in answer.iter_raw())
            plain = page.client.get(name, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers
            assert plain.content == page.client.get(name).content
        assert sent < 300_000
