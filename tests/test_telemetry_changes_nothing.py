"""What is seen of a run decides nothing in it (A51, I17): the journal is the same, whoever looks.

One session on paper, with vetoes, failures and resting orders, is lived again with telemetry that is off
or broken; what is on record must be the same, byte for byte.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import field
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import pytest

from nicegold import Alert, Bar, Event, Order, OrderType, Portfolio, Side, hookimpl, plugin
from nicegold.host import Call
from nicegold.testing import ACCOUNT, GOLD, MINUTE, START, bar
from nicegold_ops import app as wiring
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Run, payloads
from nicegold_ops.session import paper
from nicegold_ops.telemetry import Telemetry
from nicegold_ops.telemetry import logs as log_module
from nicegold_ops.telemetry.flight import FILE, FlightError
from nicegold_ops.telemetry.logs import ROOT, Logs, logger
from nicegold_ops.vault.settings import VaultSettings
from nicegold_plugins.brokers.paper import Paper
from nicegold_plugins.notifiers.log import Log
from tests.ops.telemetry.children import child, ended
from tests.ops.telemetry.pipes import pipe

pytestmark = pytest.mark.slow

BARS, BREAKS_AT = 400, 150

#: What is done to a run, or looked at in it.
Deed = Callable[[App], object]


def nothing(app: App) -> None:
    """All is well."""


@plugin
class Market:
    """Bars that cannot be read again, so that each is on record. *befall* is called on the way."""

    befall: Callable[[], object] = field(default=lambda: None)

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        chance, close = Random(7), 2000.0
        for number in range(BARS):
            if number == BREAKS_AT:
                self.befall()
            opened, close = close, round(close + chance.gauss(0, 2), 2)
            high, low, time = max(opened, close) + 1, min(opened, close) - 1, START + number * MINUTE
            yield Bar(
                symbol=GOLD.symbol,
                start=time - MINUTE,
                time=time,
                open=opened,
                high=high,
                low=low,
                close=close,
            )


@plugin
class Gambler:
    """Wants something on every third bar, and says so in the log."""

    name: str = ""

    def __post_init__(self) -> None:
        self._chance = Random(11)

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Order] | None:
        if self._chance.random() < 2 / 3:
            return None
        logger("gambler").warning("gambles", close=bar.close)
        side = self._chance.choice([Side.BUY, Side.SELL])
        size = Decimal(self._chance.choice(["0.10", "0.70", "3.00"]))
        if self._chance.random() < 0.5:
            return [Order(symbol=GOLD.symbol, side=side, quantity=size)]
        price = GOLD.to_price(bar.close - side.sign * 2)
        return [Order(symbol=GOLD.symbol, side=side, quantity=size, order_type=OrderType.LIMIT, price=price)]


@plugin
class Fool:
    """Fails in every way that is no trade, now and then."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Any:
        if int(bar.close) % 7 == 0:
            raise RuntimeError("seven")
        return "nonsense" if int(bar.close) % 11 == 0 else None

    @hookimpl
    def on_event(self, event: Event) -> None:
        if isinstance(event, Order) and event.side is Side.SELL:
            raise ValueError("does not like to sell")

    @hookimpl
    def notify(self, alert: Alert) -> None:
        raise OSError("nobody is reached")


@plugin
class Few:
    """Objects to more than two lots."""

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        return "more than two lots" if abs(portfolio.exposure_after(order)) > 2 else None


PLUGINS: dict[str, tuple[type, dict[str, Any]]] = {
    "market": (Market, {}),
    "gambler": (Gambler, {}),
    "fool": (Fool, {}),
    "few": (Few, {}),
    "paper": (Paper, {"commission": Decimal(7)}),
    "log": (Log, {}),
}


def lived(
    folder: Path,
    *,
    begins: Deed = nothing,
    breaks: Deed = nothing,
    ends: Deed = nothing,
    vault: VaultSettings | None = None,
    **run: Any,
) -> bytes:
    """What is on record of the session in *folder*; *breaks* happens on its way."""
    settings = Settings(
        run=RunSettings(mode="paper", cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder, **run),
        vault=vault,
        instruments={GOLD.symbol: GOLD},
        plugins=tuple(
            PluginSettings(name=name, use=name, values=values, place="", plugin=each)
            for name, (each, values) in PLUGINS.items()
        ),
        text="",
    )
    (folder / "runs" / "session").mkdir(parents=True, exist_ok=True)
    app = bootstrap(settings, Run("session", "paper", 0))
    market: Any = app.host.plugins["market"].plugin
    market.befall = lambda: breaks(app)
    try:
        begins(app)
        paper(app, stop=threading.Event())
        ends(app)
        return payloads(app.store, "session")
    finally:
        app.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is on record where all is well; of each kind of event there is some."""
    record = lived(tmp_path_factory.mktemp("well"))
    for kind in ("Bar", "Order", "Accepted", "Fill", "Vetoed", "PluginFailed"):
        assert record.count(b'"event":"%s"' % kind.encode()) > 10, kind
    return record


def errors_of(app: App) -> int:
    """How often the seeing has failed."""
    return app.telemetry._watch.errors + app.telemetry._collector.errors["event"]


# Off, and busy.


class Blind(Telemetry):
    """Sees nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.observe = _unwatched
        self.count = _uncounted


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    return call


def _uncounted(event: Event) -> None:
    pass


def test_a_run_that_nobody_watches_is_the_same(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "Telemetry", Blind)
    seen: list[Any] = []

    assert expected == lived(tmp_path, ends=lambda app: seen.extend(app.telemetry.summary()))
    assert [] == seen


class Reading:
    """Reads the metrics of a session all the time, from its begin to its end."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bool]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def begin(self, app: App) -> None:
        self._url = f"http://127.0.0.1:{app.telemetry.serve('127.0.0.1', 0, app.liveness)}/metrics"
        self._thread.start()

    def end(self, app: App) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            with urlopen(self._url, timeout=10) as answer:  # noqa: S310  # ours
                self.answers.append((answer.status, b"process_start_time_seconds" in answer.read()))


def test_a_run_whose_metrics_are_read_all_the_time_is_the_same(expected, tmp_path):
    reading = Reading()

    assert expected == lived(tmp_path, begins=reading.begin, ends=reading.end)
    assert {(200, True)} == set(reading.answers)


def test_a_run_that_forks_while_its_metrics_are_read_is_the_same(expected, tmp_path):
    reading, codes, calls = Reading(), list[int](), list[Any]()

    def live(app: App) -> None:
        logger("child").error("is here")
        for _ in range(300):
            app.host.call("on_bar")(bar(2000.0), app.portfolio)
        app.telemetry.close()

    def end(app: App) -> None:
        reading.end(app)
        calls.extend(app.telemetry.summary())

    def fork(app: App) -> None:
        codes.extend(ended(child(lambda: live(app))) for _ in range(20))

    logs = Logs(file=tmp_path / "log", stream=None)
    try:
        record = lived(
            tmp_path,
            begins=reading.begin,
            breaks=fork,
            ends=end,
        )
    finally:
        logs.close()

    assert expected == record
    assert [0] * 20 == codes
    assert {(200, True)} == set(reading.answers)
    assert {BARS} == {each.calls for each in calls if each.hook == "on_bar"}


# Broken.


class Hands:
    """A clock whose hands fall off after so many readings."""

    def __init__(self, readings: int) -> None:
        self._left = readings

    def __call__(self) -> float:
        self._left -= 1
        if self._left < 0:
            raise OSError("no clock")
        return 1.0


def test_a_clock_that_the_watching_cannot_read_changes_nothing(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "Telemetry", partial(Telemetry, clock=Hands(2000)))
    errors: list[int] = []

    assert expected == lived(tmp_path, ends=lambda app: errors.append(errors_of(app)))
    assert errors[0] > 100


def test_a_flight_recorder_that_is_closed_on_the_way_changes_nothing(expected, tmp_path):
    errors: list[int] = []

    record = lived(
        tmp_path,
        breaks=lambda app: app.telemetry._recorder.close(),
        ends=lambda app: errors.append(errors_of(app)),
    )

    assert expected == record
    assert errors[0] > 100


def test_a_flight_recorder_whose_disk_is_full_is_told_before_anything_trades(tmp_path):
    path = tmp_path / "runs" / "session" / FILE
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")

    with pytest.raises(FlightError, match="cannot be written"):
        lived(tmp_path)


def test_counts_that_fail_change_nothing(expected, tmp_path):
    errors: list[int] = []

    record = lived(
        tmp_path,
        breaks=lambda app: app.telemetry._events._told.clear(),
        ends=lambda app: errors.append(errors_of(app)),
    )

    assert expected == record
    assert errors[0] > 100


def test_a_log_on_a_full_disk_changes_nothing(expected, tmp_path, capsys):
    logs = Logs(file=Path("/dev/full"), stream=None)
    try:
        assert expected == lived(tmp_path)
    finally:
        logs.close()
    assert logs.lost["unwritable"] > 0
    assert "" == capsys.readouterr().err


def test_a_log_that_nobody_reads_changes_nothing(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "_MOST_LINES", 100)
    monkeypatch.setattr(log_module, "_PATIENCE", 0.0)
    with pipe() as (_, stream):
        logs = Logs(stream=stream)
        try:
            assert expected == lived(tmp_path)
        finally:
            logs.close()
    assert logs.lost["unread"] > 0


class Raises(logging.Handler):
    """What somebody else has hung on our logger."""

    raised = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.raised += 1
        raise RuntimeError("cannot log")


def test_a_log_handler_that_raises_changes_nothing(expected, tmp_path):
    handler = Raises()
    logging.getLogger(ROOT).addHandler(handler)
    try:
        assert expected == lived(tmp_path)
    finally:
        logging.getLogger(ROOT).removeHandler(handler)
    assert handler.raised > 10


def test_a_metrics_port_that_is_taken_changes_nothing(expected, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def serve(app: App) -> None:
            with pytest.raises(ConfigurationError, match="choose another port"):
                app.telemetry.serve("127.0.0.1", port, app.liveness)

        assert expected == lived(tmp_path, begins=serve)
