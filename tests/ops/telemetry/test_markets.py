from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from nicegold import SECOND, Sessions
from nicegold.testing import GOLD
from nicegold_ops.telemetry.markets import Markets, opened

HOURS = Sessions.parse("gold")
TRADED = {"XAUUSD": replace(GOLD, sessions=HOURS)}


def at(text: str) -> int:
    """ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


# Monday 2026-01-05; gold opens at 18:00 in New York, 23:00 UTC, after a break of an hour.
SUNDAY_OPEN, MONDAY_BREAK, MONDAY_OPEN = (
    at("2026-01-04 23:00"),
    at("2026-01-05 22:00"),
    at("2026-01-05 23:00"),
)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [(SUNDAY_OPEN - 1, 0.0), (SUNDAY_OPEN, 1.0), (MONDAY_BREAK, 0.0), (MONDAY_OPEN, 1.0)],
)
def test_a_market_is_open_by_our_clock(now, is_open):
    markets = Markets(TRADED, lambda: now, now, patience=60.0)

    assert [(("XAUUSD",), is_open)] == markets.trading()


def test_where_recorded_prices_are_read_it_is_open_by_theirs_up_to_the_bar_that_closes_it():
    shown = [SUNDAY_OPEN + SECOND, MONDAY_BREAK, MONDAY_BREAK + 2]
    markets = Markets(TRADED, lambda: 7, 7, patience=60.0, market=lambda: shown.pop(0))

    assert [1.0, 1.0, 0.0] == [markets.trading()[0][1] for _ in range(3)]


@pytest.mark.parametrize(
    ("began", "now", "since"),
    [
        (SUNDAY_OPEN - 7, SUNDAY_OPEN - 1, 0),
        (SUNDAY_OPEN - 3 * 86_400 * SECOND, MONDAY_BREAK - 1, SUNDAY_OPEN),
        (SUNDAY_OPEN + 60 * SECOND, MONDAY_BREAK - 1, SUNDAY_OPEN + 60 * SECOND),
        (SUNDAY_OPEN, MONDAY_OPEN + 5 * SECOND, MONDAY_OPEN),
    ],
)
def test_it_is_open_since_it_opened_or_the_run_began(began, now, since):
    markets = Markets(TRADED, lambda: now, began, patience=60.0)

    [(_, told)] = markets.open_since()

    assert since / SECOND == told


def test_where_recorded_prices_are_read_it_is_open_since_the_run_began():
    markets = Markets(TRADED, lambda: 9 * SECOND, 7 * SECOND, patience=60.0, market=lambda: MONDAY_OPEN + 1)

    assert [(("XAUUSD",), 7.0)] == markets.open_since()


def test_a_market_that_never_closes_is_open_since_the_run_began():
    assert SUNDAY_OPEN == opened(Sessions(), SUNDAY_OPEN, MONDAY_OPEN)


def test_an_opening_is_found_in_each_hour_of_a_week():
    hours = [SUNDAY_OPEN + hour * 3600 * SECOND for hour in range(7 * 24)]
    openings = [opened(HOURS, SUNDAY_OPEN, hour) for hour in hours if HOURS.is_open(hour)]

    assert [SUNDAY_OPEN + day * 86_400 * SECOND for day in range(5)] == sorted(set(openings))
    assert openings == sorted(openings)
