from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    DAY,
    Bar,
    Defect,
    OtherTimeframe,
    Quote,
    Sessions,
    UnusableData,
    refuse_other_timeframe,
    refuse_unreadable,
    sound_bars,
    sound_quotes,
)
from nicegold.testing import MINUTE, START, bar, quote

NAN, INFINITY = float("nan"), float("inf")
#: Floats of every sort, and prices as they are.
FLOATS = st.floats() | st.floats(1.0, 2000.0)
BARS = st.builds(
    Bar,
    symbol=st.just("XAUUSD"),
    start=st.integers(-5, 20),
    time=st.integers(-5, 20),
    open=FLOATS,
    high=FLOATS,
    low=FLOATS,
    close=FLOATS,
    volume=FLOATS,
    spread=FLOATS,
)
QUOTES = st.builds(
    Quote, symbol=st.just("XAUUSD"), time=st.integers(-5, 20), bid=FLOATS, ask=FLOATS, bid_size=FLOATS
)


def told_apart(bars: list[Bar]) -> tuple[list[Bar], list[Defect]]:
    defects: list[Defect] = []
    return list(sound_bars(bars, lambda bar: bar, defects.append, repr)), defects


def quotes_told_apart(quotes: list[Quote]) -> tuple[list[Quote], list[Defect]]:
    defects: list[Defect] = []
    return list(sound_quotes(quotes, lambda quote: quote, defects.append, repr)), defects


@pytest.mark.parametrize(
    ("wrong", "kind", "reason"),
    [
        (bar(NAN, number=1), "not_finite", "open is nan"),
        (bar(2000.0, number=1, high=INFINITY), "not_finite", "high is inf"),
        (bar(2000.0, number=1, volume=NAN), "not_finite", "volume is nan"),
        (bar(2000.0, number=1, spread=INFINITY), "not_finite", "spread is inf"),
        (bar(1e15, number=1), "not_finite", "its numbers are too large to be prices"),
        (bar(2000.0, number=1, low=0.0), "not_positive", "low is 0.0"),
        (bar(-1.0, number=1, high=5.0), "not_positive", "open is -1.0"),
        (bar(2000.0, number=1, volume=-1.0), "not_positive", "volume is -1.0"),
        (bar(2000.0, number=1, spread=-0.1), "not_positive", "spread is -0.1"),
        (bar(2000.0, number=1, high=1999.0, low=2001.0), "broken_ohlc", "high 1999.0 is below low 2001.0"),
        (
            bar(2000.0, number=1, open=1990.0, low=1995.0),
            "broken_ohlc",
            "open 1990.0 is not between low 1995.0 and high 2000.0",
        ),
        (
            bar(2000.0, number=1, open=1990.0, high=1995.0),
            "broken_ohlc",
            "close 2000.0 is not between low 1990.0 and high 1995.0",
        ),
        (bar(2000.0, number=0), "duplicate", "line 1 has the same time"),
        (bar(2000.0, number=-5), "backward", "its time is before that of line 1"),
        (
            Bar("XAUUSD", -1, MINUTE, 1.0, 1.0, 1.0, 1.0),
            "unreadable",
            "1969-12-31 23:59:59.999999 is not a time between 1970 and 2262",
        ),
        (
            Bar("XAUUSD", 1 << 63, (1 << 63) + MINUTE, 1.0, 1.0, 1.0, 1.0),
            "unreadable",
            "2262-04-11 23:47:16.854775 is not a time between 1970 and 2262",
        ),
    ],
)
def test_a_bar_that_cannot_be_right_is_rejected_with_its_line_and_the_reason(wrong, kind, reason):
    bars, defects = told_apart([bar(2000.0, number=0), wrong, bar(2000.0, number=2)])

    assert [bar(2000.0, number=0), bar(2000.0, number=2)] == bars
    assert [Defect(kind, 2, reason, repr(wrong))] == defects


@pytest.mark.parametrize(
    ("wrong", "kind", "reason"),
    [
        (quote(2000.2, 2000.0, number=1), "crossed", "bid 2000.2 is above ask 2000.0"),
        (quote(NAN, 2000.0, number=1), "not_finite", "bid is nan"),
        (quote(2000.0, INFINITY, number=1), "not_finite", "ask is inf"),
        (quote(0.0, 2000.0, number=1), "not_positive", "bid is 0.0"),
        (quote(2000.0, 2000.2, number=1, size=-1.0), "not_positive", "bid_size is -1.0"),
        (quote(1e15, 1e15, number=1), "not_finite", "its numbers are too large to be prices"),
        (quote(2000.0, 2000.2, number=-1), "backward", "its time is before that of line 1"),
    ],
)
def test_a_quote_that_cannot_be_right_is_rejected_with_its_line_and_the_reason(wrong, kind, reason):
    quotes, defects = quotes_told_apart([quote(2000.0, 2000.2), wrong])

    assert [quote(2000.0, 2000.2)] == quotes
    assert [Defect(kind, 2, reason, repr(wrong))] == defects


def test_quotes_of_one_moment_are_all_delivered():
    both = [quote(2000.0, 2000.2), quote(2000.1, 2000.2)]

    assert (both, []) == quotes_told_apart(both)


def test_what_cannot_be_read_is_rejected_and_a_blank_row_skipped():
    defects: list[Defect] = []

    def read(text: str) -> Bar:
        return bar(float(text), number=len(text))

    bars = list(sound_bars(["1.0", "", "x", "22.0"], read, defects.append, str.strip, first=7))

    assert [bar(1.0, number=3), bar(22.0, number=4)] == bars
    assert [Defect("unreadable", 9, "could not convert string to float: 'x'", "x")] == defects


def test_a_row_with_too_few_fields_is_rejected():
    defects: list[Defect] = []

    def read(fields: list[float]) -> Bar:
        return bar(fields[1])

    assert [] == list(sound_bars([[1.0]], read, defects.append, repr))
    assert [Defect("unreadable", 1, "it has too few fields", "[1.0]")] == defects


def test_a_bar_that_follows_soon_is_delivered_before_the_next_row_is_read():
    def rows():
        yield bar(2000.0)
        yield bar(2001.0, number=1)
        raise AssertionError("nobody asked for this row")

    stream = sound_bars(rows(), lambda bar: bar, lambda defect: None, repr)

    assert bar(2000.0) == next(stream)
    assert bar(2001.0, number=1) == next(stream)


# Leaps.

A_DAY, A_YEAR = 24 * 60, 365 * 24 * 60


@pytest.mark.parametrize("line", [1, 2, 3])
def test_one_line_with_a_time_far_ahead_is_the_defect_and_not_what_follows(line):
    right = [bar(2000.0, number=number) for number in range(5)]
    wrong = bar(2000.0, number=A_YEAR)

    bars, defects = told_apart([*right[: line - 1], wrong, *right[line - 1 :]])

    assert right == bars
    assert [("ahead", line)] == [(defect.kind, defect.line) for defect in defects]
    assert f"2027-01-05, and line {line + 1} is back at 2026-01-05" in defects[0].reason.replace(" 00:01", "")


def test_a_quote_far_ahead_is_the_defect_and_not_what_follows():
    right = [quote(2000.0, 2000.2, number=number) for number in range(3)]

    quotes, defects = quotes_told_apart([right[0], quote(2000.0, 2000.2, number=A_YEAR * 60), *right[1:]])

    assert right == quotes
    assert ["ahead"] == [defect.kind for defect in defects]


@pytest.mark.parametrize("hole", [A_DAY, 5 * A_DAY, 25 * A_DAY, A_YEAR])
def test_a_hole_is_no_defect_however_long(hole):
    bars = [bar(2000.0), bar(2000.0, number=hole), bar(2000.0, number=hole + 1), bar(2000.0, number=3 * hole)]

    assert (bars, []) == told_apart(bars)


def test_what_leaps_and_is_followed_by_garbage_is_believed_and_defects_stay_in_order():
    defects: list[Defect] = []
    rows = [bar(2000.0), bar(2000.0, number=A_YEAR), None, bar(2000.0, number=1)]

    def read(row: Bar | None) -> Bar:
        if row is None:
            raise ValueError("it is odd")
        return row

    bars = list(sound_bars(rows, read, defects.append, repr))

    assert rows[:2] == bars
    assert [("unreadable", 3), ("backward", 4)] == [(defect.kind, defect.line) for defect in defects]


def test_what_comes_back_by_a_little_is_backward_and_refutes_nothing():
    bars, defects = told_apart([bar(number=A_YEAR), bar(number=A_YEAR - 1), bar(number=A_YEAR + 1)])

    assert [bar(number=A_YEAR), bar(number=A_YEAR + 1)] == bars
    assert [("backward", 2)] == [(defect.kind, defect.line) for defect in defects]


# What fills closed hours.

GOLD_HOURS = Sessions.parse("gold")
#: START is Monday 00:00 UTC; five days and a little later it is Saturday.
SATURDAY = 5 * A_DAY + 30


def with_sessions(bars: list[Bar], sessions: Sessions) -> tuple[list[Bar], list[Defect]]:
    defects: list[Defect] = []
    return list(sound_bars(bars, lambda bar: bar, defects.append, repr, sessions=sessions)), defects


def test_flat_bars_without_volume_in_closed_hours_are_rejected():
    before, after = bar(number=0, volume=1.0), bar(number=7 * A_DAY)
    padding = [bar(number=SATURDAY + number) for number in range(3)]

    bars, defects = with_sessions([before, *padding, after], GOLD_HOURS)

    assert [before, after] == bars
    assert 3 * ["closed_market"] == [defect.kind for defect in defects]
    assert "it is flat and without volume, and XAUUSD is closed then" == defects[0].reason


@pytest.mark.parametrize(
    ("given", "sessions"),
    [
        (bar(number=SATURDAY, volume=1.0), GOLD_HOURS),
        (bar(number=SATURDAY, high=2000.5), GOLD_HOURS),
        (bar(number=A_DAY + 60), GOLD_HOURS),
        (bar(number=SATURDAY), Sessions()),
    ],
    ids=["with volume", "that move", "in open hours", "of what never closes"],
)
def test_other_bars_are_delivered_in_closed_hours_too(given, sessions):
    before = bar(volume=1.0)

    assert ([before, given], []) == with_sessions([before, given], sessions)


def test_where_no_bar_has_a_volume_a_flat_one_says_nothing():
    both = [bar(), bar(number=SATURDAY)]

    assert (both, []) == with_sessions(both, GOLD_HOURS)


def test_a_file_may_begin_with_what_fills_closed_hours():
    bars, defects = with_sessions([bar(number=SATURDAY), bar(number=7 * A_DAY, volume=1.0)], GOLD_HOURS)

    assert [bar(number=7 * A_DAY, volume=1.0)] == bars
    assert ["closed_market"] == [defect.kind for defect in defects]


@given(st.lists(BARS, max_size=30))
def test_every_bar_is_delivered_or_rejected_and_what_is_delivered_is_sound_and_in_order(drawn):
    bars, defects = told_apart(drawn)

    assert len(drawn) == len(bars) + len(defects)
    assert all(bar.is_sound for bar in bars)
    assert all(before.time < after.time for before, after in pairwise(bars))
    rejected = {defect.line for defect in defects}
    assert bars == [bar for line, bar in enumerate(drawn, 1) if line not in rejected]


@given(st.lists(QUOTES, max_size=30))
def test_every_quote_is_delivered_or_rejected_and_what_is_delivered_is_sound_and_in_order(drawn):
    quotes, defects = quotes_told_apart(drawn)

    assert len(drawn) == len(quotes) + len(defects)
    assert all(quote.is_sound for quote in quotes)
    assert all(before.time <= after.time for before, after in pairwise(quotes))


def test_first_lines_without_a_bar_are_refused_with_the_first_reason():
    with pytest.raises(UnusableData, match="nothing to read in its first lines; line 3: it is odd"):
        refuse_unreadable([], [Defect("unreadable", 3, "it is odd", "?")])


def test_lines_that_run_backwards_are_refused_with_the_way_out():
    backward = [Defect("backward", line, "", "") for line in (2, 3)]

    with pytest.raises(UnusableData, match="newest line first; turn it"):
        refuse_unreadable([bar()], backward, "turn it")


def test_first_lines_with_some_bars_are_taken():
    refuse_unreadable([bar(), bar(number=1)], [Defect("backward", 3, "", "")])


def starts(*minutes: int) -> list[int]:
    return [START + minute * MINUTE for minute in minutes]


@pytest.mark.parametrize(
    ("begin", "length", "reason"),
    [
        (starts(0, 1, 2), 15 * MINUTE, "has bars M1 apart, and timeframe says M15"),
        (starts(*range(0, 60 * 24, 60)), MINUTE, 'says M1; write timeframe = "H1" if'),
        (starts(0, 60 * 22), DAY + DAY, "has bars H22 apart"),
    ],
)
def test_a_timeframe_that_the_bars_contradict_is_refused(begin, length, reason):
    with pytest.raises(OtherTimeframe, match=reason):
        refuse_other_timeframe(begin, length)


@pytest.mark.parametrize(
    ("begin", "length"),
    [
        ([], MINUTE),
        (starts(0), MINUTE),
        (starts(0, 60), MINUTE),
        (starts(0, 60, *range(120, 150)), MINUTE),
        (starts(*(day * 1440 for day in range(5)), 5 * 1440 - 60), DAY),
    ],
)
def test_holes_and_days_of_23_hours_are_no_contradiction(begin, length):
    refuse_other_timeframe(begin, length)
