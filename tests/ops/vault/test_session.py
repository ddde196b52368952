"""A session whose Vault fails goes on while it may, and then takes no new risk."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nicegold import Halted, PluginFailed
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.commands import invoke
from nicegold_ops.config import load
from nicegold_ops.journal import Run, read
from nicegold_ops.vault.api import VaultFailed
from tests.ops.vault.conftest import CANARY
from tests.services.openbao import OpenBao
from tests.services.prometheus import until

pytestmark = pytest.mark.slow

CONFIGURATION = """
[run]
mode = "paper"
cash = "100000"
pace = 100

[vault]
address = "{address}"
auth = "approle"
role_id = "{role_id}"
secret_id = "file:secret-id"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"
timeframe = "M1"

[plugins.resting]
use = "resting:Resting"
password = "vault:kv/nicegold/mt5#password"

[plugins.limit]
use = "max_position"
limit = "9"

[plugins.venue]
use = "paper"

[plugins.tell]
use = "file"
path = "alerts"
"""
RESTING = """
from decimal import Decimal

from nicegold import Bar, Order, OrderType, Portfolio, Secret, Side, hookimpl, plugin


@plugin
class Resting:
    \"\"\"Wants an order far below the market, once.\"\"\"

    password: Secret

    @hookimpl
    def startup(self) -> None:
        self.asked = len(self.password.reveal()) == 0

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if self.asked:
            return None
        self.asked = True
        terms = {"order_type": OrderType.LIMIT, "price": Decimal(1)}
        return [Order(symbol=bar.symbol, side=Side.BUY, quantity=Decimal(1), **terms)]
"""


@pytest.fixture
def configured(bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration whose token lasts for some seconds."""
    role_id, secret_id = bao.app_role(
        "session", token_policies="trader", token_ttl="3s", token_max_ttl="600s"
    )
    (tmp_path / "secret-id").write_text(secret_id)
    (tmp_path / "secret-id").chmod(0o600)
    (tmp_path / "resting.py").write_text(RESTING)
    path = tmp_path / "nicegold.toml"
    path.write_text(CONFIGURATION.format(address=bao.url, role_id=role_id))
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield path
    sys.modules.pop("resting", None)


def begun(path: Path, run: str = "run") -> App:
    return bootstrap(load(path), Run(run, "paper", 1))


def value(app: App, metric: str, /, **labels: str) -> float | None:
    return app.telemetry.registry.get_sample_value(metric, labels)


class Running:
    """A session on a thread of its own."""

    def __init__(self, app: App) -> None:
        self.app, self._stop = app, threading.Event()
        self._thread = threading.Thread(target=session.paper, args=(app,), kwargs={"stop": self._stop})
        self._thread.start()

    def end(self) -> list[Any]:
        """What is on its journal."""
        self._stop.set()
        self._thread.join(30)
        events = list(read(self.app.store, self.app.run.run))
        self.app.close()
        return events


@pytest.mark.parametrize("how", ["seal", "kill"])
def test_a_session_whose_token_ends_takes_no_new_risk_and_cancels_what_works(bao, configured, how):
    app = begun(configured)
    running = Running(app)
    until(lambda: bool(app.portfolio.working()), "there is no order")

    getattr(bao, how)()
    until(lambda: bool(app.portfolio.halted), "it goes on for ever")
    until(lambda: not app.portfolio.working(), "the order is not cancelled")
    alerts = (configured.parent / "alerts").read_text
    until(lambda: "Trading halted" in alerts(), "nobody was told")
    events = running.end()

    [failed] = [each for each in events if isinstance(each, PluginFailed)]
    [halted] = [each for each in events if isinstance(each, Halted)]
    assert failed.error.startswith("the token of Vault has ended and cannot be renewed: ")
    assert ("vault", f"vault.lease failed: {failed.error}") == (halted.plugin, halted.reason)
    first, *_ = alerts().splitlines()
    assert '"critical", "title": "Vault fails"' in first
    assert CANARY not in alerts() + repr(events)


def test_a_halt_of_vaults_is_the_same_in_a_replay(bao, configured, monkeypatch, capsys):
    monkeypatch.chdir(configured.parent)
    running = Running(begun(configured))
    until(lambda: bool(running.app.portfolio.working()), "there is no order")
    bao.seal()
    until(lambda: bool(running.app.portfolio.halted), "it goes on for ever")
    running.end()
    bao.unseal()

    assert 0 == invoke(["replay", "run"]), capsys.readouterr()


def test_a_session_goes_on_while_its_token_can_be_renewed(configured):
    app = begun(configured)
    running = Running(app)

    until(
        lambda: value(app, "nicegold_vault_renewals_total", kind="token", outcome="success") == 2,
        "no renewal",
    )
    halted = app.portfolio.halted
    ends = value(app, "nicegold_vault_token_expiry_timestamp_seconds")
    ttl = value(app, "nicegold_vault_token_ttl_seconds")
    created = value(app, "nicegold_secret_created_timestamp_seconds", name="vault:kv/nicegold/mt5#password")
    running.end()

    assert not halted
    assert 0 < (ends or 0) - app.telemetry.wall() / 1e9 + 1 < 5
    assert 3 == ttl
    assert created
    assert None is value(app, "nicegold_vault_token_expiry_timestamp_seconds")


def test_a_run_does_not_begin_while_vault_is_sealed(bao, configured):
    bao.seal()

    with pytest.raises(
        VaultFailed, match=r"\[plugins.resting\] password: vault:kv.*: .*is sealed or not ready"
    ):
        begun(configured)


def test_without_vault_there_is_nothing_to_show(tmp_path, configured):
    text = configured.read_text()
    table, rest = text.index("[vault]"), text.index("[instruments")
    configured.write_text(
        text[:table] + text[rest:].replace("vault:kv/nicegold/mt5#password", "file:secret-id")
    )
    app = begun(configured)

    told = {family.name: family.samples for family in app.telemetry.registry.collect()}
    app.close()

    assert [] == told["nicegold_vault_renewals"]
    assert [] == told["nicegold_vault_lease_expiry_timestamp_seconds"]
