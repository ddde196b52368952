"""One trial: its window is kept to, its data are those of the sweep, and it leaves nothing behind."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from nicegold import Order, Portfolio, Vetoed, hookimpl, plugin, reach
from nicegold.testing import START, bar, engine_with
from nicegold_ops.errors import DataError
from nicegold_ops.sweep.grid import Grid
from nicegold_ops.sweep.plan import Plan, plan
from nicegold_ops.sweep.window import WarmUp, Window
from tests.ops.commandline import market_in

_HOUR = 3600 * 10**9


@pytest.fixture
def made(tmp_path: Path) -> Plan:
    return plan(market_in(tmp_path), (), Grid.parse(["cross.fast=2,4"]))


def test_a_trial_sees_its_window_only(made):
    whole = made.bench.attempt(made.trial((0,)))
    part = made.bench.attempt(made.trial((0,), Window(START + 24 * _HOUR, START + 72 * _HOUR)))

    assert 5 == len(whole.closes)
    assert list(whole.closes)[1:3] == list(part.closes)
    assert 0 < part.statistics.trades < whole.statistics.trades


def test_what_came_before_it_may_trade_is_in_no_figure(made):
    window = Window(START, START + 72 * _HOUR, START + 48 * _HOUR)

    tried = made.bench.attempt(made.trial((0,), window))

    assert 1 == len(tried.closes)
    assert 1 == tried.statistics.days


def test_a_choice_is_one_however_it_was_written(tmp_path, made):
    written = plan(market_in(tmp_path), ("plugins.cross.fast=4",), Grid.parse(["cross.slow=5,8"]))

    assert made.trial((1,)).key == written.trial((1,)).key
    assert made.trial((0,)).key != written.trial((1,)).key


def test_a_window_is_another_trial_of_the_same_choice(made):
    whole, part = made.trial((0,)), made.trial((0,), Window(START))

    assert whole.choice == part.choice
    assert whole.key != part.key


def test_a_strategy_whose_code_changes_is_another_choice(tmp_path, monkeypatch):
    config = market_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "lazy_strategy.py"
    source.write_text(
        "from nicegold import hookimpl, plugin\n\n@plugin\nclass Lazy:\n    level: int = 1\n\n"
        "    @hookimpl\n    def on_bar(self):\n        pass\n"
    )
    config.write_text(config.read_text() + '[plugins.lazy]\nuse = "lazy_strategy:Lazy"\n')
    grid = Grid.parse(["lazy.level=1,2"])

    before = plan(config, (), grid).trial((0,))
    source.write_text(source.read_text() + "# changed\n")

    assert before.key != plan(config, (), grid).trial((0,)).key


def test_data_that_change_on_the_way_end_the_sweep(tmp_path, made):
    with (tmp_path / "bars.csv").open("a") as file:
        file.write("2026-01-10 00:00:00,2000,2001,1999,2000,1\n")

    with pytest.raises(DataError, match="is not what it was when the sweep began"):
        made.bench.attempt(made.trial((0,)))


def test_data_that_are_gone_are_no_trial_that_failed(tmp_path, made):
    (tmp_path / "bars.csv").unlink()

    with pytest.raises(DataError, match=r"bars\.csv"):
        made.bench.attempt(made.trial((0,)))


def test_a_trial_leaves_nothing_behind(tmp_path, made):
    before = set(tmp_path.iterdir())

    made.bench.attempt(made.trial((0,)))

    assert before == set(tmp_path.iterdir())


@plugin
class Eager:
    """Wants a lot on every bar."""

    name: str = ""

    @hookimpl
    def on_bar(self, portfolio: Portfolio) -> list[Order] | None:
        return reach(Decimal(1), "XAUUSD", self.name, portfolio) or None


def test_orders_are_refused_until_it_is_warm():
    engine, seen = engine_with(
        eager=Eager(name="eager"), warm_up=WarmUp(until=datetime.fromtimestamp(START // 10**9 + 120, UTC))
    )

    for number in range(3):
        engine.handle(bar(number=number))

    vetoes = seen.of(Vetoed)
    # The first bar is known a minute after the start, the second at the very time.
    assert [START + _HOUR // 60] == [veto.time for veto in vetoes]
    assert "warming up until 2026-01-05T00:02:00Z" == vetoes[0].objections[0].reason


def test_a_time_without_its_zone_is_refused():
    with pytest.raises(ValueError, match="until needs its zone, such as 2026-01-05T00:00:00Z"):
        WarmUp(until=datetime(2026, 1, 5))
