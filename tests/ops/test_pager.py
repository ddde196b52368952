"""What a person is told of what happens."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nicegold import Absent, Break, Busted, Event, Fill, HaltLifted, Mended, Side
from nicegold_ops.pager import alert_about


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


TOLD = [
    (Absent(order_id="cross-1", time=7), "warning", "cross-1"),
    (fill(""), "critical", "cross-1: buy 0.10 XAUUSD at 2000.00"),
    (Busted(order_id="cross-1", trade_id="t-1", time=7, reason="error"), "critical", "t-1 of cross-1: error"),
    (
        Break(broker="lme", kind="position", about="XAUUSD", ours="1", theirs="2", time=7),
        "critical",
        "position XAUUSD: we have 1, lme's venue has 2",
    ),
    (Mended(broker="lme", kind="position", about="XAUUSD", time=7), "info", "position XAUUSD of lme"),
    (HaltLifted(reason="the feed is back", time=7), "warning", "the feed is back"),
]


@pytest.mark.parametrize(("event", "severity", "text"), TOLD, ids=[type(each[0]).__name__ for each in TOLD])
def test_a_person_is_told(event: Event, severity: str, text: str):
    alert = alert_about(event)

    assert alert is not None
    assert (severity, text, 7) == (alert.severity, alert.text, alert.time)


def test_nobody_is_told_of_a_trade_that_was_ordered():
    assert alert_about(fill("cross")) is None
