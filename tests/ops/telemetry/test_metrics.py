from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from prometheus_client.exposition import generate_latest

from nicegold import Bar, Fill, Order, Portfolio, Side, Started, hookimpl, plugin
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, bar
from nicegold_ops.telemetry import Markets, Telemetry, books, metrics
from nicegold_ops.telemetry.books import Books
from tests.ops.telemetry.twins import TWINS, WITH_A_CLOCK_OF_ITS_OWN, clock_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


@plugin
class Buyer:
    """Buys a lot at each bar, and fails at the third."""

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Order]:
        if bar.close == 3.0:
            raise ValueError("three")
        return [Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1))]


@plugin
class OneLot:
    """Objects to all but the first order."""

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        return "enough" if portfolio.exposure_after(order) > 1 else None


@plugin
class Venue:
    """Takes no order."""

    @hookimpl
    def place_order(self, order: Order) -> None:
        return None


class Clock:
    """Goes on by a microsecond at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 1e6


#: s UTC when the telemetry below is made.
BEGAN = 1_767_571_200


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def telemetry(tmp_path: Path, twin: str) -> Iterator[Telemetry]:
    made = Telemetry(tmp_path, "run", wall=lambda: BEGAN * 10**9, clock=clock_of(twin, Clock()))
    yield made
    made.close()


@pytest.fixture
def engine(telemetry: Telemetry) -> Engine:
    """One that has seen three bars."""
    host = Host(telemetry.observe, {"buyer": Buyer(), "limit": OneLot(), "venue": Venue()})
    telemetry.describe(host.plugins)
    portfolio = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    telemetry.watch_portfolio(portfolio)
    telemetry.watch_markets(
        Markets(
            portfolio.instruments, telemetry.wall, telemetry.wall(), patience=60.0, intervals={"gold": 20.0}
        )
    )
    engine = Engine(host, telemetry.count, portfolio, cause=telemetry.cause)
    engine.start(
        Started(
            version="1",
            seed=7,
            cash=ACCOUNT.cash,
            currency="USD",
            instruments=[GOLD],
            configuration="",
            sources={},
        )
    )
    for number in range(3):
        engine.handle(bar(1.0 + number, number=number), "gold")
    return engine


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def calls(telemetry: Telemetry, hook: str, plugin: str, kind: str, outcome: str) -> float | None:
    return value(
        telemetry, "nicegold_hook_calls_total", hook=hook, plugin=plugin, plugin_kind=kind, outcome=outcome
    )


def test_calls_are_told_by_hook_plugin_kind_and_outcome(telemetry, engine):
    assert 2.0 == calls(telemetry, "on_bar", "buyer", "strategy", "success")
    assert 1.0 == calls(telemetry, "on_bar", "buyer", "strategy", "error")
    assert 2.0 == calls(telemetry, "check_order", "limit", "risk", "success")
    assert 0.0 == calls(telemetry, "check_order", "limit", "risk", "vetoed")


@WITH_A_CLOCK_OF_ITS_OWN
def test_durations_are_a_histogram_with_the_documented_bounds(telemetry, engine):
    bounds = re.findall(
        rb'nicegold_hook_duration_seconds_bucket\{hook="on_bar",le="([^"]+)"',
        generate_latest(telemetry.registry),
    )

    documented = (25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6)
    assert [*(micros / 1e6 for micros in documented), float("inf")] == [float(bound) for bound in bounds]
    on_bar = {"hook": "on_bar", "plugin": "buyer"}
    assert 3.0 == value(telemetry, "nicegold_hook_duration_seconds_count", **on_bar)
    assert 3e-6 == value(telemetry, "nicegold_hook_duration_seconds_sum", **on_bar)
    assert 3.0 == value(telemetry, "nicegold_hook_duration_seconds_bucket", **on_bar, le="2.5e-05")


def test_the_last_success_is_a_time_by_the_wall(telemetry, engine):
    last = value(telemetry, "nicegold_hook_last_success_timestamp_seconds", hook="on_bar", plugin="buyer")
    tick = value(telemetry, "nicegold_engine_last_tick_timestamp_seconds")

    # The third call failed; the rest of the work on the bars took some looks at the clock more.
    assert last is not None
    assert tick is not None
    assert BEGAN < last < tick < BEGAN + 1


def test_what_is_never_called_has_its_series_at_zero(telemetry):
    telemetry.observe("cancel_order", "venue", lambda cancel, order: None)

    assert 0.0 == calls(telemetry, "cancel_order", "venue", "unknown", "error")
    assert 0.0 == value(telemetry, "nicegold_plugin_failures_total", hook="cancel_order", plugin="venue")
    assert 0.0 == value(telemetry, "nicegold_engine_last_tick_timestamp_seconds")


def test_a_plugin_that_is_watched_twice_is_one_series(telemetry):
    for _ in range(2):
        telemetry.observe("health", "venue", lambda: None)()

    assert [("health", "venue", 2)] == [(each.hook, each.plugin, each.calls) for each in telemetry.summary()]


def test_orders_and_refusals_are_told(telemetry, engine):
    order = {"broker": "venue", "strategy": "buyer", "order_type": "market"}
    assert 2.0 == value(telemetry, "nicegold_orders_total", **order, status="rejected")
    assert 2.0 == value(telemetry, "nicegold_order_rejects_total", source="broker", reason="rejected")
    assert 0.0 == value(telemetry, "nicegold_order_rejects_total", source="risk", reason="limit")
    assert 0.0 == value(telemetry, "nicegold_orders_open")
    assert 2.0 == value(telemetry, "nicegold_risk_checks_total", rule="limit", outcome="success")


def test_failures_and_the_engines_state_are_told(telemetry, engine):
    assert 1.0 == value(telemetry, "nicegold_plugin_failures_total", hook="on_bar", plugin="buyer")
    assert 1.0 == value(telemetry, "nicegold_engine_state", state="running")
    assert 0.0 == value(telemetry, "nicegold_engine_state", state="halted")
    assert 3.0 == value(telemetry, "nicegold_engine_events_total", event="Bar")


def test_feeds_are_told_by_what_they_deliver_and_what_was_wrong(telemetry):
    cells = telemetry.feed_cells("gold")
    assert 0.0 == value(telemetry, "nicegold_feed_last_message_timestamp_seconds", feed="gold")

    cells[Bar][:] = [1, telemetry.wall()]
    telemetry.count_defect("gold", "duplicate")

    assert 1.0 == value(telemetry, "nicegold_feed_messages_total", feed="gold", kind="Bar")
    assert 0.0 == value(telemetry, "nicegold_feed_messages_total", feed="gold", kind="Quote")
    assert 1.0 == value(telemetry, "nicegold_feed_rejected_values_total", feed="gold", reason="duplicate")
    assert 0.0 == value(telemetry, "nicegold_feed_rejected_values_total", feed="gold", reason="backward")
    assert BEGAN == value(telemetry, "nicegold_feed_last_message_timestamp_seconds", feed="gold")


def test_queues_beats_and_failed_notifiers_are_told(telemetry):
    telemetry.watch_queue("inbox", lambda: 7)
    telemetry.beat("pager")
    telemetry.notifier_failed("mail", "refused: connection")

    assert 7.0 == value(telemetry, "nicegold_engine_queue_depth", queue="inbox")
    assert BEGAN == value(telemetry, "nicegold_heartbeat_timestamp_seconds", component="pager")
    assert 1.0 == value(telemetry, "nicegold_plugin_failures_total", hook="notify", plugin="mail")


def test_which_markets_are_open_and_what_feeds_owe_is_told(telemetry, engine):
    assert 1.0 == value(telemetry, "nicegold_market_open", symbol="XAUUSD")
    assert BEGAN == value(telemetry, "nicegold_market_open_since_timestamp_seconds", symbol="XAUUSD")
    assert 20.0 == value(telemetry, "nicegold_feed_expected_interval_seconds", feed="gold")
    assert 60.0 == value(telemetry, "nicegold_engine_patience_seconds")


def test_what_became_of_alerts_is_told(telemetry):
    telemetry.watch_notices(lambda: 2, lambda: 3)

    telemetry.notified("critical", 0.2, 0)
    telemetry.notified("critical", 7.0, 1)

    told = {"severity": "critical"}
    assert 1.0 == value(telemetry, "nicegold_notifications_total", **told, outcome="delivered")
    assert 1.0 == value(telemetry, "nicegold_notifications_total", **told, outcome="failed")
    assert 0.0 == value(telemetry, "nicegold_notifications_total", severity="info", outcome="failed")
    assert 1.0 == value(telemetry, "nicegold_notification_latency_seconds_bucket", **told, le="5.0")
    assert 7.2 == value(telemetry, "nicegold_notification_latency_seconds_sum", **told)
    assert 2.0 == value(telemetry, "nicegold_notifications_waiting")
    assert 3.0 == value(telemetry, "nicegold_notifications_dropped_total")


def test_a_journal_that_failed_is_told(telemetry):
    assert 0.0 == value(telemetry, "nicegold_journal_failures_total")

    telemetry.journal_failed()

    assert 1.0 == value(telemetry, "nicegold_journal_failures_total")


def test_the_process_is_told_as_the_kernel_sees_it(telemetry):
    assert [] == [each.name for each in metrics.PROCESS if not value(telemetry, each.name)]


def test_a_part_that_fails_is_counted_and_the_others_are_told(telemetry):
    telemetry.watch_queue("broken", lambda: 1 // 0)

    assert 1.0 == value(telemetry, "nicegold_telemetry_errors_total", signal="scrape")
    assert 0.0 == value(telemetry, "nicegold_orders_open")


def test_the_portfolios_figures_are_told(telemetry, engine):
    bought = Fill(
        order_id="x",
        trade_id="y",
        time=1,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal(2),
    )
    engine.portfolio.apply(bought)

    assert 100_100.0 == value(telemetry, "nicegold_equity", currency="USD")
    assert 0.0 == value(telemetry, "nicegold_drawdown_ratio")
    assert 1.0 == value(telemetry, "nicegold_position_lots", symbol="XAUUSD")
    assert 0.0 == value(telemetry, "nicegold_margin_usage_ratio")


def test_drawdown_is_measured_from_the_highest_that_was_seen():
    portfolio = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    watched = Books(portfolio)
    watched.drawdown()

    portfolio.apply(
        Fill(
            order_id="x",
            trade_id="y",
            time=1,
            symbol="XAUUSD",
            side=Side.BUY,
            quantity=Decimal(1),
            price=Decimal(2),
            commission=Decimal(25_000),
        )
    )

    assert [((), 0.25)] == watched.drawdown()


def test_books_that_change_at_every_try_are_left_out():
    class Restless:
        tries = 0

        @property
        def equity(self) -> float:
            self.tries += 1
            raise RuntimeError("dictionary changed size during iteration")

    restless = Restless()

    assert [] == Books(cast(Portfolio, restless)).equity()
    assert books._TRIES == restless.tries


@WITH_A_CLOCK_OF_ITS_OWN
def test_the_summary_says_how_often_and_how_long(telemetry, engine):
    summary = {(each.hook, each.plugin): each for each in telemetry.summary()}

    on_bar = summary["on_bar", "buyer"]
    assert (3, 1) == (on_bar.calls, on_bar.errors)
    # Each call takes a microsecond by this clock, and so lies between 0.8 and 1.
    assert pytest.approx((0.9e-6, 0.998e-6)) == (on_bar.p50, on_bar.p99)


def test_what_was_counted_is_told_after_the_end_too(telemetry, engine):
    before = telemetry.summary()

    telemetry.close()

    assert before == telemetry.summary()


def test_every_declared_metric_is_told_and_no_other(telemetry, engine):
    told = re.findall(r"^# TYPE (\S+)", generate_latest(telemetry.registry).decode(), re.MULTILINE)

    # What is told of the audit trail, `nicegold work` tells: tests/ops/ship/test_collector.py.
    declared = {metric.name for metric in metrics.METRICS if not metric.name.startswith("nicegold_audit_")}
    assert sorted(declared) == sorted(told)


def test_every_declared_metric_is_on_the_reference_page():
    page = PAGE.read_text()

    assert [] == [metric.name for metric in metrics.METRICS if f"`{metric.name}`" not in page]


def test_promtool_finds_nothing_to_say(telemetry, engine):
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("NICEGOLD_REQUIRE_SERVICES") != "1":
        pytest.skip("promtool is not installed; on Debian: apt-get install prometheus")
    assert promtool is not None, "promtool is not installed, and NICEGOLD_REQUIRE_SERVICES=1 asks for it"
    telemetry.feed_cells("gold")

    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(telemetry.registry),
        capture_output=True,
        check=False,
    )

    assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)
