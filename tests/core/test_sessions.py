"""When an instrument trades: hours as people write them, summer time, breaks and trading days."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import DAY, SECOND, Sessions
from nicegold.sessions import usual_hours

GOLD = Sessions.parse("gold")
MINUTE = 60 * SECOND
#: 2000-01-01 to 2040, where time zones are known.
TIMES = st.integers(946_684_800, 2_208_988_800).map(lambda second: second * SECOND)


def at(text: str) -> int:
    """Nanoseconds of a moment written in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-01-04T22:59", False),  # Sunday 17:59 in New York
        ("2026-01-04T23:00", True),  # Sunday 18:00
        ("2026-01-05T21:59", True),  # Monday 16:59
        ("2026-01-05T22:00", False),  # Monday 17:00, the break
        ("2026-01-05T22:59", False),
        ("2026-01-05T23:00", True),
        ("2026-01-09T21:59", True),  # Friday 16:59
        ("2026-01-09T22:00", False),  # Friday 17:00
        ("2026-01-09T23:30", False),  # no evening session on Friday
        ("2026-01-10T12:00", False),  # Saturday
        ("2026-07-05T21:59", False),  # summer: Sunday 17:59
        ("2026-07-05T22:00", True),  # summer: Sunday 18:00
    ],
)
def test_gold_trades_from_sunday_evening_to_friday_in_new_york(moment, opens):
    assert opens is GOLD.is_open(at(moment))


def test_gold_trades_on_the_hours_of_new_york_through_its_change_to_summer_time():
    before, after = at("2026-03-06T22:30"), at("2026-03-09T22:30")

    assert not GOLD.is_open(before)  # 17:30 in winter
    assert GOLD.is_open(after)  # 18:30 in summer


def test_fx_has_no_break():
    fx = Sessions.parse("fx")

    assert fx.is_open(at("2026-01-05T22:30"))
    assert not fx.is_open(at("2026-01-09T22:00"))


def test_always_is_open_at_the_weekend_too():
    assert Sessions.parse("always").is_open(at("2026-01-10T12:00"))
    assert Sessions() == Sessions.parse("Always")


def test_a_market_that_never_closes_for_the_week_still_takes_its_break():
    crypto = Sessions.parse("Mon 00:00 - Mon 00:00 UTC, break 22:00 - 22:05")

    assert crypto.is_open(at("2026-01-10T21:59"))
    assert not crypto.is_open(at("2026-01-10T22:04"))
    assert crypto.is_open(at("2026-01-10T22:05"))


def test_a_break_may_cross_midnight():
    late = Sessions.parse("Mon 00:00 - Sat 00:00 UTC, break 23:30 - 00:30")

    assert late.is_open(at("2026-01-06T23:29"))
    assert not late.is_open(at("2026-01-06T23:30"))
    assert not late.is_open(at("2026-01-07T00:29"))
    assert late.is_open(at("2026-01-07T00:30"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whenever", 'sessions "whenever" are not hours; write always, gold, fx or "Sun 18:00 - Fri 17:00'),
        ("Sun 18:00 - Fri 17:00 Mars/Olympus", 'there is no time zone "Mars/Olympus"'),
        ("Sun 18:00 - Fri 17:00 America", 'there is no time zone "America"'),
        ("Sun 18:00 - Fri 17:00 ../etc", "are not hours"),
        ("Son 18:00 - Fri 17:00 UTC", '"Son" is not a day of the week; write one of Mon to Sun'),
        ("Sun 25:00 - Fri 17:00 UTC", '"25:00" is not a time of day; write 00:00 to 23:59'),
        ("Sun 18:00 - Fri 17:60 UTC", '"17:60" is not a time of day; write 00:00 to 23:59'),
        ("Sun 18:00 - Fri 17:00 UTC, break 17:00 - 24:00", '"24:00" is not a time of day'),
    ],
)
def test_hours_that_cannot_be_read_are_refused_with_the_way_out(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sessions.parse(text)


def test_golds_sunday_evening_belongs_to_monday():
    monday = (at("2026-01-05T12:00") // DAY,) * 2

    assert monday == (GOLD.trading_day(at("2026-01-04T23:00")), GOLD.trading_day(at("2026-01-05T21:59")))
    assert monday[0] + 1 == GOLD.trading_day(at("2026-01-05T22:00"))


def test_days_change_at_midnight_where_a_market_never_closes():
    assert at("2026-01-05T00:00") // DAY == Sessions().trading_day(at("2026-01-05T00:00"))
    assert at("2026-01-04T00:00") // DAY == Sessions().trading_day(at("2026-01-04T23:59"))


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("2026-01-05T12:00", "2026-01-05T13:30", 1.5),
        ("2026-01-05T21:30", "2026-01-05T23:30", 1.0),  # the break
        ("2026-01-09T21:00", "2026-01-11T23:30", 1.5),  # the weekend
        ("2026-01-10T00:00", "2026-01-11T00:00", 0.0),
        ("2026-03-06T22:00", "2026-03-08T22:30", 0.5),  # summer time begins on that Sunday
        ("2026-01-05T00:00", "2026-01-12T00:00", 5 * 23.0),
    ],
)
def test_open_time_is_that_in_which_gold_trades(begin, end, hours):
    assert hours * 3600 * SECOND == GOLD.open_time(at(begin), at(end))


@given(TIMES, st.integers(0, 3 * 24 * 60))
def test_open_time_adds_up_minute_by_minute(time, minutes):
    begin = time - time % MINUTE
    open_minutes = sum(GOLD.is_open(begin + each * MINUTE) for each in range(minutes))

    assert open_minutes * MINUTE == GOLD.open_time(begin, begin + minutes * MINUTE)


def test_a_market_that_never_closes_is_open_all_the_time():
    assert 3 * DAY + 7 == Sessions().open_time(at("2026-01-10T00:00"), at("2026-01-13T00:00") + 7)


def test_opening_and_closing_are_said_to_a_person():
    assert "Sunday 18:00" == GOLD.opening
    assert "Friday 17:00, daily 17:00 to 18:00" == GOLD.closing
    assert "Friday 17:00" == Sessions.parse("fx").closing


@pytest.mark.parametrize(
    ("symbol", "hours"),
    [
        ("XAUUSD", "gold"),
        ("xagusd.m", "gold"),
        ("EURUSD", "fx"),
        ("USDJPYm", "fx"),
        ("BTCUSD", "always"),
        ("GOOG", "always"),
        ("", "always"),
    ],
)
def test_the_usual_hours_go_by_the_symbol(symbol, hours):
    assert hours == usual_hours(symbol)


@given(TIMES, st.integers(0, 14 * 24 * 60))
def test_trading_days_never_run_backwards(time, minutes):
    assert GOLD.trading_day(time) <= GOLD.trading_day(time + minutes * MINUTE)


@given(TIMES)
def test_gold_is_open_when_a_clock_in_new_york_says_so(time):
    local = datetime.fromtimestamp(time // SECOND, UTC).astimezone(ZoneInfo("America/New_York"))
    since_sunday = timedelta(
        days=(local.weekday() + 1) % 7, hours=local.hour, minutes=local.minute, seconds=local.second
    )
    in_week = timedelta(hours=18) <= since_sunday < timedelta(days=5, hours=17)

    assert (in_week and local.hour != 17) is GOLD.is_open(time)
