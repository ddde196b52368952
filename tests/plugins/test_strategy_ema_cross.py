from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold.testing import check_conformance
from nicegold_plugins.strategies.ema_cross import EmaCross
from tests.plugins.decisions import closes, held_after_each

#: In cents: far apart, and so near that the averages are often equal.
CENTS = st.lists(st.integers(150_000, 250_000), max_size=60) | st.lists(
    st.integers(200_000, 200_002), max_size=60
)


def cross(**settings: Any) -> EmaCross:
    defaults: dict[str, Any] = {
        "instrument": "XAUUSD",
        "quantity": Decimal("0.10"),
        "fast": 2,
        "slow": 3,
        "name": "cross",
    }
    return EmaCross(**(defaults | settings))


def average(prices: list[float], length: int) -> float:
    """An exponential average as the weighted sum that it is, from the last price back to the first."""
    step = 2 / (length + 1)
    weights = [step * (1 - step) ** age for age in range(len(prices) - 1)] + [(1 - step) ** (len(prices) - 1)]
    return sum(weight * price for weight, price in zip(weights, reversed(prices), strict=True))


def by_hand(prices: list[float], fast: int, slow: int, down: Decimal) -> list[Decimal]:
    """The lots held after each close, from averages of everything so far."""
    held, side = [Decimal(0)] * min(slow - 1, len(prices)), None
    for n in range(slow, len(prices) + 1):
        gap = average(prices[:n], fast) - average(prices[:n], slow)
        now = side or 0 if abs(gap) <= 1e-9 * prices[n - 1] else 1 if gap > 0 else -1
        crossed = side is not None and now != side
        last = held[-1] if held else Decimal(0)
        held.append((Decimal("0.10") if now > 0 else down) if crossed else last)
        side = now
    return held


@given(cents=CENTS, fast=st.integers(1, 6), more=st.integers(1, 8), allow_short=st.booleans())
def test_it_decides_on_every_bar_as_weighted_sums_do(cents, fast, more, allow_short):
    prices, slow = [each / 100 for each in cents], fast + more
    down = Decimal("-0.10") if allow_short else Decimal(0)
    strategy = cross(fast=fast, slow=slow, allow_short=allow_short)

    held = held_after_each(strategy, closes(*prices))

    assert by_hand(prices, fast, slow, down) == held


def test_the_averages_count_after_as_many_bars_as_the_slow_one_has():
    falls_then_rises = closes(3.0, 2.0, 1.0, 4.0)

    assert [0, 0, 0, Decimal("0.10")] == held_after_each(cross(), falls_then_rises)
    assert [0, 0, 0, 0] == held_after_each(cross(slow=4), falls_then_rises)


def test_a_price_that_does_not_move_is_no_cross():
    assert [0] * 9 == held_after_each(cross(), closes(*[2000.1] * 9))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fast": 30, "slow": 10}, "fast must be below slow: fast is 30, slow is 10"),
        ({"fast": 0}, "fast must be above 0: it is 0"),
        ({"quantity": Decimal(-1)}, "quantity must be above 0: it is -1"),
        ({"timeframe": "H"}, 'timeframe is "H"; write a unit and a count'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cross(**settings)


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(cross)
