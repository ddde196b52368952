from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Bar, Order, Side
from nicegold.testing import bar, check_conformance
from nicegold_plugins.strategies.donchian_breakout import DonchianBreakout
from tests.plugins.decisions import closes, held_after_each, portfolio


def breakout(**settings: Any) -> DonchianBreakout:
    defaults: dict[str, Any] = {
        "instrument": "XAUUSD",
        "quantity": Decimal("0.10"),
        "entry": 3,
        "exit": 2,
        "name": "out",
    }
    return DonchianBreakout(**(defaults | settings))


@st.composite
def wandering(draw):
    """Bars whose closes wander by whole dollars, with wicks."""
    steps = draw(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), st.integers(0, 2)), max_size=60))
    close, bars = 2000, []
    for number, (step, up, down) in enumerate(steps):
        opened, close = close, close + step
        high, low = max(opened, close) + up, min(opened, close) - down
        bars.append(bar(float(close), number=number, open=float(opened), high=float(high), low=float(low)))
    return bars


def by_hand(bars: list[Bar], entry: int, exit: int, allow_short: bool) -> list[Decimal]:
    """The lots held after each bar, from whole slices."""
    held, quantity = Decimal(0), Decimal("0.10")
    after_each = []
    for n, seen in enumerate(bars):
        if n >= entry:
            before, last = bars[n - entry : n], bars[n - exit : n]
            if seen.close > max(each.high for each in before):
                held = quantity
            elif seen.close < min(each.low for each in before):
                held = -quantity if allow_short else Decimal(0)
            elif (held > 0 and seen.close < min(each.low for each in last)) or (
                held < 0 and seen.close > max(each.high for each in last)
            ):
                held = Decimal(0)
        after_each.append(held)
    return after_each


@given(bars=wandering(), exit=st.integers(1, 4), more=st.integers(0, 4), allow_short=st.booleans())
def test_it_decides_on_every_bar_as_channels_of_whole_slices_do(bars, exit, more, allow_short):
    strategy = breakout(entry=exit + more, exit=exit, allow_short=allow_short)

    held = held_after_each(strategy, bars)

    assert by_hand(bars, exit + more, exit, allow_short) == held


def test_a_close_at_the_edge_is_no_breakout():
    held = held_after_each(breakout(), closes(1.0, 2.0, 3.0, 3.0))

    assert [0, 0, 0, 0] == held


def test_what_was_not_filled_is_asked_for_again_on_the_next_breakout():
    strategy, books = breakout(), portfolio()

    asked = [strategy.on_bar(each, books) for each in closes(1.0, 2.0, 3.0, 4.0, 4.0, 5.0)]

    assert [None, None, None, "asks", None, "asks"] == [orders and "asks" for orders in asked]


def test_an_exit_that_was_not_filled_is_asked_for_again_on_the_next_close_outside_the_exit_channel():
    strategy, books = breakout(entry=4, exit=1), portfolio()
    entered = held_after_each(strategy, closes(1.0, 2.0, 3.0, 4.0, 5.0), books)

    asked = [strategy.on_bar(each, books) for each in closes(4.5, 4.5, 4.0)]

    assert Decimal("0.10") == entered[-1]
    out = [Order(symbol="XAUUSD", side=Side.SELL, quantity=Decimal("0.10"), reduce_only=True)]
    assert [out, None, out] == asked


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"entry": 3, "exit": 4}, "exit must not be above entry: exit is 4, entry is 3"),
        ({"exit": 0}, "exit must be above 0: it is 0"),
        ({"quantity": Decimal(0)}, "quantity must be above 0: it is 0"),
        ({"timeframe": "15"}, 'timeframe is "15"; write a unit and a count'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        breakout(**settings)


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(breakout)
