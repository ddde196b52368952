from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nicegold import DAY, Market, UnusableData
from nicegold.testing import GOLD, bar
from nicegold_ops.store.market import keep
from nicegold_ops.store.place import open_store
from nicegold_plugins.feeds.stored import Stored
from tests.ops.commandline import CONFIGURATION, Shell, market_in
from tests.ops.store.test_market import MINUTE, minutes, ticks
from tests.services.postgresql import PostgreSQL, postgresql

INSTRUMENTS = {GOLD.symbol: GOLD}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The setting that says where a new store is."""
    if request.param == "sqlite":
        return {"path": tmp_path / "market.sqlite"}
    running: PostgreSQL = request.getfixturevalue("server")
    return {"url": running.url(running.new_database())}


@pytest.fixture
def store(place: dict[str, Any]) -> Iterator[sa.Engine]:
    engine = open_store(*place.values())
    yield engine
    engine.dispose()


def read(feed: Stored) -> list[Market]:
    feed.startup(INSTRUMENTS)
    return list(feed.stream_market(INSTRUMENTS, lambda defect: None))


def test_bars_are_read_as_they_were_kept(store, place):
    keep(store, iter(minutes(25_000)), MINUTE)
    keep(store, iter([bar(length=DAY)]), DAY)

    assert minutes(25_000) == read(Stored(instrument="XAUUSD", timeframe="M1", **place))


def test_quotes_are_read_in_the_order_in_which_they_came(store, place):
    keep(store, iter(ticks(0, 1, 1, 1, 2)), 0)

    assert ticks(0, 1, 1, 1, 2) == read(Stored(instrument="XAUUSD", **place))


def test_a_time_can_be_chosen(store, place):
    keep(store, iter(minutes(60)), MINUTE)

    feed = Stored(
        instrument="XAUUSD",
        timeframe="M1",
        start="2026-01-05T00:10:00Z",
        end="2026-01-05T03:13:00+03:00",
        **place,
    )

    assert minutes(3, first=10) == read(feed)


def test_a_time_is_taken_to_the_microsecond(store, place):
    keep(store, iter(ticks(0, 500, 1000)), 0)

    feed = Stored(
        instrument="XAUUSD", start="2026-01-05T00:00:00.4Z", end="2026-01-05T00:00:00.500001Z", **place
    )

    assert ticks(0, 500, 1000)[1:2] == read(feed)


def test_its_digest_is_that_of_the_rows(store, place):
    keep(store, iter(minutes(3)), MINUTE)
    feed = Stored(instrument="XAUUSD", timeframe="M1", **place)
    before = feed.source()

    keep(store, iter([bar(1.0, number=1, length=MINUTE)]), MINUTE, replace=True)

    assert before.digest != feed.source().digest
    assert before.location.endswith(": M1 bars of XAUUSD")


def test_a_store_that_has_nothing_of_it_is_refused(store, place):
    keep(store, iter(minutes(3)), MINUTE)
    (where,) = place.values()

    with pytest.raises(UnusableData) as refused:
        read(Stored(instrument="XAUUSD", timeframe="H1", **place))

    assert f"{where} has no H1 bars of XAUUSD in that time; see nicegold data stored {where}" == str(
        refused.value
    )


def test_a_store_that_is_not_there_is_named(tmp_path, server):
    with pytest.raises(UnusableData, match=r"gone\.sqlite is not there; nicegold data store makes it"):
        read(Stored(instrument="XAUUSD", path=tmp_path / "gone.sqlite"))
    url = server.url("nowhere")
    with pytest.raises(
        UnusableData, match=f'{re.escape(url)} cannot be read: .*database "nowhere" does not exist'
    ):
        read(Stored(instrument="XAUUSD", url=url))


def test_what_is_no_store_is_named(tmp_path):
    (tmp_path / "market.sqlite").write_text("time,open,high,low,close\n")

    with pytest.raises(UnusableData, match=r"market\.sqlite cannot be read: file is not a database"):
        read(Stored(instrument="XAUUSD", path=tmp_path / "market.sqlite"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "name one store: the SQLite file in path, or the PostgreSQL database in url"),
        ({"path": Path("a"), "url": "postgresql://b/c"}, "name one store"),
        ({"url": "postgresql://ana:hunter2@b/c"}, "url holds a password; take it out"),
        ({"url": "postgresql://b/c?password=hunter2"}, "url holds a password; take it out"),
        (
            {"path": Path("a"), "start": "yesterday"},
            "start is no time such as 2024-01-01T00:00:00Z: yesterday",
        ),
        ({"path": Path("a"), "end": "2024-01-01"}, "end has no zone: 2024-01-01; for UTC write 2024-01-01Z"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        Stored(instrument="XAUUSD", **settings)
    assert "hunter2" not in str(refused.value)


def test_a_backtest_from_a_store_trades_as_from_the_file_that_was_put_there(
    tmp_path, capsys, monkeypatch, place
):
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    shell = Shell(tmp_path, capsys)
    from_file = shell("backtest", "--json", "-").json
    ((name, where),) = place.items()

    kept = shell("data", "store", "bars.csv", str(where), "--timezone", "UTC", "--sessions", "always")
    begin = CONFIGURATION.index('use = "csv"')
    end = CONFIGURATION.index("[plugins.cross]")
    stored = f'use = "stored"\ninstrument = "XAUUSD"\ntimeframe = "M15"\n{name} = "{where}"\n\n'
    (tmp_path / "nicegold.toml").write_text(CONFIGURATION[:begin] + stored + CONFIGURATION[end:])
    from_store = shell("backtest", "--json", "-").json

    assert 0 == kept.code, kept.err
    assert from_file["orders"] > 0
    assert from_file["fingerprint"] == from_store["fingerprint"]
