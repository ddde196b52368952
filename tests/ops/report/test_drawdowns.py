"""A drawdown begins at a peak, is as deep as its lowest close, and ends where the peak is reached again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold_ops.report.drawdowns import (
    Drawdown,
    average_drawdown,
    drawdowns_of,
    longest_drawdown,
    ulcer_index,
)

equity = st.lists(st.floats(1.0, 1000.0), min_size=1, max_size=80)


def by_day(closes: list[float], first: int = 10) -> dict[int, float]:
    return dict(enumerate(closes, first))


def test_a_drawdown_goes_from_its_peak_to_the_close_that_is_as_high_again():
    found = drawdowns_of(100.0, by_day([120.0, 90.0, 60.0, 80.0, 120.0, 130.0]))

    assert [Drawdown(peak_day=10, trough_day=12, end_day=14, depth=0.5, is_recovered=True)] == found
    assert [4] == [each.days for each in found]


def test_a_drawdown_that_is_not_made_up_lasts_until_the_end():
    found = drawdowns_of(100.0, by_day([120.0, 90.0, 108.0]))

    assert [Drawdown(peak_day=10, trough_day=11, end_day=12, depth=0.25, is_recovered=False)] == found


def test_the_start_is_the_close_of_the_day_before():
    found = drawdowns_of(100.0, by_day([75.0]))

    assert [Drawdown(peak_day=9, trough_day=10, end_day=10, depth=0.25, is_recovered=False)] == found


def test_days_without_a_close_count_into_the_length():
    found = drawdowns_of(100.0, {5: 80.0, 8: 100.0})

    assert [4] == [each.days for each in found]


def test_debts_are_more_than_the_whole_peak():
    (found,) = drawdowns_of(100.0, by_day([-50.0]))

    assert 1.5 == found.depth


def test_who_begins_with_nothing_has_nothing_to_lose():
    assert [] == drawdowns_of(0.0, by_day([-10.0, -20.0]))
    assert 0.0 == ulcer_index([0.0, -10.0, -20.0])


def test_the_average_is_over_drawdowns_and_the_longest_in_calendar_days():
    found = drawdowns_of(100.0, {10: 90.0, 11: 100.0, 12: 70.0, 19: 80.0})

    assert average_drawdown(found) == pytest.approx(0.2, rel=1e-12)
    assert 8 == longest_drawdown(found)


def test_without_drawdowns_there_is_no_average():
    assert average_drawdown([]) is None
    assert 0 == longest_drawdown([])


def test_ulcer_index_by_hand():
    # Drawdowns of 0, 0.1 and 0: as in ffn's own test, which has it in percent.
    assert ulcer_index([100.0, 90.0, 100.0]) == pytest.approx(math.sqrt(100 / 3) / 100, rel=1e-12)


@pytest.mark.parametrize("closes", [[], [100.0]])
def test_ulcer_index_needs_a_day(closes):
    assert ulcer_index(closes) is None


@given(closes=equity)
def test_drawdowns_cover_just_the_days_below_a_peak_and_the_deepest_is_the_deepest_of_all(closes):
    values = np.array([500.0, *closes])
    depths = (1.0 - values / np.maximum.accumulate(values))[1:]

    found = drawdowns_of(500.0, by_day(closes))

    inside = [
        any(each.peak_day < day and (day < each.end_day or not each.is_recovered) for each in found)
        for day in range(10, 10 + len(closes))
    ]
    assert (depths > 0).tolist() == inside
    assert depths.max() == max((each.depth for each in found), default=0.0)
    assert [depths[each.trough_day - 10] for each in found] == [each.depth for each in found]


@given(closes=equity, scale=st.sampled_from([0.25, 2.0, 1024.0]))
def test_another_currency_changes_nothing(closes, scale):
    scaled = [each * scale for each in closes]

    assert drawdowns_of(500.0, by_day(closes)) == drawdowns_of(500.0 * scale, by_day(scaled))
    assert ulcer_index([500.0, *closes]) == ulcer_index([500.0 * scale, *scaled])


@given(closes=equity)
def test_the_ulcer_index_lies_between_nothing_and_the_deepest_drawdown(closes):
    values = np.array([500.0, *closes])
    depths = 1.0 - values / np.maximum.accumulate(values)

    found = ulcer_index(values.tolist())

    assert found == pytest.approx(math.sqrt(np.mean(depths**2)), rel=1e-9, abs=1e-12)
    assert found <= depths.max() + 1e-12
