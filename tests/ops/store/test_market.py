from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold import DAY, SECOND, Bar, Quote
from nicegold.testing import START, bar
from nicegold_ops.errors import DataError
from nicegold_ops.store import market
from nicegold_ops.store.market import Held, Kept, keep
from nicegold_ops.store.place import StoreFailed, open_store

MINUTE = 60 * SECOND


def minutes(count: int, symbol: str = "XAUUSD", first: int = 0) -> list[Bar]:
    return [
        bar(2000.0 + number % 7, symbol=symbol, number=number, length=MINUTE)
        for number in range(first, first + count)
    ]


def ticks(*times: int, symbol: str = "XAUUSD") -> list[Quote]:
    """Quotes so many ms after the start, each with another price."""
    return [
        Quote(symbol, START + time * 1_000_000, 2000.0 + number, 2001.0 + number, 1.0, 2.0)
        for number, time in enumerate(times)
    ]


def all_bars(store: sa.Engine, symbol: str = "XAUUSD") -> list[Bar]:
    with store.connect() as connection:
        return market.bars_between(connection, symbol, MINUTE, 0, 1 << 62, limit=1_000_000)


def all_quotes(store: sa.Engine) -> list[Quote]:
    with store.connect() as connection:
        return market.quotes_between(connection, "XAUUSD", 0, 1 << 62, limit=1_000_000)


def test_what_was_kept_is_read_as_it_came(store):
    bars, quotes = minutes(1000), ticks(0, 1, 1, 1, 2)

    kept = keep(store, iter(bars), MINUTE), keep(store, iter(quotes), 0)

    assert (Kept(new=1000), Kept(new=5)) == kept
    assert bars == all_bars(store)
    assert quotes == all_quotes(store)


def test_what_comes_again_is_there_once(store):
    keep(store, iter(minutes(500)), MINUTE)
    keep(store, iter(ticks(0, 1, 1)), 0)

    kept = keep(store, iter(minutes(800)), MINUTE), keep(store, iter(ticks(0, 1, 1, 1, 4)), 0)

    assert (Kept(new=300, known=500), Kept(new=2, known=3)) == kept
    assert minutes(800) == all_bars(store)
    assert ticks(0, 1, 1, 1, 4) == all_quotes(store)


def test_another_price_at_the_same_time_is_told_and_changes_nothing(store):
    keep(store, iter(minutes(3)), MINUTE)
    corrected = [replace(minutes(3)[1], close=2000.5), *minutes(3, first=2)]

    with pytest.raises(DataError) as refused:
        keep(store, iter(corrected), MINUTE)

    assert "has XAUUSD at 2026-01-05 00:01 UTC already, with other values: close " in str(refused.value)
    assert str(refused.value).endswith("is 2000.5; --replace takes the new ones")
    assert minutes(3) == all_bars(store)


def test_it_is_replaced_when_somebody_says_so(store):
    keep(store, iter(minutes(3)), MINUTE)
    corrected = [replace(minutes(3)[1], close=2000.5), *minutes(2, first=2)]

    kept = keep(store, iter(corrected), MINUTE, replace=True)

    assert Kept(new=1, known=1, replaced=1) == kept
    assert [minutes(1)[0], *corrected] == all_bars(store)


def test_a_stream_that_breaks_off_leaves_what_was_committed_and_may_come_again(store, monkeypatch):
    monkeypatch.setattr(market, "BATCH", 100)

    def broken() -> Iterator[Bar]:
        yield from minutes(250)
        raise DataError("the file ends in the middle of a line")

    with pytest.raises(DataError, match="the file ends in the middle"):
        keep(store, broken(), MINUTE)

    assert minutes(200) == all_bars(store)
    assert Kept(new=50, known=200) == keep(store, iter(minutes(250)), MINUTE)


def test_who_waits_is_told_how_far_it_is(store, monkeypatch):
    monkeypatch.setattr(market, "BATCH", 100)
    told: list[tuple[int, int]] = []

    keep(store, iter(minutes(150)), MINUTE, shown=lambda rows, time: told.append((rows, time)))

    assert [(100, minutes(150)[99].start), (150, minutes(150)[149].start)] == told


def test_what_there_is_is_listed_by_symbol_and_length(store):
    keep(store, iter(minutes(100)), MINUTE)
    keep(store, iter([bar(length=DAY)]), DAY)
    keep(store, iter(minutes(10, "EURUSD")), MINUTE)
    keep(store, iter(ticks(0, 5)), 0)
    keep(store, iter(ticks(7, symbol="ZAR")), 0)

    with store.connect() as connection:
        held = market.held(connection)

    assert [
        Held("EURUSD", MINUTE, START, START + 9 * MINUTE),
        Held("XAUUSD", 0, START, START + 5_000_000),
        Held("XAUUSD", MINUTE, START, START + 99 * MINUTE),
        Held("XAUUSD", DAY, START, START),
        Held("ZAR", 0, START + 7_000_000, START + 7_000_000),
    ] == held


def test_the_last_bars_come_oldest_first(store):
    keep(store, iter(minutes(100)), MINUTE)

    with store.connect() as connection:
        assert minutes(100)[-3:] == market.newest_bars(connection, "XAUUSD", MINUTE, limit=3)


def test_rows_are_counted_by_day(store):
    keep(store, iter(minutes(3000)), MINUTE)
    keep(store, iter(ticks(0, 1, 86_400_000)), 0)

    with store.connect() as connection:
        of_bars = market.days(connection, "XAUUSD", MINUTE, START, START + 2 * DAY)
        of_quotes = market.days(connection, "XAUUSD", 0, START, START + 2 * DAY)

    assert [(START, 1440), (START + DAY, 1440), (START + 2 * DAY, 1)] == [
        (each.day, each.rows) for each in of_bars
    ]
    assert [(START, 2), (START + DAY, 1)] == [(each.day, each.rows) for each in of_quotes]


def test_what_is_old_is_forgotten(store):
    """Where it is parted by months, the month that is asked for stays whole."""
    months = [bar(length=DAY, number=number) for number in range(120)]
    keep(store, iter(months), DAY)
    keep(store, iter(ticks(0)), 0)
    # 2026-04-05, and the first of that month.
    before, begins = START + 90 * DAY, START + 86 * DAY

    market.forget(store, before)

    with store.connect() as connection:
        (left,) = market.held(connection)
    assert (
        Held("XAUUSD", DAY, begins if store.dialect.name == "postgresql" else before, months[-1].start)
        == left
    )


def test_a_month_that_was_forgotten_can_be_kept_again(store):
    keep(store, iter(minutes(3)), MINUTE)
    market.forget(store, START + 60 * DAY)

    assert Kept(new=3) == keep(store, iter(minutes(3)), MINUTE)


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    store = open_store(tmp_path / "market.sqlite")
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE bars")

    with pytest.raises(StoreFailed, match=r"market\.sqlite cannot be written: no such table: bars"):
        keep(store, iter(minutes(1)), MINUTE)
    store.dispose()
