from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from nicegold import SECOND, Fill, Order, Side
from nicegold.testing import START, bar, check_conformance
from nicegold_plugins.strategies.buy_and_hold import BuyAndHold
from tests.plugins.decisions import closes, held_after_each, portfolio


def hold(**settings: Any) -> BuyAndHold:
    defaults: dict[str, Any] = {"instrument": "XAUUSD", "quantity": Decimal("0.10"), "name": "hold"}
    return BuyAndHold(**(defaults | settings))


def test_it_buys_on_the_first_bar_and_keeps_what_it_has():
    held = held_after_each(hold(), closes(2000.0, 1000.0, 3000.0))

    assert [Decimal("0.10")] * 3 == held


def test_it_asks_once():
    strategy, books = hold(), portfolio()

    asked = [strategy.on_bar(each, books) for each in closes(2000.0, 2000.0)]

    assert [[Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"))], None] == asked


def test_it_buys_only_what_is_missing():
    strategy, books = hold(), portfolio()
    books.apply(
        Fill(
            order_id="hold-1",
            trade_id="1",
            time=START,
            symbol="XAUUSD",
            side=Side.BUY,
            quantity=Decimal("0.07"),
            price=Decimal(2000),
            strategy="hold",
        )
    )

    asked = strategy.on_bar(bar(), books)

    assert [Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.03"))] == asked


def test_it_waits_for_its_instrument_and_its_timeframe():
    strategy = hold(timeframe="M15")
    length = 15 * (bar().time - bar().start)

    held = held_after_each(strategy, [bar(), bar(symbol="EURUSD", length=length), bar(length=length)])

    assert [0, 0, Decimal("0.10")] == held


@pytest.mark.parametrize(
    ("timeframe", "hours", "is_one"),
    [
        ("D1", 24, True),
        ("D1", 23, True),
        ("D1", 25, True),
        ("D1", 22, False),
        ("H4", 4, True),
        ("H4", 5, False),
        ("W1", 7 * 24 - 1, True),
        ("", 5, True),
    ],
)
def test_a_day_has_an_hour_more_or_less_when_clocks_change(timeframe, hours, is_one):
    asked = hold(timeframe=timeframe).on_bar(bar(length=hours * 3600 * SECOND), portfolio())

    assert is_one == (asked is not None)


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity"])
def test_a_quantity_that_makes_no_sense_is_refused(quantity):
    with pytest.raises(ValueError, match=f"quantity must be above 0: it is {quantity}"):
        hold(quantity=Decimal(quantity))


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(hold)
