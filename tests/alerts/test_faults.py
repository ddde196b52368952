"""What a session tells of itself cannot arrive, or it cannot begin: that is told, and no record differs.

Each fault has a real server that is stopped or sealed, and all are scraped by one real Prometheus.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run, payloads
from tests.ops.commandline import market_in, spawned
from tests.ops.telemetry.children import child, ended
from tests.services.bugsink import bugsink
from tests.services.jaeger import jaeger
from tests.services.openbao import openbao
from tests.services.postgresql import free_port
from tests.services.prometheus import Prometheus, deployed, prometheus, until

pytestmark = pytest.mark.slow

#: Fails at every bar, so that there is an error to send.
FAILS = """
from nicegold import Bar, hookimpl, plugin


@plugin
class Fails:
    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        raise LookupError("no price")
"""

#: Each session here has a strategy that never decides.
SILENT = ("NicegoldStrategySilent", "")
#: By fault, the alerts that fire at its session, with the signal that is lost where one is. Of a fork
#: nobody is told.
FIRED = {
    "traces": {("NicegoldTelemetryDropping", "trace"), SILENT},
    "errors": {("NicegoldTelemetryDropping", "error"), SILENT},
    "forks": {SILENT},
    "sealed": {("NicegoldDown", "")},
    "files": {("NicegoldFilesExhausted", "")},
    "restarts": {("NicegoldRestarting", "")},
}
#: What else that strategy causes.
CAUSED = {"Watchdog", "NicegoldPluginFailing", "NicegoldErrorBudgetBurnFast", "NicegoldErrorBudgetBurnSlow"}
#: A process that is watched as a session is, and has so many files open of the 64 that it may.
WATCHED = """
import os, resource, signal, sys
from pathlib import Path

from nicegold_ops.telemetry import Telemetry

folder, port, files = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
telemetry = Telemetry(Path(folder), "run")
telemetry.serve("127.0.0.1", int(port), lambda: (True, {}))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(int(files))]
signal.pause()
"""


def begun(folder: Path, *overrides: str) -> App:
    folder.mkdir()
    return bootstrap(
        load(market_in(folder), ('plugins.fails.use="fails:Fails"', *overrides)), Run("run", "paper", 1)
    )


def on_record(app: App) -> bytes:
    """Without its first line, which has the configuration."""
    return payloads(app.store, "run").partition(b"\n")[2]


def trade(app: App) -> None:
    session.paper(app, stop=threading.Event())


def told(server: Prometheus, instance: str) -> set[tuple[str, str]]:
    """What fires at *instance* because of its fault."""
    found = server.query(f'ALERTS{{alertstate="firing", instance="{instance}"}}')
    alerts = ((labels["alertname"], labels.get("signal", "")) for labels, _ in found)
    # A process that is watched and trades nothing lacks what a session has.
    return {(name, signal) for name, signal in alerts if name not in {*CAUSED, "NicegoldMetricsAbsent"}}


@contextmanager
def watched(folder: Path, address: str, files: int) -> Iterator[None]:
    port = address.partition(":")[2]
    with subprocess.Popen([sys.executable, "-c", WATCHED, str(folder), port, str(files)]) as process:
        try:
            yield
        finally:
            process.kill()


def restart(folder: Path, address: str, server: Prometheus) -> None:
    """Begin and end, so often that it is told, and stay."""
    seen: set[float] = set()
    begin = f'process_start_time_seconds{{instance="{address}"}}'

    def is_new() -> bool:
        found = {value for _, value in server.query(begin)} - seen
        seen.update(found)
        return bool(found)

    for _ in range(4):
        with watched(folder, address, files=0):
            until(is_new, "it is not scraped")


def test_a_fault_is_told_by_its_alert_and_what_is_on_record_is_the_same(tmp_path, monkeypatch):
    (tmp_path / "fails.py").write_text(FAILS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with ExitStack() as undo:
        store, sentry = undo.enter_context(jaeger()), undo.enter_context(bugsink())
        bao = undo.enter_context(openbao())
        monkeypatch.setenv("DSN", sentry.dsn)
        undisturbed = begun(tmp_path / "undisturbed")
        undo.callback(undisturbed.close)
        apps = {
            "traces": begun(tmp_path / "traces", f'traces.endpoint="{store.otlp}"'),
            "errors": begun(tmp_path / "errors", 'errors.dsn="env:DSN"'),
            "forks": begun(tmp_path / "forks"),
        }
        addresses = {name: f"127.0.0.1:{free_port()}" for name in ("sealed", "files", "restarts")}
        undo.enter_context(watched(tmp_path / "files", addresses["files"], files=50))
        for name, app in apps.items():
            undo.callback(app.close)
            addresses[name] = f"127.0.0.1:{app.telemetry.serve('127.0.0.1', 0, app.liveness)}"
        server = undo.enter_context(prometheus(tmp_path, "", deployed(tmp_path, *addresses.values())))
        until(lambda: len(server.query("up == 1")) == len(apps) + 1, "not all are scraped")

        store.stop()
        sentry.stop()
        bao.seal()
        codes = [ended(child(apps["forks"].telemetry.close)) for _ in range(20)]
        for app in (undisturbed, *apps.values()):
            trade(app)
        refused = start_where_vault_is_sealed(tmp_path / "sealed", bao.url, addresses["sealed"])
        restart(tmp_path / "restarts", addresses["restarts"], server)
        undo.enter_context(watched(tmp_path / "restarts", addresses["restarts"], files=0))
        until(
            lambda: FIRED == {name: told(server, address) for name, address in addresses.items()},
            lambda: f"fire: { {name: told(server, address) for name, address in addresses.items()} }",
            180,
        )

        bao.unseal()
        assert [0] * 20 == codes
        assert "is sealed or not ready" in refused
        assert {on_record(undisturbed)} == {on_record(app) for app in apps.values()}


def start_where_vault_is_sealed(folder: Path, vault: str, metrics: str) -> str:
    """What a session says that cannot begin."""
    folder.mkdir()
    config = market_in(folder)
    (folder / "token").write_text("not-a-real-one")
    (folder / "token").chmod(0o600)
    (folder / "fails.py").write_text(FAILS)
    settings = f'[vault]\naddress = "{vault}"\nauth = "token"\ntoken = "file:token"\n'
    config.write_text(f'{settings}{config.read_text()}\n[errors]\ndsn = "vault:kv/nicegold/sentry#dsn"\n')
    port = metrics.partition(":")[2]
    done = spawned(folder, "run", "--set", "run.mode=paper", "--set", f"run.metrics_port={port}")
    assert done.code != 0
    return done.err
