from __future__ import annotations

from decimal import Decimal
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Order, Side
from nicegold.testing import bar, check_conformance
from nicegold_plugins.strategies.bollinger_reversion import BollingerReversion
from tests.plugins.decisions import closes, held_after_each, portfolio

#: In cents: far apart, and so near that closes are often at the mean.
CENTS = st.lists(st.integers(150_000, 250_000), max_size=80) | st.lists(
    st.integers(200_000, 200_002), max_size=80
)


def reversion(**settings: Any) -> BollingerReversion:
    defaults: dict[str, Any] = {
        "instrument": "XAUUSD",
        "quantity": Decimal("0.10"),
        "window": 4,
        "width": 1.2,
        "name": "back",
    }
    return BollingerReversion(**(defaults | settings))


def by_hand(prices: list[float], window: int, width: float, allow_short: bool) -> list[Decimal]:
    """The lots held after each close, from means and deviations of whole slices."""
    held, quantity = Decimal(0), Decimal("0.10")
    after_each = []
    for n, close in enumerate(prices, 1):
        if n >= window:
            mean, band = fmean(prices[n - window : n]), width * pstdev(prices[n - window : n])
            equal = 1e-9 * close
            if close < mean - band - equal:
                held = quantity
            elif close > mean + band + equal and allow_short:
                held = -quantity
            elif (held > 0 and close >= mean - equal) or (held < 0 and close <= mean + equal):
                held = Decimal(0)
        after_each.append(held)
    return after_each


@given(
    cents=CENTS,
    window=st.integers(2, 9),
    width=st.sampled_from([0.5, 1.0, 1.3, 2.0]),
    allow_short=st.booleans(),
)
def test_it_decides_on_every_bar_as_deviations_of_whole_slices_do(cents, window, width, allow_short):
    prices = [each / 100 for each in cents]
    strategy = reversion(window=window, width=width, allow_short=allow_short)

    held = held_after_each(strategy, closes(*prices))

    assert by_hand(prices, window, width, allow_short) == held


def test_a_price_that_does_not_move_is_never_beyond_the_band():
    assert [0] * 30 == held_after_each(reversion(width=0.01), closes(*[2000.1] * 30))


def test_an_exit_that_was_not_filled_is_asked_for_again_until_there_is_nothing_to_close():
    strategy, books = reversion(), portfolio()
    entered = held_after_each(strategy, closes(2000.0, 2000.0, 2000.0, 1990.0), books)

    vetoed, asked = [strategy.on_bar(each, books) for each in closes(2000.0, 2000.0)]
    closed = held_after_each(strategy, closes(2000.0), books)
    after = strategy.on_bar(bar(2000.0), books)

    assert [0, 0, 0, Decimal("0.10")] == entered
    out = Order(symbol="XAUUSD", side=Side.SELL, quantity=Decimal("0.10"), reduce_only=True)
    assert [out] == vetoed == asked
    assert [0] == closed
    assert after is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 1}, "window must be above 1: it is 1"),
        ({"width": 0.0}, "width must be above 0: it is 0.0"),
        ({"quantity": Decimal(0)}, "quantity must be above 0: it is 0"),
        ({"timeframe": "m15"}, 'timeframe is "m15"; write a unit and a count'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        reversion(**settings)


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(reversion)
