"""A gap is one only while the session is open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nicegold import DAY, SECOND, Bar, Sessions
from nicegold_ops.report.gaps import Gap, GapFinder, Gaps

HOUR = 3600 * SECOND
#: 2023-09-04 00:00 UTC, a Monday.
MONDAY = 19604 * DAY


def found(hours: list[int], sessions: str = "always") -> Gaps:
    """Of hourly bars that begin so many *hours* after Monday."""
    finder = GapFinder("XAUUSD", Sessions.parse(sessions))
    for hour in hours:
        start = MONDAY + hour * HOUR
        finder.add(Bar("XAUUSD", start, start + HOUR, 1.0, 1.0, 1.0, 1.0))
    return finder.found


def test_bars_one_after_the_other_have_no_gap():
    assert Gaps("XAUUSD", 5, 0, 0, []) == found([0, 1, 2, 3, 4])


def test_what_is_missing_is_counted_in_bars():
    assert Gaps("XAUUSD", 3, 1, 3, [Gap(MONDAY + 2 * HOUR, MONDAY + 5 * HOUR, 3)]) == found([0, 1, 5])


def test_the_weekend_is_no_gap():
    friday = 4 * 24 + 20

    assert 0 == found([friday, friday + 49], "fx").gaps


def test_of_a_gap_into_the_weekend_the_open_part_is_missing():
    friday = 4 * 24 + 18

    assert 2 == found([friday, friday + 51], "fx").missing


@given(st.sets(st.integers(0, 400), min_size=1, max_size=100))
def test_bars_and_missing_ones_are_all_there_could_be(hours):
    gaps = found(sorted(hours))

    assert max(hours) - min(hours) + 1 == gaps.bars + gaps.missing
    assert len(gaps.longest) == min(gaps.gaps, 20)


def test_bars_that_overlap_are_no_gap():
    assert 2 == found([0, 3, 1, 4]).missing
