from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from nicegold import SECOND, Instrument, Portfolio, Sessions, Side
from nicegold.testing import ACCOUNT, check_conformance, market_order
from nicegold_plugins.risk.trading_hours import TradingHours
from tests.plugins.books import reducing, replies_of_two

LONDON = "Mon 08:00 - Fri 16:00 Europe/London, break 12:00 - 13:00"


def at(text: str) -> Portfolio:
    """A portfolio whose market has come to *text*, UTC; gold has its own hours."""
    gold = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=Sessions.parse("gold"))
    portfolio = Portfolio(ACCOUNT, {"XAUUSD": gold})
    portfolio.time = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND
    return portfolio


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-01-09 21:59:59", True),  # Friday before 17:00 in New York
        ("2026-01-09 22:00:00", False),
        ("2026-01-11 22:59:59", False),
        ("2026-01-11 23:00:00", True),  # Sunday at 18:00
        ("2026-01-12 22:30:00", False),  # the daily break
        ("2026-07-10 20:59:59", True),  # an hour earlier in summer
        ("2026-07-10 21:00:00", False),
    ],
)
def test_without_hours_of_its_own_those_of_the_instrument_count(time, is_open):
    objection = TradingHours().check_order(market_order(), at(time))

    assert is_open == (objection is None)


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-01-12 07:59:00", False),
        ("2026-01-12 08:00:00", True),
        ("2026-01-12 12:30:00", False),
        ("2026-01-12 13:00:00", True),
    ],
)
def test_hours_of_its_own_count_instead(time, is_open):
    objection = TradingHours(sessions=LONDON).check_order(market_order(), at(time))

    assert is_open == (objection is None)


def test_it_says_the_time_and_the_hours():
    saturday = at("2026-01-10 12:00:00")

    own = TradingHours(sessions="fx").check_order(market_order(), saturday)
    instruments = TradingHours().check_order(market_order(), saturday)

    assert 'Sat 2026-01-10 12:00:00 UTC is outside of the hours "fx"' == own
    assert "Sat 2026-01-10 12:00:00 UTC is outside of the hours of XAUUSD" == instruments


def test_an_order_that_can_only_reduce_passes():
    closing = reducing(market_order(Side.SELL))

    assert TradingHours().check_order(closing, at("2026-01-10 12:00:00")) is None


def test_two_with_equal_hours_both_object():
    replies = replies_of_two(TradingHours, "check_order", market_order(), at("2026-01-10 12:00:00"))

    assert ["one", "other"] == [reply.plugin for reply in replies]


def test_hours_that_cannot_be_read_are_refused():
    with pytest.raises(ValueError, match='sessions "weekdays" are not hours; write always, gold, fx'):
        TradingHours(sessions="weekdays")


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(TradingHours)
