"""What a run came to, read back from its journal."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from nicegold import Fill, Halted, Market, Objection, Order, PluginFailed, Side, Vetoed
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Run, read
from nicegold_ops.report.market import market_again
from nicegold_ops.report.page import page_of
from nicegold_ops.report.reading import Failure
from nicegold_ops.report.result import SCHEMA, Result, result_of
from nicegold_ops.report.vetoes import Reason, Veto
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
    for error in ("ValueError: no", "ValueError: again"):
        app.journal.record(PluginFailed(plugin="cross", hook="on_bar", error=f"failed: {error}"))
    app.journal.record(Halted(plugin="limit", reason="too deep"))
    app.journal.flush()

    result = result_of(app, outcome)

    assert [
        Veto("limit", 3, [Reason("number 0", 3)]),
        Veto("collar", 1, [Reason("far off", 1)]),
    ] == result.vetoes
    assert [Failure("cross", "on_bar", 2, "ValueError: no")] == result.failures
    assert "limit: too deep" == result.halted


def test_the_market_is_read_again_to_the_last_bar(app, outcome):
    result = result_of(app, outcome, market_again(app))

    candles = result.prices["XAUUSD"]
    assert "" == result.unread
    assert (app.portfolio.time, app.portfolio.price("XAUUSD")) == (candles[-1].time, candles[-1].close)
    assert [("XAUUSD", 3000, 0)] == [(each.symbol, each.bars, each.missing) for each in result.gaps]
    assert result.benchmark is not None
    assert candles[-1].close / candles[0].open - 1 == pytest.approx(result.benchmark.total_return)


def test_what_was_gained_before_costs_is_what_was_gained_and_all_that_was_paid(app, outcome):
    costs = result_of(app, outcome, market_again(app)).costs

    assert costs.spread is not None
    assert costs.slippage is not None
    paid = float(costs.commission + costs.swap) + costs.spread + costs.slippage
    assert costs.before == pytest.approx(app.portfolio.equity - 100_000 + paid)


def test_the_market_changes_nothing_but_what_is_known_of_it(app, outcome):
    without, result = result_of(app, outcome), result_of(app, outcome, market_again(app))

    assert ({}, [], None) == (without.prices, without.slippage, without.costs.spread)
    assert (without.fingerprint, without.trades, without.statistics) == (
        result.fingerprint,
        result.trades,
        result.statistics,
    )


def test_a_market_that_cannot_be_read_again_costs_the_prices_only(app, outcome):
    def broken() -> Generator[Market, None, None]:
        yield from islice(market_again(app), 100)
        raise DataError("the file is gone")

    result = result_of(app, outcome, broken())

    assert "the file is gone" == result.unread
    assert {} == result.prices
    assert result_of(app, outcome).trades == result.trades
    assert "Prices are missing: the file is gone." in page_of(result)


def test_strategies_and_instruments_have_names_without_a_trade(app):
    result = result_of(app, Outcome(0, 0.0, "the feeds ended"))

    assert {"cross": "ma_cross"} == result.strategies
    assert ["XAUUSD"] == result.instruments
    assert "<h1>XAUUSD</h1>" in page_of(result)


def test_a_result_survives_its_json_and_has_a_page(app, outcome):
    result = result_of(app, outcome, market_again(app))

    again = msgspec.json.decode(msgspec.json.encode(result), type=Result)

    assert result == again
    assert f"<code>{result.run}</code>" in page_of(again)


def test_each_field_of_a_result_is_documented():
    page = (Path(__file__).parents[3] / "docs/report.md").read_text(encoding="utf-8")

    table = page.partition("## The same as JSON")[2]
    assert [] == [name for name in Result.__struct_fields__ if f"`{name}`" not in table]
    assert f"| `schema` | {SCHEMA} |" in table
