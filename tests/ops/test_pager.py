"""What a person is told of what happens."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nicegold import (
    Absent,
    Adopted,
    Alert,
    Break,
    Busted,
    Event,
    Fill,
    Halted,
    HaltLifted,
    Mended,
    Objection,
    PluginFailed,
    Rejected,
    Side,
    Unknown,
    Vetoed,
)
from nicegold.answers import Replies, Reply
from nicegold.testing import market_order
from nicegold_ops.pager import Pager, alert_about


def fill(strategy: str) -> Fill:
    return Fill(
        order_id="cross-1",
        trade_id="t-1",
        time=7,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=Decimal("0.10"),
        price=Decimal("2000.00"),
        strategy=strategy,
    )


#: What happens, and the severity, the title and the text of what a person is told of it.
TOLD = [
    (
        Vetoed(order=market_order(time=7), objections=[Objection("limit", "too much")], time=7),
        "warning",
        "Order vetoed",
        "buy 0.10 XAUUSD of test: limit: too much",
    ),
    (
        Rejected(order_id="cross-1", time=7, reason="closed"),
        "warning",
        "Order rejected",
        "cross-1: closed",
    ),
    (
        Unknown(order_id="cross-1", time=7, reason="no answer"),
        "critical",
        "Order in doubt",
        "cross-1: no answer",
    ),
    (Absent(order_id="cross-1", time=7), "warning", "Order never arrived", "cross-1"),
    (fill(""), "critical", "Trade of nobody's order", "cross-1: buy 0.10 XAUUSD at 2000.00"),
    (
        Busted(order_id="cross-1", trade_id="t-1", time=7, reason="error"),
        "critical",
        "Trade taken back",
        "t-1 of cross-1: error",
    ),
    (
        Break(broker="lme", kind="position", about="XAUUSD", ours="1", theirs="2", time=7),
        "critical",
        "Books disagree",
        "position XAUUSD: we have 1, lme's venue has 2",
    ),
    (
        Break(broker="lme", kind="order", about="v-7", ours="unknown", theirs="new: buy 1", time=7),
        "critical",
        "Books disagree",
        "order v-7: we have unknown, lme's venue has new: buy 1; it stays so until it is cancelled there",
    ),
    (
        Mended(broker="lme", kind="position", about="XAUUSD", time=7),
        "info",
        "Books agree again",
        "position XAUUSD of lme",
    ),
    (
        Adopted(
            broker="lme", kind="position", about="XAUUSD", ours="1", theirs="2", reason="as seen", time=7
        ),
        "warning",
        "Venue's word taken",
        "position XAUUSD: we had 1, lme's venue has 2: as seen",
    ),
    (
        Halted(plugin="limit", reason="too much", time=7),
        "critical",
        "Trading halted",
        "limit: too much",
    ),
    (HaltLifted(reason="the feed is back", time=7), "warning", "Halt lifted", "the feed is back"),
    (
        PluginFailed(plugin="cross", hook="on_bar", error="broken", time=7),
        "critical",
        "Plugin failed",
        "cross.on_bar: broken",
    ),
]


@pytest.mark.parametrize("told", TOLD, ids=[type(each[0]).__name__ for each in TOLD])
def test_a_person_is_told(told: tuple[Event, str, str, str]):
    event, *expected = told

    alert = alert_about(event)

    assert alert is not None
    assert [*expected, 7] == [alert.severity, alert.title, alert.text, alert.time]


def test_nobody_is_told_of_a_trade_that_was_ordered():
    assert alert_about(fill("cross")) is None


def test_of_each_alert_it_is_told_how_long_it_took_and_how_many_notifiers_failed():
    pager, told = Pager(), list[tuple[str, bool, int]]()

    def notify(alert: Alert) -> Replies:
        return (Reply("mail", "notify", error=OSError("refused")),) if alert.severity == "critical" else ()

    for severity in ("critical", "info"):
        pager.alarm(Alert(severity, "title", "text", 7))
    assert 2 == pager.waiting()
    pager.start(
        notify,
        lambda plugin, reason: None,
        lambda severity, seconds, failures: told.append((severity, 0 <= seconds < 60, failures)),
    )
    pager.stop()

    assert [("critical", True, 1), ("info", True, 0)] == told
    assert (0, 0) == (pager.waiting(), pager.lost())
