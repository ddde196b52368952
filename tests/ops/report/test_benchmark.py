"""Holding is what one would have had: in parts, in account currency, without looking ahead."""

from __future__ import annotations

import pytest

from nicegold_ops.report.benchmark import buy_and_hold
from nicegold_ops.report.prices import Candle


def candles(*closes: float, rates: tuple[float, ...] = (), first: int = 0) -> list[Candle]:
    """Candles that begin at the first of *closes*, one a time."""
    return [
        Candle(first + at, first + at + 1, closes[0], close, close, close, rate=rates[at] if rates else 1.0)
        for at, close in enumerate(closes)
    ]


def test_one_instrument_becomes_what_its_price_becomes():
    held = buy_and_hold(1000.0, {"XAUUSD": candles(100.0, 120.0, 90.0)})

    assert held is not None
    assert [1000.0, 1200.0, 900.0] == pytest.approx([mark.equity for mark in held.curve])
    assert (-0.1, 0.25) == pytest.approx((held.total_return, held.max_drawdown))


def test_a_foreign_gain_is_worth_what_its_currency_is_worth():
    """USDJPY from a dollar account: the yen gained are changed back at the last rate."""
    held = buy_and_hold(1000.0, {"USDJPY": candles(100.0, 125.0, rates=(1 / 100, 1 / 125))})

    assert held is not None
    assert 0.2 == pytest.approx(held.total_return)


def test_several_instruments_get_equal_parts_and_wait_as_cash():
    held = buy_and_hold(1000.0, {"A": candles(10.0, 20.0), "B": candles(5.0, 5.5, first=1)})

    assert held is not None
    assert [1, 2, 3] == [mark.time for mark in held.curve]
    assert [1000.0, 1500.0, 1550.0] == pytest.approx([mark.equity for mark in held.curve])
    assert ["A", "B"] == held.symbols


def test_many_instruments_are_still_a_bounded_picture():
    prices = {str(symbol): candles(*[1.0] * 4000, first=symbol * 7000) for symbol in range(4)}

    held = buy_and_hold(1000.0, prices)

    assert held is not None
    assert len(held.curve) <= 4096
    assert 3 * 7000 + 4000 == held.curve[-1].time


@pytest.mark.parametrize(
    ("cash", "prices"),
    [(1000.0, {}), (0.0, {"A": candles(1.0)}), (1000.0, {"A": candles(1.0, rates=(0.0,))})],
)
def test_what_cannot_be_held_is_none(cash, prices):
    assert buy_and_hold(cash, prices) is None
