"""What `nicegold doctor` says of the servers that a configuration names."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from tests.ops.audit.test_checkpoint import pem
from tests.ops.commandline import Shell, market_in
from tests.services.bugsink import bugsink
from tests.services.elasticsearch import elasticsearch
from tests.services.jaeger import jaeger


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    market_in(tmp_path, bars=10)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def looked(shell: Shell, about: str, table: str) -> tuple[str, str, str]:
    """What is said of *about*, with *table* in the configuration."""
    path = shell.folder / "nicegold.toml"
    before = re.split(r"\[(?:elasticsearch|traces|errors)\]", path.read_text())[0]
    path.write_text(f"{before}\n{table}\n")
    found = {each["about"]: each for each in shell("doctor", "--json", "-").json}
    return found[about]["status"], found[about]["says"], found[about].get("way_out", "")


@pytest.mark.slow
def test_servers_that_are_there_are_well_and_those_that_are_gone_are_named(shell):
    with elasticsearch("9.0.8") as node:
        there = f'[elasticsearch]\nurl = "{node.url}"'
        assert ("ok", f"9.0.8 at {node.url}", "") == looked(shell, "elasticsearch", there)
        node.kill()
        status, says, way_out = looked(shell, "elasticsearch", there)
        assert ("fail", True, True) == (status, "does not answer" in says, way_out.startswith("start it"))
    with jaeger() as traces:
        there = f'[traces]\nendpoint = "{traces.otlp}"'
        assert ("ok", traces.otlp, "") == looked(shell, "traces", there)
        wrong = looked(shell, "traces", f'[traces]\nendpoint = "{traces.otlp}/no"')
        assert ("fail", True) == (wrong[0], "answers 404, so it takes no spans there" in wrong[1])
        traces.kill()
        gone = looked(shell, "traces", there)
        assert ("fail", True) == (gone[0], "refused" in gone[1])


class Elsewhere(BaseHTTPRequestHandler):
    """Sends whoever asks to /elsewhere, and notes what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_key_does_not_follow_a_redirect(shell):
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        status, says, _ = looked(
            shell, "traces", f'[traces]\nendpoint = "http://127.0.0.1:{server.server_port}/v1/traces"'
        )
        server.shutdown()

    assert ("fail", True) == (status, "answers 302, so it takes no spans there" in says)
    assert ["/v1/traces"] == Elsewhere.asked


@pytest.mark.slow
def test_where_errors_go_is_asked_whether_it_takes_ours_and_gets_none(shell, monkeypatch):
    table = '[errors]\ndsn = "env:SENTRY_DSN"'
    with bugsink() as server:
        monkeypatch.setenv("SENTRY_DSN", server.dsn)
        assert ("ok", f"http://127.0.0.1:{server.port}/api/1/envelope/", "") == looked(shell, "errors", table)
        monkeypatch.setenv("SENTRY_DSN", server.dsn[:-1] + "7")
        status, says, way_out = looked(shell, "errors", table)
        assert ("fail", True, True) == (status, "does not let us in" in says, "[errors] dsn" in way_out)
        assert [] == server.issues()
        server.kill()
        status, says, way_out = looked(shell, "errors", table)
        assert ("fail", True, True) == (status, "refused" in says, way_out.startswith("start it"))


def test_a_dsn_that_is_none_is_said_and_not_repeated(shell, monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "garbage")

    status, says, _ = looked(shell, "errors", '[errors]\ndsn = "env:SENTRY_DSN"')

    assert ("fail", True, False) == (status, "is no DSN" in says, "garbage" in says)


def test_a_key_that_signs_is_well_and_where_nothing_is_published_that_is_said(shell):
    (shell.folder / "audit.pem").write_text(pem().reveal())
    (shell.folder / "audit.pem").chmod(0o600)
    table = f'[audit]\nsigning_key = "file:{shell.folder}/audit.pem"'

    status, says, _ = looked(shell, "audit", table)
    assert ("warn", True) == (status, "nothing is published" in says)
    status, says, _ = looked(shell, "audit", 'publish = "nowhere/published.jsonl"')
    assert ("fail", True) == (status, says.endswith("nowhere is no folder"))


def test_a_dsn_that_cannot_be_read_is_named(shell, monkeypatch):
    monkeypatch.delenv("DSN", raising=False)
    table = '[errors]\ndsn = "env:DSN"'

    status, says, way_out = looked(shell, "[errors] dsn", table)

    assert ("fail", "a run that needs it does not begin") == (status, way_out)
    assert "env:DSN: the variable is not" in says


def test_a_key_that_is_none_is_named_and_not_repeated(shell):
    (shell.folder / "audit.pem").write_text("garbage")
    status, says, _ = looked(shell, "audit", f'[audit]\nsigning_key = "file:{shell.folder}/audit.pem"')

    assert ("fail", False) == (status, "garbage" in says)
    assert "no private key of Ed25519" in says
