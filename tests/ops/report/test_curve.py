"""The curve forgets most samples, and none of what it says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold import DAY, SECOND
from nicegold_ops.curve import Curve, Point

MOST_POINTS = 2 * 4096 + 1
MINUTE = 60 * SECOND


def day_of(time: int) -> int:
    return time // DAY


def a_walk(samples: int, seed: int = 0) -> np.ndarray:
    """Equity that starts near 100,000 and may well end far below."""
    return 100_000.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 40.0, samples))


def curve_of(equity: np.ndarray, settled_after: set[int] | None = None, step: int = MINUTE) -> Curve:
    """A curve of samples, *step* ns from each to the next; the odd ones are exposed."""
    curve = Curve(100_000.0, day_of)
    ends = {*range(4096, len(equity), 4096), *(number + 1 for number in settled_after or ()), len(equity)}
    begin = 0
    for end in sorted(end for end in ends if end <= len(equity)):
        numbers = range(begin, end)
        odd = np.array([number % 2 == 1 for number in numbers], dtype=bool)
        curve.extend([number * step for number in numbers], equity[begin:end], odd)
        begin = end
    return curve


def drawdowns_of(equity: np.ndarray) -> np.ndarray:
    """The whole series at once, with its start before it."""
    return (1.0 - equity / np.maximum.accumulate(np.append(100_000.0, equity))[1:]).clip(min=0.0)


walks = st.builds(a_walk, st.integers(1, 9000), st.integers(0, 2**32 - 1))


@settings(max_examples=40, deadline=None)
@given(equity=walks, settled_after=st.sets(st.integers(0, 8999), max_size=20))
def test_the_deepest_drawdown_is_that_of_the_whole_series_however_it_comes_in_chunks(equity, settled_after):
    curve = curve_of(equity, settled_after)

    assert drawdowns_of(equity).max() == curve.max_drawdown
    assert equity[-1] == curve.final


@settings(max_examples=40, deadline=None)
@given(equity=walks, settled_after=st.sets(st.integers(0, 8999), max_size=20), step=st.integers(1, 3 * DAY))
def test_daily_closes_are_the_last_samples_of_their_days(equity, settled_after, step):
    expected = {day_of(number * step): value for number, value in enumerate(equity.tolist())}

    curve = curve_of(equity, settled_after, step)

    assert expected == curve.closes
    assert [100_000.0, *expected.values()] == curve.daily_closes


@settings(max_examples=40, deadline=None)
@given(equity=walks, settled_after=st.sets(st.integers(0, 8999), max_size=20))
def test_points_are_samples_in_their_order_with_the_first_the_deepest_and_the_last(equity, settled_after):
    drawdowns = drawdowns_of(equity)
    samples = [
        Point(number * MINUTE, *pair)
        for number, pair in enumerate(zip(equity.tolist(), drawdowns.tolist(), strict=True))
    ]

    points = curve_of(equity, settled_after).points

    assert sorted(set(points), key=lambda point: point.time) == points
    assert set(points) <= set(samples)
    assert samples[0] == points[0]
    assert samples[-1] == points[-1]
    assert drawdowns.max() == max(point.drawdown for point in points)


def test_a_million_samples_leave_a_bounded_picture_and_exact_figures():
    equity = a_walk(1_000_000)

    curve = curve_of(equity)

    assert 4096 <= len(curve.points) <= MOST_POINTS
    assert drawdowns_of(equity).max() == curve.max_drawdown
    assert 0.5 == curve.exposure
    assert 1_000_000 == curve.samples


def test_a_curve_settled_at_odd_moments_stays_bounded():
    equity = a_walk(60_000)

    curve = Curve(100_000.0, day_of)
    most = 0
    for begin in range(0, len(equity), 1021):
        part = equity[begin : begin + 1021]
        curve.extend(list(range(begin, begin + len(part))), part, np.zeros(len(part), dtype=bool))
        most = max(most, len(curve.points))

    assert most <= MOST_POINTS


def test_a_fall_below_the_start_is_a_drawdown():
    curve = curve_of(np.array([90_000.0]))

    assert 0.1 == round(curve.max_drawdown, 12)


def test_a_curve_without_samples_is_its_start():
    curve = curve_of(np.array([]))

    assert [] == curve.points
    assert [100_000.0] == curve.daily_closes
    assert {} == curve.closes
    assert 0.0 == curve.exposure
    assert 0.0 == curve.max_drawdown
    assert 100_000.0 == curve.final
