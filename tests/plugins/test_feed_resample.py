from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    DAY,
    SECOND,
    Bar,
    Market,
    Portfolio,
    UnusableData,
    hookimpl,
    parse_timeframe,
    plugin,
)
from nicegold.testing import GOLD, MINUTE, START, bar, check_conformance, engine_with, quote
from nicegold_plugins.feeds.resample import Resample

HOUR = 60 * MINUTE


def resample(timeframe: str, timezone: str = "UTC", day_start: str = "00:00") -> Resample:
    made = Resample(instrument="XAUUSD", timeframe=timeframe, timezone=timezone, day_start=day_start)
    made.startup({"XAUUSD": GOLD})
    return made


def derived(feed: Resample, markets: Sequence[Market]) -> list[Bar]:
    return [each for market in markets for each in feed.derive_market(market) or ()]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def at(time: str, length: int = HOUR) -> Bar:
    """A flat bar that begins at *time* (UTC)."""
    return Bar("XAUUSD", ns(time), ns(time) + length, 2.0, 2.0, 2.0, 2.0)


def spans(bars: list[Bar]) -> list[tuple[str, str]]:
    """When bars begin and end, in UTC."""
    return [(shown(bar.start), shown(bar.time)) for bar in bars]


def shown(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%m-%d %H:%M")


# Bars.


def test_a_bar_is_complete_with_the_last_of_its_parts():
    parts = [
        bar(2001.0, number=0, open=2000.0, high=2003.0, low=1999.0, volume=1.0, spread=0.1),
        bar(2002.0, number=1, open=2001.0, high=2004.0, low=1998.0, volume=2.0, spread=0.2),
        bar(2000.5, number=2, open=2002.0, volume=4.0, spread=0.3),
        bar(2000.0, number=3),
        bar(1999.5, number=4, volume=8.0, spread=0.5),
    ]
    feed = resample("M5")

    assert [] == derived(feed, parts[:4])
    whole = Bar("XAUUSD", START, START + 5 * MINUTE, 2000.0, 2004.0, 1998.0, 1999.5, 15.0, 0.5)
    assert [whole] == derived(feed, parts[4:])


def test_a_bar_with_a_hole_is_complete_when_a_later_one_shows_that_its_time_is_over():
    feed = resample("M5")

    assert [] == derived(feed, [bar(number=0), bar(number=2)])
    assert [(START, START + 5 * MINUTE)] == [
        (each.start, each.time) for each in derived(feed, [bar(number=6)])
    ]


def test_a_bar_that_comes_after_a_hole_may_complete_two():
    feed = resample("M5")

    done = derived(feed, [bar(number=3), bar(number=9)])

    assert [START + 5 * MINUTE, START + 10 * MINUTE] == [each.time for each in done]


def test_an_unfinished_bar_is_never_shown():
    assert [] == derived(resample("H1"), [bar(number=number) for number in range(59)])


def test_a_time_without_bars_has_no_bar():
    done = derived(resample("M5"), [bar(number=4), bar(number=104)])

    assert [START + 5 * MINUTE, START + 105 * MINUTE] == [each.time for each in done]


def test_bars_of_another_length_or_symbol_are_not_mixed_in():
    feed = resample("M5")
    others: list[Market] = [
        bar(9.0, number=0, length=5 * MINUTE),
        bar(9.0, number=0, length=15 * MINUTE),
        bar(9.0, number=0, symbol="XAGUSD"),
        bar(2.0, number=0),
        bar(9.0, number=0, length=2 * MINUTE),
        quote(9.0, 9.1),
    ]

    done = derived(feed, [*others, bar(2.0, number=4)])

    assert [(2.0, 2.0)] == [(each.high, each.low) for each in done]


def test_a_bar_that_comes_twice_completes_nothing_twice():
    assert 1 == len(derived(resample("M5"), [bar(number=4), bar(number=4)]))


def test_its_own_bars_do_not_come_back_to_it():
    feed = resample("M5")
    done = derived(feed, [bar(number=number) for number in range(20)])

    assert [] == derived(feed, done)
    assert 4 == len(done)


def test_a_bar_that_goes_on_after_its_time_is_refused():
    feed = resample("M15")

    with pytest.raises(
        UnusableData, match="bars of M10 go on after their M15 ends, with days from 00:00 UTC"
    ):
        derived(feed, [bar(number=number, length=10 * MINUTE) for number in range(2)])


def test_what_was_complete_before_a_bar_that_is_refused_is_not_lost():
    feed = resample("M5")
    derived(feed, [bar(number=0)])
    crooked = Bar("XAUUSD", START + 9 * MINUTE + SECOND, START + 10 * MINUTE + SECOND, 2.0, 2.0, 2.0, 2.0)

    with pytest.raises(UnusableData, match="bars of M1 go on after their M5 ends"):
        feed.derive_market(crooked)

    assert [START + 5 * MINUTE] == [each.time for each in derived(feed, [bar(number=12)])]


# Quotes.


def test_bars_of_quotes_are_of_the_bid_and_their_volume_counts_quotes():
    feed = resample("M1")

    quotes = [
        quote(2.0, 2.2),
        quote(2.5, 2.6, number=20),
        quote(1.5, 1.6, number=59),
        quote(9.0, 9.1, number=60),
    ]

    assert [Bar("XAUUSD", START, START + MINUTE, 2.0, 2.5, 1.5, 1.5, 3.0, 0.1)] == derived(feed, quotes)


def test_a_quote_at_the_end_belongs_to_the_next_bar():
    done = derived(resample("M1"), [quote(2.0, 2.2), quote(3.0, 3.1, number=60), quote(4.0, 4.1, number=120)])

    assert [2.0, 3.0] == [each.close for each in done]


# The clock.


def test_days_begin_when_they_are_said_to():
    feed = resample("D1", "America/New_York", "17:00")
    hours = [at(f"2020-01-{day:02} {hour:02}:00") for day in (1, 2, 3) for hour in range(24)]

    done = derived(feed, hours)

    assert [
        ("12-31 22:00", "01-01 22:00"),
        ("01-01 22:00", "01-02 22:00"),
        ("01-02 22:00", "01-03 22:00"),
    ] == spans(done)


def test_a_day_on_which_clocks_change_has_23_hours_or_25():
    feed = resample("D1", "America/New_York")
    spring = [at(f"2020-03-08 {hour:02}:00") for hour in range(24)] + [at("2020-03-09 04:00")]
    autumn = [at(f"2020-11-01 {hour:02}:00") for hour in range(24)] + [at("2020-11-02 05:00")]

    done = derived(feed, spring + autumn)

    assert ("03-08 05:00", "03-09 04:00") in spans(done)
    assert ("11-01 04:00", "11-02 05:00") in spans(done)


def test_shorter_bars_are_counted_from_the_beginning_of_the_day():
    feed = resample("H4", "America/New_York", "17:00")

    done = derived(feed, [at(f"2020-01-01 {hour:02}:00") for hour in range(24)])

    assert ["01-01 02:00", "01-01 06:00", "01-01 10:00", "01-01 14:00", "01-01 18:00", "01-01 22:00"] == [
        end for _, end in spans(done)
    ]


def test_the_last_bar_of_a_day_is_cut_short_where_the_length_does_not_divide_the_day():
    done = derived(resample("H5"), [at(f"2020-01-01 {hour:02}:00") for hour in range(24)])

    assert ("01-01 20:00", "01-02 00:00") == spans(done)[-1]


@pytest.mark.parametrize(
    ("timezone", "day_start", "span"),
    [
        ("UTC", "00:00", ("01-06 00:00", "01-13 00:00")),
        ("America/New_York", "17:00", ("01-05 22:00", "01-12 22:00")),
        ("America/New_York", "09:30", ("01-06 14:30", "01-13 14:30")),
    ],
)
def test_weeks_begin_on_mondays(timezone, day_start, span):
    feed = resample("W1", timezone, day_start)
    start = ns("2020-01-05 22:00")

    done = derived(
        feed, [bar(number=(start - START) // MINUTE + minute) for minute in range(0, 14 * 1440, 30)]
    )

    assert span in spans(done)


def test_weeks_are_made_of_days_of_any_number_of_hours():
    end_of = {"03-08": 23, "11-01": 25}
    days = []
    time = ns("2020-03-02 05:00")
    while time < ns("2020-03-16 04:00"):
        length = end_of.get(shown(time)[:5], 24) * HOUR
        days.append(Bar("XAUUSD", time, time + length, 2.0, 2.0, 2.0, 2.0, 1.0))
        time += length

    done = derived(resample("W1", "America/New_York"), days)

    assert [("03-02 05:00", "03-09 04:00"), ("03-09 04:00", "03-16 04:00")] == spans(done)
    assert [7.0, 7.0] == [each.volume for each in done]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"timeframe": "5m"}, 'timeframe is "5m"'),
        ({"timeframe": "H36"}, 'timeframe is "H36"; above a day it must be of whole days'),
        ({"timezone": "New York"}, 'there is no time zone "New York"'),
        ({"day_start": "24:00"}, 'day_start is "24:00"; write a time of day such as 17:00'),
        ({"day_start": "5pm"}, 'day_start is "5pm"; write a time of day such as 17:00'),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        Resample(**{"instrument": "XAUUSD", "timeframe": "H1", **settings})


def test_conformance():
    check_conformance(lambda: Resample(instrument="XAUUSD", timeframe="H1"))


def test_it_begins_again_with_a_run():
    feed = resample("M5")
    derived(feed, [bar(9.0, number=0)])

    feed.startup({"XAUUSD": GOLD})

    assert [2.0] == [each.high for each in derived(feed, [bar(2.0, number=4)])]


# In an engine.


@plugin
class Notes:
    """Remember the bars that a strategy is shown, and when."""

    def __post_init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> None:
        self.seen.append(("M5" if bar.time - bar.start > MINUTE else "M1", bar.time))


def test_strategies_see_a_coarser_bar_after_the_one_that_completed_it():
    notes = Notes()
    engine, recorder = engine_with(coarse=resample("M5"), notes=notes)

    for number in range(5):
        engine.handle(bar(number=number))

    assert [("M1", START + 5 * MINUTE), ("M5", START + 5 * MINUTE)] == notes.seen[-2:]
    assert 5 * ["Bar"] == recorder.kinds


# Against an independent grouping.

#: Minutes after the start, in order and with holes.
NUMBERS = st.lists(st.integers(1, 300), min_size=1, max_size=120).map(
    lambda steps: [sum(steps[: end + 1]) for end in range(len(steps))]
)
PRICES = st.integers(1, 40).map(lambda cents: cents / 4)
ZONES = st.sampled_from(
    [("UTC", 0), ("America/New_York", 17), ("Europe/London", 0), ("Asia/Kolkata", 9), ("Australia/Sydney", 7)]
)
#: Over a change of clocks in each of these zones.
EPOCHS = st.sampled_from([START, ns("2026-03-07 00:00"), ns("2026-03-28 00:00"), ns("2026-10-24 00:00")])


def day_of(time: int, zone: str, hour: int) -> datetime:
    """When the day with *time* in it begins, worked out by the standard library."""
    local = datetime.fromtimestamp(time // SECOND, ZoneInfo(zone))
    begins = local.replace(hour=hour, minute=0, second=0, fold=0)
    if begins.timestamp() > local.timestamp():
        before = (begins - timedelta(days=1)).date()
        begins = datetime(before.year, before.month, before.day, hour, tzinfo=ZoneInfo(zone))
    return begins


@given(numbers=NUMBERS, closes=st.lists(PRICES, min_size=120), zone=ZONES, epoch=EPOCHS, days=st.booleans())
def test_it_groups_as_a_dictionary_does(numbers, closes, zone, epoch, days):
    name, hour = zone
    bars = [
        Bar("XAUUSD", epoch + n * MINUTE, epoch + n * MINUTE + MINUTE, c, c + 0.5, c - 0.125, c, 1.0, c / 10)
        for n, c in zip(numbers, closes, strict=False)
    ]
    groups: dict[int, list[Bar]] = defaultdict(list)
    for each in bars:
        begins = int(day_of(each.start, name, hour).timestamp()) * SECOND
        within = 0 if days else (each.start - begins) // (15 * MINUTE) * 15 * MINUTE
        groups[begins + within].append(each)
    expected = [
        (
            start,
            g[0].open,
            max(b.high for b in g),
            min(b.low for b in g),
            g[-1].close,
            float(len(g)),
            g[-1].spread,
        )
        for start, g in groups.items()
    ]

    far = Bar("XAUUSD", epoch + 90 * DAY, epoch + 90 * DAY + MINUTE, 1.0, 1.0, 1.0, 1.0)
    done = derived(resample("D1" if days else "M15", name, f"{hour:02}:00"), [*bars, far])

    found = [(b.start, b.open, b.high, b.low, b.close, b.volume, b.spread) for b in done]
    assert expected == found[: len(expected)]
    assert all(b.time > epoch + 90 * DAY for b in done[len(expected) :])


@given(
    numbers=NUMBERS,
    timeframe=st.sampled_from(["M5", "M7", "H1", "H4", "D1", "D3", "W1"]),
    zone=ZONES,
    by_quotes=st.booleans(),
)
def test_no_bar_shows_what_comes_after_its_time(numbers, timeframe, zone, by_quotes):
    feed = resample(timeframe, zone[0], f"{zone[1]:02}:00")
    done: list[Bar] = []
    for number in numbers:
        price = float(number)
        each = quote(price, price, number=number * 60) if by_quotes else bar(price, number=number)
        for derived_bar in feed.derive_market(each) or ():
            assert derived_bar.time <= each.time
            # The price says when it was, so a price from later would show.
            last = START + int(derived_bar.close) * MINUTE + (0 if by_quotes else MINUTE)
            assert derived_bar.start <= START + int(derived_bar.open) * MINUTE < derived_bar.time
            assert last <= derived_bar.time
            done.append(derived_bar)

    assert all(before.time <= after.start for before, after in pairwise(done))
    assert all(0 < each.time - each.start <= parse_timeframe(timeframe) + HOUR for each in done)
