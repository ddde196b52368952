"""What openings of the market say about a file's clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest

from nicegold import DAY, SECOND, Bar, Clock, Instrument, Quote, Sessions, UnusableData, refuse_other_clock
from nicegold.openings import Openings, Verdict

HOUR = 3600 * SECOND
#: 2025-01-05 00:00 UTC, a Sunday.
JANUARY = 1_736_035_200 * SECOND
GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=Sessions.parse("gold"))
EURO = Instrument(symbol="EURUSD", tick_size=Decimal("0.00001"), sessions=Sessions.parse("fx"))


def stamped(
    true: str,
    declared: str,
    instrument: Instrument,
    *,
    weeks: float,
    length: int = HOUR,
    start: int = JANUARY,
) -> Iterator[Bar]:
    """Bars of a market that respects its sessions, stamped with the *true* clock and read by another."""
    shown, read = Clock.parse(true), Clock.parse(declared)
    for number in range(int(weeks * 7 * DAY) // length):
        begin = start + number * length
        if any(
            instrument.sessions.is_open(begin + minute * 60 * SECOND)
            for minute in range(0, length // SECOND // 60, 30)
        ):
            by_declared = read.to_utc(shown.to_local(begin))
            yield Bar(instrument.symbol, by_declared, by_declared + length, 1.0, 2.0, 1.0, 1.0, 5.0)


def verdict_on(
    true: str, declared: str, instrument: Instrument = GOLD, *, weeks: float = 52, length: int = HOUR
) -> Verdict:
    openings = Openings(declared, length, instrument)
    for bar in stamped(true, declared, instrument, weeks=weeks, length=length):
        openings.take(bar)
    return openings.verdict()


CLOCKS = ["UTC", "America/New_York", "America/New_York+7", "EET", "Europe/London", "UTC-5"]


@pytest.mark.parametrize("true", [*CLOCKS, "UTC+05:30"])
@pytest.mark.parametrize("instrument", [GOLD, EURO], ids=["gold", "fx"])
def test_a_year_of_hours_agrees_with_the_clock_that_it_has(true, instrument):
    verdict = verdict_on(true, true, instrument)

    assert "agrees" == verdict.says
    assert verdict.explained == verdict.openings > 100


@pytest.mark.parametrize("true", [clock for clock in CLOCKS if clock != "UTC"])
@pytest.mark.parametrize("instrument", [GOLD, EURO], ids=["gold", "fx"])
def test_a_clock_taken_for_utc_is_contradicted_and_the_right_one_named(true, instrument):
    verdict = verdict_on(true, "UTC", instrument)

    assert "contradicts" == verdict.says
    assert [true] == verdict.stretches[0].clocks
    assert f'write timezone = "{true}"' == verdict.way_out


def test_american_and_european_dates_are_told_apart_by_the_weeks_between_them():
    american = verdict_on("America/New_York+7", "EET")
    european = verdict_on("EET", "America/New_York+7")

    assert ("contradicts", ["America/New_York+7"]) == (american.says, american.stretches[0].clocks)
    assert ("contradicts", ["EET"]) == (european.says, european.stretches[0].clocks)


def test_in_winter_alone_they_are_not_told_apart():
    verdict = verdict_on("America/New_York+7", "UTC", weeks=6)

    assert ["America/New_York+7", "EET", "UTC+2"] == verdict.stretches[0].clocks
    assert "(its bars do not tell them apart)" in verdict.way_out


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_one_week_of_gold_is_enough_by_its_daily_breaks(minutes):
    verdict = verdict_on("America/New_York+7", "UTC", weeks=1, length=minutes * 60 * SECOND)

    assert "contradicts" == verdict.says


def test_bars_of_four_hours_tell_what_they_can():
    verdict = verdict_on("America/New_York+7", "UTC", length=4 * HOUR)

    assert "contradicts" == verdict.says
    assert "America/New_York+7" in verdict.stretches[0].clocks


@pytest.mark.parametrize(
    ("instrument", "length", "weeks", "reason"),
    [
        (GOLD, DAY, 52, "bars of a day or more do not show the hour"),
        (GOLD, HOUR, 0.1, "it has 0 openings and closings of the market; 3 could tell"),
        (Instrument(symbol="BTCUSD", tick_size=Decimal(1)), HOUR, 4, "BTCUSD never closes, by its sessions"),
    ],
    ids=["days", "an afternoon", "always open"],
)
def test_what_cannot_be_told_is_not_told_and_the_reason_given(instrument, length, weeks, reason):
    assert ("cannot tell", reason) == (
        (verdict := verdict_on("UTC", "UTC", instrument, weeks=weeks, length=length)).says,
        verdict.reason,
    )


def test_openings_at_no_steady_hour_say_nothing():
    openings = Openings("UTC", HOUR, GOLD)
    for number in range(40):
        begin = JANUARY + number * (31 * HOUR + 30 * 60 * SECOND)
        openings.take(Bar("XAUUSD", begin, begin + HOUR, 1.0, 2.0, 1.0, 1.0, 5.0))

    assert "cannot tell" == openings.verdict().says


def test_openings_that_no_clock_explains_say_nothing():
    openings = Openings("UTC", 60 * SECOND, GOLD)
    for hour in range(6):
        begin = JANUARY + 2 * DAY + hour * HOUR + 40 * 60 * SECOND
        for start in (begin, begin + 20 * 60 * SECOND):
            openings.take(Bar("XAUUSD", start, start + 60 * SECOND, 1.0, 2.0, 1.0, 1.0, 5.0))

    verdict = openings.verdict()

    assert "cannot tell" == verdict.says
    assert "its openings are at no hour of XAUUSD's, by any clock" == verdict.reason


def test_a_clock_that_changes_inside_a_file_is_found_with_the_time_of_the_change():
    openings = Openings("EET", HOUR, GOLD)
    half = 26 * 7 * DAY
    for bar in stamped("Europe/London", "EET", GOLD, weeks=26):
        openings.take(bar)
    for bar in stamped("EET", "EET", GOLD, weeks=26, start=JANUARY + half):
        openings.take(bar)

    verdict = openings.verdict()

    assert "contradicts" == verdict.says
    assert ["Europe/London", "EET"] == [stretch.clocks[0] for stretch in verdict.stretches]
    assert abs(verdict.stretches[0].until - JANUARY - half) < 4 * DAY
    assert verdict.way_out.startswith("its clock changes inside the file, so split it: ")


def test_a_broker_that_starts_an_hour_late_or_stops_an_hour_early_is_no_contradiction():
    openings = Openings("EET", HOUR, GOLD)
    for bar in stamped("EET", "EET", GOLD, weeks=52):
        local = Clock("America/New_York").to_local(bar.start)
        if local % DAY // HOUR not in (16, 18):
            openings.take(bar)

    assert "contradicts" != openings.verdict().says


def test_what_fills_closed_hours_does_not_hide_them():
    openings = Openings("UTC", HOUR, EURO)
    trades = {bar.start: bar for bar in stamped("EET", "UTC", EURO, weeks=8)}
    for number in range(8 * 7 * 24):
        begin = JANUARY + number * HOUR
        openings.take(trades.get(begin, Bar("EURUSD", begin, begin + HOUR, 1.0, 1.0, 1.0, 1.0)))

    assert "contradicts" == openings.verdict().says


def test_quotes_tell_as_minutes_do():
    openings = Openings("UTC", 0, GOLD)
    for bar in stamped("EET", "UTC", GOLD, weeks=2, length=60 * SECOND):
        openings.take(Quote("XAUUSD", bar.start, 1.0, 2.0))

    assert "contradicts" == openings.verdict().says


def test_a_clock_that_the_first_bars_contradict_is_refused_with_what_they_show_and_what_to_write():
    bars = stamped("America/New_York+7", "UTC", GOLD, weeks=40)

    with pytest.raises(UnusableData) as caught:
        refuse_other_clock(bars, "UTC", HOUR, GOLD)

    said = str(caught.value)
    assert 'has not the clock that timezone = "UTC" says' in said
    assert re.search(r"in \d+ of \d+ weeks the first bar begins Sunday 2[01]:00", said)
    assert "XAUUSD opens Sunday 18:00 and closes Friday 17:00, daily 17:00 to 18:00" in said
    assert 'write timezone = "America/New_York+7"' in said
    assert "or clock_check = false to read it as it is declared" in said


def test_no_more_bars_are_read_than_asked_for_and_none_where_nothing_can_be_told():
    bars = stamped("UTC", "UTC", GOLD, weeks=10)
    refuse_other_clock(bars, "UTC", HOUR, GOLD, most=100)

    assert 10 * 5 * 23 - 100 == sum(1 for _ in bars)

    untouched = iter([object()])
    refuse_other_clock(untouched, "UTC", DAY, GOLD)  # type: ignore[arg-type]
    assert 1 == len(list(untouched))
