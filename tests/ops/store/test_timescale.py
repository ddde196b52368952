"""How PostgreSQL keeps market data: in partitions here, and in hypertables where TimescaleDB is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from nicegold import DAY, Bar
from nicegold.testing import START, bar
from nicegold_ops.store import market, timescale
from nicegold_ops.store.market import Kept, keep
from nicegold_ops.store.place import open_store
from tests.ops.store.test_market import MINUTE, minutes, ticks
from tests.services.postgresql import PostgreSQL


def names(store: sa.Engine) -> list[str]:
    with store.connect() as connection:
        return sorted(
            each for each in sa.inspect(connection).get_table_names() if each[:4] in ("bars", "quot")
        )


def days(count: int) -> Iterator[Bar]:
    return iter([bar(length=DAY, number=number) for number in range(count)])


@pytest.fixture
def parted(server: PostgreSQL) -> Iterator[sa.Engine]:
    """A store in a database without TimescaleDB."""
    engine = open_store(server.url(server.new_database()), durable=False)
    yield engine
    engine.dispose()


def test_a_month_is_a_partition_made_when_it_is_needed(parted):
    assert ["bars", "quotes"] == names(parted)

    keep(parted, days(100), DAY)
    keep(parted, iter(ticks(0)), 0)

    months = ["bars_2026_01", "bars_2026_02", "bars_2026_03", "bars_2026_04"]
    assert ["bars", *months, "quotes", "quotes_2026_01"] == names(parted)


def test_months_that_are_forgotten_are_dropped(parted):
    keep(parted, days(100), DAY)

    market.forget(parted, START + 60 * DAY)

    assert ["bars", "bars_2026_03", "bars_2026_04", "quotes"] == names(parted)


def test_a_year_goes_on_into_the_next(parted):
    keep(parted, iter([bar(length=DAY, number=number) for number in range(340, 400)]), DAY)

    assert ["bars", "bars_2026_12", "bars_2027_01", "bars_2027_02", "quotes"] == names(parted)


def test_without_the_extension_nothing_is_made_of_it(parted):
    with parted.begin() as connection:
        assert not timescale.is_there(connection)
        assert not timescale.arrange(connection)


@pytest.fixture
def hyper(server: PostgreSQL) -> Iterator[sa.Engine]:
    """A store in a database with TimescaleDB.

    Skips where that is not installed, also where services are required: Debian has no package of it.
    """
    database = server.new_database()
    with server.connect(database) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        ).fetchone()
        if found is None:
            pytest.skip(
                "TimescaleDB is not installed: https://docs.tigerdata.com/self-hosted/latest/install/"
            )
        connection.execute("CREATE EXTENSION timescaledb")
    engine = open_store(server.url(database), durable=False)
    yield engine
    engine.dispose()


def test_where_the_extension_is_market_data_are_in_hypertables(hyper):
    keep(hyper, days(100), DAY)
    keep(hyper, iter(ticks(0, 1, 1)), 0)

    with hyper.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1"
        ).all()
        chunks = connection.exec_driver_sql("SELECT show_chunks('bars')").all()
        jobs = (
            connection.exec_driver_sql("SELECT proc_name FROM timescaledb_information.jobs").scalars().all()
        )
    assert {("bars", True), ("quotes", True)} <= {tuple(each) for each in found}
    assert len(chunks) > 1
    assert {"policy_compression", "policy_refresh_continuous_aggregate"} <= set(jobs)


def test_in_a_hypertable_what_comes_again_is_there_once_and_what_is_old_is_forgotten(hyper):
    keep(hyper, iter(minutes(500)), MINUTE)
    assert Kept(new=100, known=500) == keep(hyper, iter(minutes(600)), MINUTE)

    market.forget(hyper, START + 400 * DAY)

    with hyper.connect() as connection:
        assert [] == market.held(connection)


def test_the_aggregate_by_day_has_what_the_bars_have(hyper):
    keep(hyper, iter(minutes(3000)), MINUTE)

    with hyper.connect() as connection:
        found = connection.exec_driver_sql("SELECT day, rows, high FROM bars_by_day ORDER BY day").all()
        counted = market.days(connection, "XAUUSD", MINUTE, START, START + 3 * DAY)
    assert [(each.day, each.rows) for each in counted] == [(day, rows) for day, rows, _ in found]
    assert {max(each.high for each in minutes(7))} == {high for *_, high in found[:2]}
