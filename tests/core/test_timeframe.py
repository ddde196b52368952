from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import DAY, SECOND, bar_lengths, name_timeframe, parse_timeframe


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("S30", 30), ("M1", 60), ("M15", 900), ("H4", 14_400), ("D1", 86_400), ("W1", 604_800)],
)
def test_a_timeframe_is_a_unit_and_a_count(text, seconds):
    assert seconds * SECOND == parse_timeframe(text)


@pytest.mark.parametrize("text", ["", "15", "15M", "m15", "M0", "M", "MN1", "M1 ", "M12345", "M\u0661"])
def test_what_is_no_timeframe_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match="write a unit and a count, such as M1, M15"):
        parse_timeframe(text)


@given(unit=st.sampled_from("SMHDW"), count=st.integers(1, 9999))
def test_a_length_that_is_named_and_read_again_is_the_same(unit, count):
    length = parse_timeframe(f"{unit}{count}")

    assert length == parse_timeframe(name_timeframe(length))


def test_a_length_has_the_name_of_the_greatest_unit():
    names = [name_timeframe(length * SECOND) for length in (90, 3600, 86_400, 604_800)]

    assert ["S90", "H1", "D1", "W1"] == names
    assert "0.5 s" == name_timeframe(SECOND // 2)


def test_a_day_may_be_an_hour_shorter_or_longer():
    assert DAY - 3600 * SECOND in bar_lengths("D1")
    assert DAY + 3600 * SECOND in bar_lengths("D1")
    assert 15 * 60 * SECOND + 1 not in bar_lengths("M15")
