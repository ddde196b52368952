"""The market comes back where the journal says that it was read, and in the order of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nicegold import Bar, Finished, Market, Refused, hookimpl
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.errors import DataError
from nicegold_ops.journal import MarketRead, Run
from nicegold_ops.report.market import market_again, with_market
from nicegold_ops.session import market_of

CONFIGURATION = """
[run]
cash = "1000"
state = "state"
seed = 3

[instruments.XAUUSD]
tick_size = "0.01"

[instruments.XAGUSD]
tick_size = "0.01"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"
bars = 50

[plugins.silver]
use = "simulated"
instrument = "XAGUSD"
bars = 20
timeframe = "M5"

[plugins.venue]
use = "paper"
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    path = tmp_path / "nicegold.toml"
    path.write_text(CONFIGURATION)
    app = bootstrap(load(path), Run("run", "backtest", 0))
    yield app
    app.close()


def bar(time: int) -> Bar:
    return Bar("XAUUSD", time, time + 1, 1.0, 1.0, 1.0, 1.0)


def test_the_feeds_are_read_again_in_the_order_of_the_run(app):
    app.engine.start(app.started)
    once = [market for market, _ in market_of(app)]

    assert 70 == len(once)
    assert once == list(market_again(app))


def test_the_part_that_the_run_asked_for_is_read_again(tmp_path):
    path = tmp_path / "nicegold.toml"
    path.write_text(CONFIGURATION)
    settings = load(path, ["run.start=2026-01-05T00:10:00Z", "run.end=2026-01-05T00:20:00Z"])
    app = bootstrap(settings, Run("run", "backtest", 0))
    try:
        app.engine.start(app.started)

        assert [market for market, _ in market_of(app)] == list(market_again(app))
    finally:
        app.close()


def test_a_feed_that_cannot_start_is_named(app, monkeypatch):
    @hookimpl
    def broken(self: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(app.settings.plugins[0].plugin, "startup", broken)

    with pytest.raises(DataError, match=r"gold\.startup failed: OSError: gone"):
        list(market_again(app))


def test_events_and_market_are_woven_as_they_came():
    market: Iterator[Market] = iter([bar(number) for number in range(4)])
    refused, finished = Refused(plugin="gold", reason="no price"), Finished(reason="end")

    woven = list(
        with_market([MarketRead(events=2, time=2), refused, MarketRead(events=1, time=4), finished], market)
    )

    assert [bar(0), bar(1), refused, bar(3), finished] == woven
