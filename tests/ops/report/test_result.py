"""What a run came to, read back from its journal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from nicegold import Fill, Halted, Objection, Order, PluginFailed, Side, Vetoed
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run, read
from nicegold_ops.report.page import page_of
from nicegold_ops.report.result import Result, result_of
from nicegold_ops.session import Outcome, backtest

CONFIGURATION = """
[run]
mode = "backtest"
cash = "100000"
seed = 7
state = "{state}"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"
sessions = "gold"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"
bars = 3000

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
fast = 5
slow = 20
quantity = "0.10"

[plugins.venue]
use = "paper"
commission = "7.00"
"""
ORDER = Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    path = tmp_path / "nicegold.toml"
    path.write_text(CONFIGURATION.format(state=tmp_path / "state"))
    app = bootstrap(load(path), Run("run", "backtest", 0))
    yield app
    app.close()


@pytest.fixture
def outcome(app: App) -> Outcome:
    return backtest(app)


def test_the_trades_and_the_costs_are_what_the_equity_gained(app, outcome):
    result = result_of(app, outcome)

    assert result.trades
    assert [] == result.positions or result.positions[0].quantity
    closed = sum((trade.profit for trade in result.trades), Decimal(0))
    realized = app.portfolio.position("XAUUSD").realized
    assert closed == realized
    assert float(result.initial_cash + closed - result.commission + result.swap) == pytest.approx(
        result.final_equity - app.portfolio.unrealized
    )


def test_the_curve_ends_where_the_portfolio_does(app, outcome):
    result = result_of(app, outcome)

    assert (app.portfolio.time, app.portfolio.equity) == (result.curve[-1].time, result.curve[-1].equity)
    assert result.max_drawdown == max(point.drawdown for point in result.curve)


def test_a_trade_that_the_venue_sends_again_counts_once(app, outcome):
    before = result_of(app, outcome)
    fill = next(event for event in read(app.store, "run") if isinstance(event, Fill))

    app.journal.record(fill)
    app.journal.flush()

    assert before == msgspec.structs.replace(result_of(app, outcome), seconds=before.seconds)


def test_objections_failures_and_the_halt_are_counted_as_recorded(app, outcome):
    for number in range(3):
        objections = [Objection("limit", f"number {number % 2}"), Objection("collar", "far off")]
        app.journal.record(Vetoed(order=ORDER, objections=objections[: 1 + number // 2], time=0))
    app.journal.record(PluginFailed(plugin="cross", hook="on_bar", error="ValueError: no"))
    app.journal.record(Halted(plugin="limit", reason="too deep"))
    app.journal.flush()

    result = result_of(app, outcome)

    assert [("limit", 3, ["number 0", "number 1"]), ("collar", 1, ["far off"])] == [
        (veto.plugin, veto.count, veto.reasons) for veto in result.vetoes
    ]
    assert {"cross": 1} == result.failures
    assert "limit: too deep" == result.halted


def test_a_result_survives_its_json_and_has_a_page(app, outcome):
    result = result_of(app, outcome)

    again = msgspec.json.decode(msgspec.json.encode(result), type=Result)

    assert result == again
    assert f"<code>{result.run}</code>" in page_of(again)
