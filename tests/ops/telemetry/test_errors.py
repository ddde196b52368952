"""What goes wrong in a session is found in a real Bugsink, and no secret with it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nicegold import PluginFailed
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Run, caused, payloads, read
from nicegold_ops.telemetry.errors import Rate
from nicegold_ops.telemetry.logs import Logs, logger
from nicegold_ops.trace import trace_id
from tests.ops.commandline import Shell, logged, market_in, spawn
from tests.services.bugsink import Bugsink, bugsink

pytestmark = pytest.mark.slow

CANARY = "canary-7f3a91c2"
#: It fails at every bar, with its secret in a variable, and from some bar on in its words too.
CARELESS = """
import logging

from nicegold import Bar, Secret, hookimpl, plugin


@plugin
class Careless:
    key: Secret

    @hookimpl
    def shutdown(self) -> None:
        raise TimeoutError("does not want to end")

    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        opened = self.key.reveal()
        self.count = getattr(self, "count", 0) + 1
        if self.count == 1:
            logging.getLogger("nicegold.careless").error("begins with %s and %r", opened, self.key)
            raise LookupError("no price", opened)
        raise RuntimeError(f"no price after {self.count} bars")
"""
#: Where it raises that.
LINE = CARELESS[: CARELESS.index("raise RuntimeError")].count("\n") + 1
WITH_CARELESS = ('plugins.careless.use="careless:Careless"', 'plugins.careless.key="env:CANARY"')


@pytest.fixture(scope="module")
def server() -> Iterator[Bugsink]:
    with bugsink() as running:
        yield running


@pytest.fixture(autouse=True)
def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "careless.py").write_text(CARELESS)
    monkeypatch.setenv("CANARY", CANARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("careless", None)


def lived(folder: Path, *overrides: str, name: str = "run") -> App:
    """A session on paper with a plugin that fails, from its first bar to its last."""
    logs = Logs(file=folder / "log.jsonl", stream=None)
    app = bootstrap(load(market_in(folder), (*WITH_CARELESS, *overrides)), Run(name, "paper", 1))
    logs.trace = app.telemetry.trace
    try:
        session.paper(app, stop=threading.Event())
    finally:
        if app.errors is not None:
            app.errors.close()
        logs.close()
    return app


def sending(monkeypatch: pytest.MonkeyPatch, dsn: str) -> tuple[str, ...]:
    monkeypatch.setenv("DSN", dsn)
    return ('errors.dsn="env:DSN"', 'errors.environment="desk"')


def test_a_plugin_that_fails_all_the_time_is_one_issue_with_what_leads_to_it(server, tmp_path, monkeypatch):
    app = lived(tmp_path, *sending(monkeypatch, server.dsn), name="failing")

    failed = [each for each in caused(read(app.store, "failing")) if isinstance(each.event, PluginFailed)]
    app.close()
    [issue] = [each for each in server.issues() if each.type == "RuntimeError"]
    [event] = issue.events
    tags = ("plugin", "hook", "plugin.kind", "strategy", "run", "mode")
    assert ["careless", "on_bar", "strategy", "careless", "failing", "paper"] == [event.tags[k] for k in tags]
    assert "no price after 2 bars" == issue.value
    assert event.data["release"].startswith("nicegold@")
    assert "desk" == event.data["environment"]
    assert trace_id("failing", failed[1].cause) == event.data["contexts"]["trace"]["trace_id"]
    frame = event.data["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert ("careless.py", "Careless.on_bar", LINE) == (frame["filename"], frame["function"], frame["lineno"])
    assert frame["in_app"]
    assert app.errors is not None
    assert len(failed) - 3 == app.errors.dropped()["rate_limited"]
    assert 4 == app.errors.exported()


def test_neither_a_variable_nor_a_secret_gets_out(server, tmp_path, monkeypatch):
    lived(tmp_path, *sending(monkeypatch, server.dsn), name="canary").close()

    events = [event for issue in server.issues() for event in issue.events if event.tags["run"] == "canary"]
    sent = json.dumps([event.data for event in events])
    assert {"LookupError", "RuntimeError"} <= {
        each for each in ("LookupError", "RuntimeError") if each in sent
    }
    assert "begins with ******** and Secret(" in sent
    assert CANARY not in sent
    assert '"vars"' not in sent
    assert "context_line" not in sent


def test_what_is_logged_as_an_error_arrives_with_its_exception(server, tmp_path, monkeypatch):
    app = bootstrap(load(market_in(tmp_path), sending(monkeypatch, server.dsn)), Run("logged", "paper", 1))

    logger("desk").warning("a warning")
    logger("desk").error("a line")
    try:
        raise OSError("the wire is cut")
    except OSError:
        logger("desk").exception("no answer")
        logging.getLogger("nicegold.plain").exception("no %s", "connection")
    assert app.errors is not None
    app.errors.crashed(ValueError("the end"))
    app.close()

    events = [event.data for issue in server.issues() for event in issue.events]
    mine = [event for event in events if event["tags"]["run"] == "logged"]
    said = [
        (event["logger"], event["exception"]["values"][0]["value"])
        if "exception" in event
        else (event["logger"], event["logentry"]["message"])
        for event in mine
    ]
    assert [
        ("nicegold", "the end"),
        ("nicegold.desk", "a line"),
        ("nicegold.desk", "no answer: the wire is cut"),
        ("nicegold.plain", "no connection: the wire is cut"),
    ] == sorted(said)


# Nobody is there.


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    """What is on record where nobody is told of errors."""
    folder = tmp_path / "quiet"
    folder.mkdir()
    app = lived(folder)
    try:
        return payloads(app.store, "run")
    finally:
        app.close()


def on_record(app: App) -> bytes:
    try:
        return payloads(app.store, "run")
    finally:
        app.close()


def lines(record: bytes) -> list[bytes]:
    """Without the first, which has the configuration."""
    return record.split(b"\n")[1:]


def test_a_server_that_is_stopped_changes_nothing(expected, tmp_path, monkeypatch):
    with bugsink() as server:
        server.stop()

        app = lived(tmp_path, *sending(monkeypatch, server.dsn))

        record = on_record(app)
    assert app.errors is not None
    assert lines(expected) == lines(record)
    assert 4 == app.errors.dropped()["refused"]


def test_a_server_that_never_answers_changes_nothing_and_holds_the_end_for_seconds_at_most(
    expected, tmp_path, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = lived(tmp_path, *sending(monkeypatch, f"http://key@127.0.0.1:{silent.getsockname()[1]}/1"))

        record = on_record(app)

    assert app.errors is not None
    assert lines(expected) == lines(record)
    assert 4 == app.errors.dropped()["unsent"]


# The commands.


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def private_key() -> str:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def sent_of(server: Bugsink, mode: str) -> list[str]:
    """What the errors of commands in this *mode* said."""
    events = [event for issue in server.issues() for event in issue.events]
    return [
        event.data["exception"]["values"][0]["value"]
        for event in events
        if event.tags.get("mode") == mode and "plugin" not in event.tags and "exception" in event.data
    ]


def test_what_ends_a_command_is_sent_before_its_process_ends(server, shell, monkeypatch):
    monkeypatch.setenv("DSN", server.dsn)
    monkeypatch.setenv("SIGNING_KEY", private_key())
    path = market_in(shell.folder)
    path.write_text(
        path.read_text() + '\n[errors]\ndsn = "env:DSN"\n[audit]\nsigning_key = "env:SIGNING_KEY"\n'
    )
    shell("run", "--set", "run.mode=paper")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = shell("run", "--set", "run.mode=paper", "--set", f"run.metrics_port={port}")
        work = shell("work", "--metrics-port", str(port))

    assert (2, 2) == (run.code, work.code), (run.err, work.err)
    for mode in ("work", "paper"):
        assert str(port) in sent_of(server, mode)[-1]


def test_a_session_that_is_told_to_stop_sends_what_goes_wrong_at_its_end_too(server, tmp_path, monkeypatch):
    path = market_in(tmp_path, bars=20_000)
    options = (*WITH_CARELESS, *sending(monkeypatch, server.dsn), "errors.environment=stopped")
    path.write_text(path.read_text() + "\n[errors]\n[plugins.careless]\n")
    set_to = [word for option in ("run.mode=paper", "run.pace=100", *options) for word in ("--set", option)]

    with spawn(tmp_path, "run", *set_to, env={**os.environ, "PYTHONPATH": str(tmp_path)}) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    events = [
        event.data for issue in server.issues() for event in issue.events if issue.type == "TimeoutError"
    ]
    assert 0 == process.returncode, said
    # It is told where errors go, and in the log as what it is to a session.
    assert ["plugin.failed"] == [
        each["event.action"] for each in logged(err) if each["log.level"] == "warning"
    ], said
    assert ["does not want to end"] == [
        event["exception"]["values"][0]["value"] for event in events if event["environment"] == "stopped"
    ]


# Without a server.


def test_what_is_no_dsn_is_said_without_repeating_it(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"\[errors\] dsn: what is there is no DSN") as caught:
        bootstrap(load(market_in(tmp_path), sending(monkeypatch, CANARY)), Run("run", "paper", 1))

    assert CANARY not in str(caught.value)


def test_one_of_a_kind_is_let_through_each_minute_and_kinds_are_bounded():
    now = [0.0]
    rate = Rate(lambda: now[0])

    assert [True, False, True] == [rate.takes((name,)) for name in ("a", "a", "b")]
    assert 998 == sum(rate.takes((str(number),)) for number in range(2000))
    now[0] = 60.0
    assert [True, True] == [rate.takes((name,)) for name in ("a", "new")]
