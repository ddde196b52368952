"""Candles stay few, and none of them forgets a high, a low or what was held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Bar, Quote
from nicegold_ops.report.prices import Candle, Candles

MINUTE = 60 * SECOND


def bar(number: int, price: float) -> Bar:
    """A minute that ends at *price* and reaches one above and one below."""
    start = number * MINUTE
    return Bar("XAUUSD", start, start + MINUTE, price, price + 1, price - 1, price)


def folded(bars: list[Bar], most: int) -> list[Candle]:
    candles = Candles(most)
    for each in bars:
        candles.add(each)
    return candles.candles


minutes = st.lists(st.tuples(st.integers(1, 5000), st.floats(10, 5000)), min_size=1, max_size=400)


def bars_of(steps: list[tuple[int, float]]) -> list[Bar]:
    number, bars = 0, []
    for step, price in steps:
        number += step
        bars.append(bar(number, price))
    return bars


@given(steps=minutes, most=st.integers(2, 60))
def test_candles_are_fewer_than_asked_for_and_say_what_the_bars_said(steps, most):
    bars = bars_of(steps)

    candles = folded(bars, most)

    assert len(candles) < max(most, 2)
    assert (bars[0].open, bars[-1].close) == (candles[0].open, candles[-1].close)
    assert (bars[0].start, bars[-1].time) == (candles[0].start, candles[-1].time)
    assert max(each.high for each in bars) == max(each.high for each in candles)
    assert min(each.low for each in bars) == min(each.low for each in candles)
    starts = [each.start for each in candles]
    assert sorted(set(starts)) == starts


def test_bars_that_fit_are_candles_as_they_are():
    candles = folded([bar(number, 100.0 + number) for number in range(9)], 10)

    assert [100.0 + number for number in range(9)] == [each.close for each in candles]


def test_when_there_are_too_many_two_become_one():
    candles = folded([bar(number, 100.0 + number) for number in range(8)], 8)

    assert [(101.0, 102.0, 99.0), (103.0, 104.0, 101.0), (105.0, 106.0, 103.0), (107.0, 108.0, 105.0)] == [
        (each.close, each.high, each.low) for each in candles
    ]


def test_quotes_are_seen_at_their_middle():
    candles = Candles()

    for time, bid in enumerate((10.0, 14.0, 12.0)):
        candles.add(Quote("XAUUSD", time, bid, bid + 2))

    assert [Candle(0, 2, 11.0, 15.0, 11.0, 13.0, rate=0.0)] == candles.candles


def test_what_was_held_reaches_as_far_as_it_went_and_stays_until_it_changes():
    candles = Candles()

    for number, held in enumerate(([0.5, -0.25], [], [0.0])):
        candles.add(bar(number, 100.0))
        for each in held:
            candles.hold(each, 1.0)

    assert [(-0.25, 0.5), (-0.25, -0.25), (-0.25, 0.0)] == [
        (each.least, each.most) for each in candles.candles
    ]


def test_a_million_bars_are_a_bounded_picture():
    candles = folded([bar(number, 100.0) for number in range(100_000)], 4096)

    assert 2048 <= len(candles) < 4096
