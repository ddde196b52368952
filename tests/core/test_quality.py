from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    DAY,
    Bar,
    Defect,
    Quote,
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


def test_a_bar_is_delivered_before_the_next_row_is_read():
    def rows():
        yield bar(2000.0)
        raise AssertionError("nobody asked for this row")

    stream = sound_bars(rows(), lambda bar: bar, lambda defect: None, repr)

    assert bar(2000.0) == next(stream)


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

    with pytest.raises(UnusableData, match="newest line first; turn its lines round, such as with tac"):
        refuse_unreadable([bar()], backward)


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
    with pytest.raises(UnusableData, match=reason):
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
