"""How PostgreSQL keeps market data by time: TimescaleDB's hypertables where that is there, else partitions.

Which it is, is decided when the first of them are written, in `arrange`. Times stay ns UTC in both, as
TimescaleDB takes whole numbers for times when it is told what now is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from nicegold import DAY

#: By table, the column by which it is parted, and what is beside each other once compressed.
_PARTED = {"bars": ("start", "symbol, length"), "quotes": ("time", "symbol")}
#: One chunk of a hypertable, and how old one is that nobody changes any more.
_CHUNK, _COMPRESSED_AFTER = 30 * DAY, 60 * DAY
_THERE = sa.text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
_IS_PARTED = sa.text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(:table)")
_PARTITIONS = sa.text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table) ORDER BY 1"
)
_NOW = (
    "CREATE OR REPLACE FUNCTION nicegold_now() RETURNS BIGINT LANGUAGE SQL STABLE AS "
    "$$ SELECT (EXTRACT(EPOCH FROM now()) * 1000000000)::BIGINT $$"
)
#: Kept up to date by the server, and with what came since in each answer.
_BY_DAY = """
CREATE MATERIALIZED VIEW bars_by_day WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT symbol, length, time_bucket(BIGINT '86400000000000', start) AS day, count(*) AS rows,
       first(open, start) AS open, max(high) AS high, min(low) AS low, last(close, start) AS close,
       sum(volume) AS volume
FROM bars GROUP BY symbol, length, time_bucket(BIGINT '86400000000000', start) WITH NO DATA
"""
_REFRESH = (
    f"SELECT add_continuous_aggregate_policy('bars_by_day', start_offset => BIGINT '{_CHUNK}', "
    f"end_offset => BIGINT '{DAY}', schedule_interval => INTERVAL '1 hour')"
)


def is_there(connection: sa.Connection) -> bool:
    """Whether TimescaleDB is installed in the database."""
    return connection.execute(_THERE).scalar() is not None


def arrange(connection: sa.Connection) -> bool:
    """Make hypertables of tables that hold nothing yet, if they can be; answers whether they are.

    Where the extension came after the first data, partitions stay.
    """
    if not is_there(connection):
        return False
    if not connection.execute(_IS_PARTED, {"table": "bars"}).scalar():
        return True
    if any(connection.execute(_PARTITIONS, {"table": table}).first() for table in _PARTED):
        return False
    connection.exec_driver_sql(_NOW)
    for table, (column, together) in _PARTED.items():
        for statement in _made_hyper(table, column, together):
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(_BY_DAY)
    connection.exec_driver_sql(_REFRESH)
    return True


def _made_hyper(table: str, column: str, together: str) -> Iterator[str]:
    """A partitioned table cannot become a hypertable, so another one takes its place."""
    yield f"ALTER TABLE {table} RENAME TO {table}_parted"
    yield f"CREATE TABLE {table} (LIKE {table}_parted INCLUDING ALL)"
    yield f"DROP TABLE {table}_parted"
    yield f"SELECT create_hypertable('{table}', '{column}', chunk_time_interval => BIGINT '{_CHUNK}')"
    yield f"SELECT set_integer_now_func('{table}', 'nicegold_now')"
    yield (
        f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = '{together}', "
        f"timescaledb.compress_orderby = '{column}')"
    )
    yield f"SELECT add_compression_policy('{table}', BIGINT '{_COMPRESSED_AFTER}')"


def make_room(connection: sa.Connection, table: str, first: int, last: int) -> None:
    """Make the partitions of *table* for the months of the times *first* to *last* (ns UTC)."""
    for begin, end, name in _months(first, last):
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table} "
            f"FOR VALUES FROM ({begin}) TO ({end})"
        )


def forget(connection: sa.Connection, before: int) -> None:
    """Drop the months before that of *before* (ns UTC), or the chunks: at once, however much they hold."""
    is_hyper = arrange(connection)
    for table in _PARTED:
        if is_hyper:
            connection.exec_driver_sql(f"SELECT drop_chunks('{table}', older_than => BIGINT '{before}')")
            continue
        oldest = f"{table}_{_name_of(before)}"
        for (partition,) in connection.execute(_PARTITIONS, {"table": table}).all():
            if partition < oldest:
                connection.exec_driver_sql(f"DROP TABLE {partition}")


def _months(first: int, last: int) -> Iterator[tuple[int, int, str]]:
    """Where each month from that of *first* to that of *last* begins and ends, and its name."""
    when = datetime.fromtimestamp(first / 1e9, UTC)
    year, month = when.year, when.month
    while _begin(year, month) <= last:
        following = (year + month // 12, month % 12 + 1)
        yield _begin(year, month), _begin(*following), f"{year:04}_{month:02}"
        year, month = following


def _begin(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000_000


def _name_of(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1e9, UTC):%Y_%m}"
