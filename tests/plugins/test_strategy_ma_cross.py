from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nicegold import Order, Side
from nicegold.testing import bar, check_conformance, engine_with
from nicegold_plugins.brokers.paper import Paper
from nicegold_plugins.strategies.ma_cross import MaCross
from tests.plugins.decisions import closes, held_after_each, portfolio

#: In cents: far apart, and so near that the means are often equal.
CENTS = st.lists(st.integers(150_000, 250_000), max_size=80) | st.lists(
    st.integers(200_000, 200_002), max_size=80
)


def cross(**settings: Any) -> MaCross:
    defaults: dict[str, Any] = {
        "instrument": "XAUUSD",
        "quantity": Decimal("0.10"),
        "fast": 2,
        "slow": 3,
        "name": "cross",
    }
    return MaCross(**(defaults | settings))


def by_hand(cents: list[int], fast: int, slow: int, down: Decimal) -> list[Decimal]:
    """The lots held after each close, from means of whole slices."""
    ends = range(slow, len(cents) + 1)
    gaps = [Fraction(sum(cents[n - fast : n]), fast) - Fraction(sum(cents[n - slow : n]), slow) for n in ends]
    held, side = [Decimal(0)] * min(slow - 1, len(cents)), None
    for gap in gaps:
        now = (gap > 0) - (gap < 0) or side or 0
        crossed = side is not None and now != side
        last = held[-1] if held else Decimal(0)
        held.append((Decimal("0.10") if now > 0 else down) if crossed else last)
        side = now
    return held


@given(cents=CENTS, fast=st.integers(1, 6), more=st.integers(1, 8), allow_short=st.booleans())
@example(cents=[200_000] * 3 + [200_001] * 9, fast=1, more=1, allow_short=True)
def test_it_decides_on_every_bar_as_means_of_whole_slices_do(cents, fast, more, allow_short):
    slow = fast + more
    down = Decimal("-0.10") if allow_short else Decimal(0)
    strategy = cross(fast=fast, slow=slow, allow_short=allow_short)

    held = held_after_each(strategy, closes(*(each / 100 for each in cents)))

    assert by_hand(cents, fast, slow, down) == held


def test_the_first_bar_with_both_means_only_shows_the_side():
    held = held_after_each(cross(), closes(1.0, 2.0, 3.0, 4.0, 5.0))

    assert [0, 0, 0, 0, 0] == held


def test_a_cross_turns_the_position_with_one_order():
    strategy, books = cross(), portfolio()

    asked = [strategy.on_bar(each, books) for each in closes(3.0, 2.0, 1.0, 4.0)]

    assert [None, None, None, [Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"))]] == asked


def test_without_shorts_a_cross_down_only_sells_what_is_held():
    held = held_after_each(cross(allow_short=False), closes(3.0, 2.0, 1.0, 4.0, 5.0, 1.0, 0.5))

    assert [0, 0, 0, Decimal("0.10"), Decimal("0.10"), 0, 0] == held


def test_means_that_touch_and_part_again_are_no_cross():
    strategy, books = cross(fast=1, slow=2), portfolio()

    asked = [strategy.on_bar(each, books) for each in closes(2.0, 1.0, 2.0, 2.0, 2.0, 3.0)]

    assert [None, None, "asks", None, None, None] == [orders and "asks" for orders in asked]


def test_means_apart_by_less_than_a_billionth_of_the_price_are_equal():
    held = held_after_each(cross(), closes(2000.0, 2000.0, 2000.0, 2000.000001, 2000.0, 2000.0))

    assert [0] * 6 == held


def test_in_an_engine_its_orders_bear_its_name_and_its_fills_are_its_own():
    engine, seen = engine_with(trend=cross(name="trend"), venue=Paper())

    for each in closes(3.0, 2.0, 1.0, 4.0, 4.0):
        engine.handle(each)

    assert ["trend"] == [order.strategy for order in seen.of(Order)]
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD", "trend").quantity


def test_bars_of_another_instrument_or_length_are_not_looked_at():
    strategy = cross(timeframe="M1")
    wanted = closes(3.0, 2.0, 1.0, 4.0)
    others = [bar(9.0, symbol="EURUSD"), bar(9.0, length=wanted[0].time - wanted[0].start + 1)]

    held = held_after_each(strategy, [each for pair in wanted for each in (*others, pair)])

    assert Decimal("0.10") == held[-1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fast": 30, "slow": 10}, "fast must be below slow: fast is 30, slow is 10"),
        ({"fast": 3, "slow": 3}, "fast must be below slow: fast is 3, slow is 3"),
        ({"fast": 0}, "fast must be above 0: it is 0"),
        ({"quantity": Decimal(0)}, "quantity must be above 0: it is 0"),
        ({"quantity": Decimal("NaN")}, "quantity must be above 0: it is NaN"),
        ({"timeframe": "M7x"}, 'timeframe is "M7x"; write a unit and a count'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cross(**settings)


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(cross)
