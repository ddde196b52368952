from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from itertools import islice, pairwise
from math import log, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold import DAY, SECOND, Bar, Clock, Instrument, Sessions, UnusableData
from nicegold.testing import ACCOUNT, MINUTE, START, check_conformance
from nicegold_plugins.feeds.simulated import Simulated

HOURS = Sessions.parse("gold")
GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=HOURS)
NEW_YORK = Clock.parse("America/New_York")
HOUR = 60 * MINUTE


def bars(run_seed: int = 7, instrument: Instrument = GOLD, **settings: Any) -> list[Bar]:
    given: dict[str, Any] = {"instrument": "XAUUSD", "bars": 2000}
    feed = Simulated(**(given | settings))
    feed.startup({"XAUUSD": instrument}, ACCOUNT, run_seed)
    return [bar for bar in feed.stream_market({"XAUUSD": instrument}, print) if isinstance(bar, Bar)]


@pytest.fixture(scope="module")
def weeks() -> list[Bar]:
    """Eight weeks of minutes."""
    return bars(bars=8 * 6900)


def returns(of: list[Bar]) -> list[float]:
    return [log(bar.close / bar.open) for bar in of]


def deviation(of: list[Bar]) -> float:
    values = returns(of)
    return sqrt(sum(value * value for value in values) / len(values))


def by_hour_in_new_york(of: list[Bar]) -> dict[int, list[Bar]]:
    found = defaultdict(list)
    for bar in of:
        found[NEW_YORK.to_local(bar.start) % DAY // HOUR].append(bar)
    return found


def mean_spread(of: list[Bar]) -> float:
    return sum(bar.spread for bar in of) / len(of)


# The same for the same seed.


def test_the_same_seeds_give_the_same_bars():
    assert bars() == bars()


@pytest.mark.parametrize("other", [{"run_seed": 8}, {"seed": 1}])
def test_either_seed_gives_other_bars(other):
    assert bars() != bars(**other)


def test_two_seeds_do_not_merge():
    assert bars(run_seed=1, seed=2) != bars(run_seed=2, seed=1)


def test_a_stream_that_is_asked_for_again_begins_again():
    feed = Simulated(instrument="XAUUSD")
    feed.startup({"XAUUSD": GOLD}, ACCOUNT, 7)

    once, again = (list(islice(feed.stream_market({"XAUUSD": GOLD}, print), 100)) for _ in range(2))

    assert once == again


def test_the_bars_do_not_depend_on_the_process():
    code = (
        "from tests.plugins.test_feed_simulated import bars\nprint([bar.close for bar in bars(bars=50)][-1])"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }

    assert {f"{bars(bars=50)[-1].close}\n".encode()} == printed


def test_its_source_is_what_is_needed_to_have_the_bars_again():
    first, second, third = (
        Simulated(instrument="XAUUSD", seed=seed, bars=count).source()
        for seed, count in ((7, 0), (7, 0), (8, 0))
    )

    assert first == second
    assert first.digest != third.digest
    assert first.location.startswith("simulated:XAUUSD?timeframe=M1&bars=0&start=2026-01-05T00:00:00Z&")
    assert "&seed=7&" in first.location


# When it trades.


def test_no_minute_is_closed_and_none_that_is_open_is_missing(weeks):
    end = weeks[-1].time

    open_minutes = [time for time in range(START, end, MINUTE) if HOURS.is_open(time)]

    assert open_minutes == [bar.start for bar in weeks]


def test_over_the_weekend_the_price_goes_on(weeks):
    gaps = {bar.start - before.time for before, bar in pairwise(weeks)}
    weekends = [
        abs(bar.open - before.close) for before, bar in pairwise(weeks) if bar.start - before.time > DAY
    ]

    assert {0, HOUR, 49 * HOUR} == gaps
    assert 8 == len(weekends)
    assert sum(weekends) / 8 > 0.5


def test_within_a_session_a_bar_opens_where_the_last_one_closed(weeks):
    assert all(bar.open == before.close for before, bar in pairwise(weeks) if bar.start == before.time)


def test_coarser_bars_are_of_the_hours_in_which_the_market_is_open_at_all():
    days = bars(timeframe="D1", bars=12)

    # From Monday to Friday, and the two hours of Sunday.
    assert [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13] == [(bar.start - START) // DAY for bar in days]


def test_the_first_bar_begins_at_or_after_the_start():
    first = bars(timeframe="M15", start="2026-01-05T10:07:00Z", bars=1)[0]

    assert START + 10 * HOUR + 15 * MINUTE == first.start


def test_it_goes_on_for_ever_unless_it_is_told_to_stop():
    feed = Simulated(instrument="XAUUSD")
    feed.startup({"XAUUSD": GOLD}, ACCOUNT, 7)

    assert 10_000 == len(list(islice(feed.stream_market({"XAUUSD": GOLD}, print), 10_000)))
    assert 3 == len(bars(bars=3))


def test_an_instrument_that_never_trades_is_refused():
    never = Instrument(
        symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=Sessions(opens=600, closes=660, break_to=1439)
    )

    with pytest.raises(UnusableData, match="XAUUSD never trades; look at its sessions"):
        bars(instrument=never)


# What it looks like.


def test_the_first_open_is_the_price():
    assert 1234.56 == bars(price=Decimal("1234.56"), bars=1)[0].open


@settings(max_examples=15)
@given(
    tick=st.sampled_from(["0.01", "0.001", "0.05", "0.25", "0.00001", "1"]),
    timeframe=st.sampled_from(["S10", "M1", "M15", "H4"]),
    price=st.integers(5, 5000),
    seed=st.integers(0, 1000),
)
def test_every_bar_is_sound_and_on_the_tick(tick, timeframe, price, seed):
    instrument = Instrument(symbol="XAUUSD", tick_size=Decimal(tick), sessions=HOURS)

    drawn = bars(seed, instrument, timeframe=timeframe, price=Decimal(price), bars=100)

    assert all(bar.is_sound and bar.spread > 0 and bar.volume > 0 for bar in drawn)
    for bar in drawn:
        for value in (bar.open, bar.high, bar.low, bar.close, bar.spread):
            assert value == float(instrument.to_price(value))


def test_a_price_near_nothing_stays_above_it():
    drawn = bars(price=Decimal("0.02"), volatility=Decimal(5), bars=20_000)

    assert all(bar.is_sound for bar in drawn)
    assert 0.01 == min(bar.low for bar in drawn)


@pytest.mark.parametrize(
    ("timeframe", "count", "volatility"),
    [("M1", 100_000, "0.16"), ("M15", 20_000, "0.16"), ("M15", 20_000, "0.60"), ("D1", 500, "0.16")],
)
def test_the_volatility_is_that_of_a_year(timeframe, count, volatility):
    drawn = bars(timeframe=timeframe, bars=count, volatility=Decimal(volatility))

    years = (drawn[-1].time - drawn[0].start) / (365.25 * DAY)
    squares = sum(log(bar.close / before.close) ** 2 for before, bar in pairwise(drawn))
    measured = sqrt(squares / years)

    assert 0.85 < measured / float(volatility) < 1.15


def test_london_and_new_york_are_livelier_than_asia_and_the_evening(weeks):
    hours = by_hour_in_new_york(weeks)

    lively = [deviation(hours[hour]) for hour in (3, 8, 9, 10)]
    quiet = [deviation(hours[hour]) for hour in (0, 16, 18, 23)]

    assert min(lively) > 1.2 * max(quiet)


def test_the_spread_is_tight_when_it_is_lively_and_wide_around_the_daily_break(weeks):
    hours = by_hour_in_new_york(weeks)

    assert mean_spread(hours[9]) < mean_spread(hours[21]) < mean_spread(hours[16]) < mean_spread(hours[18])


def test_the_tight_spread_is_that_of_the_instrument():
    wide = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=HOURS, spread=Decimal("1.00"))

    assert 1.0 <= min(bar.spread for bar in bars(instrument=wide)) < 1.1


def test_large_moves_come_more_often_than_a_bell_curve_has_them(weeks):
    values = returns(weeks)
    square = sum(value**2 for value in values) / len(values)

    kurtosis = sum(value**4 for value in values) / len(values) / square**2

    assert kurtosis > 5


def test_high_and_low_go_beyond_open_and_close(weeks):
    beyond = sum(bar.high > max(bar.open, bar.close) for bar in weeks) / len(weeks)

    # The range of Brownian motion is sqrt(8 / pi) deviations.
    ranges = sum((bar.high - bar.low) / bar.open for bar in weeks) / len(weeks)
    moves = sum(abs(bar.close - bar.open) / bar.open for bar in weeks) / len(weeks)
    assert beyond > 0.9
    assert 1.8 < ranges / moves < 2.2


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("timeframe", "1m", 'timeframe is "1m"'),
        ("start", "today", 'start is "today"; write a time such as 2026-01-05T00:00:00Z'),
        ("start", "1950-01-01", 'start is "1950-01-01"; it must be after 1970'),
        ("price", Decimal(0), "price must be above 0: it is 0"),
        ("volatility", Decimal("-0.1"), "volatility must be above 0 and at most 5: it is -0.1"),
        ("bars", -1, "bars must not be negative: it is -1; 0 is without end"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting, value, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        Simulated(**{"instrument": "XAUUSD", setting: value})


def test_a_start_without_a_zone_is_utc():
    assert START == bars(start="2026-01-05", bars=1)[0].start
    assert START - 5 * HOUR == bars(start="2026-01-05T00:00:00+05:00", bars=1, instrument=always())[0].start


def always() -> Instrument:
    return Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))


def test_conformance():
    check_conformance(lambda: Simulated(instrument="XAUUSD"))


def test_a_second_is_a_sixtieth_of_a_minute():
    seconds = bars(timeframe="S10", bars=6000, instrument=always())
    minutes = bars(timeframe="M1", bars=1000, instrument=always())

    assert 10 * SECOND == seconds[0].time - seconds[0].start
    assert 0.7 < deviation(seconds) * sqrt(6) / deviation(minutes) < 1.4
