from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import DAY, SECOND, Clock
from nicegold.clock import show_time

HOUR = 3600 * SECOND
#: Seconds from 1970 to 2100.
SECONDS = st.integers(0, 4_102_444_800)
ZONES = st.sampled_from(
    ["UTC", "UTC+2", "America/New_York", "Europe/London", "America/New_York+7", "Australia/Lord_Howe"]
)


def local(text: str) -> int:
    """What a clock shows, in ns since its own 1970."""
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()) * SECOND


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("clock", "shows", "is_utc"),
    [
        ("UTC", "2020-05-01 00:15", "2020-05-01 00:15"),
        ("UTC+2", "2020-05-01 02:15", "2020-05-01 00:15"),
        ("UTC-5", "2020-05-01 00:15", "2020-05-01 05:15"),
        ("UTC+05:30", "2020-05-01 05:45", "2020-05-01 00:15"),
        ("UTC+0530", "2020-05-01 05:45", "2020-05-01 00:15"),
        ("Etc/GMT+5", "2020-05-01 00:15", "2020-05-01 05:15"),
        ("EET", "2020-01-01 02:00", "2020-01-01 00:00"),
        ("America/New_York", "2020-01-01 17:00", "2020-01-01 22:00"),
        ("America/New_York", "2020-07-01 17:00", "2020-07-01 21:00"),
        ("America/New_York+7", "2020-07-02 00:00", "2020-07-01 21:00"),
        ("Europe/London-5", "2020-07-01 17:00", "2020-07-01 21:00"),
    ],
)
def test_a_clock_is_declared_in_one_of_these_forms(clock, shows, is_utc):
    declared = Clock.parse(clock)

    assert utc(is_utc) == declared.to_utc(local(shows)) == declared.reader().time(local(shows))
    assert local(shows) == declared.to_local(utc(is_utc))


@pytest.mark.parametrize("text", ["", "Europe/Londn", "America", "../etc/passwd", "+2", "UTC+", "UTC+2:75"])
def test_what_is_no_zone_is_refused_with_the_forms(text):
    with pytest.raises(ValueError, match=r'there is no time zone ".*"; write "UTC"'):
        Clock.parse(text)


def test_a_clock_far_from_its_zone_is_refused():
    with pytest.raises(ValueError, match='"UTC\\+16" is more than 15 hours away from UTC'):
        Clock.parse("UTC+16")


@given(clock=ZONES, seconds=SECONDS)
def test_it_agrees_with_the_standard_library(clock, seconds):
    zone, _, ahead = clock.partition("+")
    there = datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(zone)) + timedelta(hours=int(ahead or 0))

    shown = Clock.parse(clock).to_local(seconds * SECOND)

    assert local(there.replace(tzinfo=None, fold=0).isoformat()) == shown


@given(clock=ZONES, seconds=SECONDS)
def test_what_it_shows_is_read_back_to_that_time_or_the_other_of_that_reading(clock, seconds):
    declared, time = Clock.parse(clock), seconds * SECOND
    shown = declared.to_local(time)

    assert time in (declared.to_utc(shown), declared.to_utc(shown, second=True))
    assert not declared.skips(shown)


@given(clock=ZONES, start=SECONDS, steps=st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_times_in_order_are_read_back_in_that_order(clock, start, steps):
    declared = Clock.parse(clock)
    times, moment = [], start // 1800 * 1800
    for step in steps:
        moment += step * 1800
        times.append(moment * SECOND)
    reading = declared.reader()

    read = [reading.time(declared.to_local(time)) for time in times]

    # A lone reading of an hour that is shown twice is taken for the first.
    assert all(
        found in (time, time - HOUR, time - HOUR // 2) for found, time in zip(read, times, strict=True)
    )


def test_an_hour_that_is_shown_twice_is_told_apart_by_the_order():
    reading = Clock.parse("America/New_York").reader()

    shown = ["00:59", "01:00", "01:59", "01:00", "01:59", "02:00"]
    read = [reading.time(local(f"2020-11-01 {time}")) for time in shown]

    assert [
        utc(f"2020-11-01 {time}") for time in ("04:59", "05:00", "05:59", "06:00", "06:59", "07:00")
    ] == read


def test_a_reading_that_comes_twice_is_the_same_time():
    reading = Clock.parse("America/New_York").reader()

    read = [reading.time(local(f"2020-11-01 {time}")) for time in ("01:00", "01:00", "01:01")]

    assert read[0] == read[1] == read[2] - 60 * SECOND


def test_a_time_that_the_clock_skips_is_refused():
    reading = Clock.parse("America/New_York").reader()

    with pytest.raises(ValueError, match="there is no 2020-03-08 02:30 in America/New_York"):
        reading.time(local("2020-03-08 02:30"))


def test_a_time_out_of_range_is_refused():
    with pytest.raises(ValueError, match="out of range"):
        Clock.parse("America/New_York").reader().time(1 << 90)


def test_a_day_ends_when_the_clock_says_so():
    end_of = Clock.parse("America/New_York").adder(DAY)

    starts = [utc("2020-03-08 05:00"), utc("2020-05-01 04:00"), utc("2020-11-01 04:00")]

    assert [23 * HOUR, 24 * HOUR, 25 * HOUR] == [end_of(start) - start for start in starts]


def test_shorter_bars_are_as_long_on_every_day():
    end_of = Clock.parse("America/New_York").adder(HOUR)

    assert utc("2020-11-01 06:00") == end_of(utc("2020-11-01 05:00"))


def test_a_time_is_shown_to_a_person_as_short_as_it_is():
    shown = [show_time(time * SECOND // 10) for time in (0, 12_050, 12_345)]

    assert ["1970-01-01 00:00", "1970-01-01 00:20:05", "1970-01-01 00:20:34.500000"] == shown
    assert f"{1 << 90} ns after 1970" == show_time(1 << 90)
