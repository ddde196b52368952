"""How the queries find their rows among a million: by an index, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, DropIndex

from nicegold import DAY, SECOND, Order, OrderState, Side
from nicegold_ops.store import market, queries, timescale
from nicegold_ops.store.place import open_store
from nicegold_ops.store.queries import StoredOrder
from nicegold_ops.store.tables import metadata, orders

pytestmark = pytest.mark.slow

Ask: TypeAlias = Callable[[sa.Connection], object]

ROWS = 1_000_000
#: A run has so many of the rows of a table, and a table so many runs.
EACH = 100_000
RUN = "run-0000005"
MINUTE = 60 * SECOND
#: Rows that may be touched for an answer of at most a hundred, with what is passed by to find them; and
#: the steps of SQLite's machine that this takes, at thirty a row.
MOST, MOST_STEPS = 1_000, 30_000

_ONE = "CAST('1.00' AS {exact})"
_OF_RUN, _NUMBER = f"'run-' || substr('' || (10000000 + i / {EACH}), 2)", f"i % {EACH}"
_ORDER = f"'script', 'XAUUSD', 'buy', {_ONE}, 'market'"
#: What each table is filled with: row *i*, in the order of its key.
ROW = {
    "runs": "'run-' || substr('' || (10000000 + i), 2), 'paper', i, ''",
    "blocks": f"{_OF_RUN}, {_NUMBER}, 10 * ({_NUMBER}) + 1, 10 * ({_NUMBER}) + 10, {{bytes}}, {{bytes}}, "
    "NULL",
    "orders": f"{_OF_RUN}, 's-' || (100000 + {_NUMBER}), {_NUMBER} + 1, {_ORDER}, NULL, NULL, NULL, 'gtc', "
    f"0, false, '', '', i, 'filled', {_ONE}, false, '', NULL, 0, false, ''",
    "fills": f"{_OF_RUN}, 's-' || (100000 + {_NUMBER}), 't-1', {_NUMBER} + 1, i, 'script', 'XAUUSD', 'buy', "
    f"{_ONE}, {_ONE}, {_ONE}, {_ONE}",
    "busts": f"{_OF_RUN}, 't-' || (100000 + {_NUMBER}), {_NUMBER} + 1, 's-1', i, ''",
    "positions": f"'run-' || substr('' || (10000000 + i / 100), 2), 'S' || (100 + i % 100), "
    f"{_ONE}, {_ONE}, {_ONE}, {_ONE}",
    "vetoes": f"{_OF_RUN}, {_NUMBER} + 1, 0, 'plugin-' || (i % 5), 'large', i, 's-1', {_ORDER}, NULL, NULL",
    "outbox": f"{_OF_RUN}, {_NUMBER} + 1, 'Fill', {{bytes}}, i, i",
    "calls": f"{_OF_RUN}, {_NUMBER} + 1, {{bytes}}, {{bytes}}, i, NULL",
    "actions": "i, {bytes}, {bytes}, i, NULL, ''",
    "checkpoints": "i, '{{}}', 'signed'",
    "cursors": "'shipper', 'run-' || substr('' || (10000000 + i), 2), 1",
    # Minutes of ten symbols, and two quotes in each second of them.
    "bars": f"'S' || (i / {EACH}), {MINUTE}, {MINUTE} * ({_NUMBER}), {MINUTE} * ({_NUMBER} + 1), "
    "1, 1, 1, 1, 1, 0",
    "quotes": f"'S' || (i / {EACH}), {MINUTE} * ({_NUMBER} / 2), i % 2, 1, 1, 1, 1",
}
_ROWS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
    "SELECT {row} FROM n",
    "postgresql": "SELECT {row} FROM generate_series(0, {last}) AS n(i)",
}
_WORDS = {
    "sqlite": {"exact": "TEXT", "bytes": "CAST('{}' AS BLOB)"},
    "postgresql": {"exact": "NUMERIC", "bytes": "CAST('{}' AS BYTEA)"},
}

ONE_ORDER = StoredOrder(
    50_000, OrderState(Order(id="s-149999", symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1)))
)


def _second(page: Callable[..., list[Any]], name: str) -> Ask:
    """The page after the first."""
    return lambda connection: page(connection, **{name: page(connection)[-1]})


def _orders(connection: sa.Connection, **more: Any) -> list[Any]:
    return queries.newest_orders(connection, RUN, **more)


def _vetoes(connection: sa.Connection, **more: Any) -> list[Any]:
    return queries.newest_vetoes(connection, RUN, "plugin-3", **more)


def _fills(connection: sa.Connection, **more: Any) -> list[Any]:
    return queries.fills_between(connection, RUN, 5 * EACH + 1_000, 6 * EACH, **more)


def _some(first: int, last: int) -> tuple[int, int]:
    return first * MINUTE, last * MINUTE


#: Each query, and how many rows it answers with; those of one run's every row are counted by themselves.
ASKED: dict[str, tuple[Ask, int]] = {
    "newest_runs": (queries.newest_runs, 100),
    "newest_runs, second page": (_second(queries.newest_runs, "before"), 100),
    "blocks_between": (lambda connection: queries.blocks_between(connection, RUN, 500_005, 500_500), 50),
    "newest_orders": (_orders, 100),
    "newest_orders, second page": (_second(_orders, "before"), 100),
    "order_with_fills": (lambda connection: queries.order_with_fills(connection, RUN, "s-150000"), 2),
    "fills_between": (_fills, 100),
    "fills_between, second page": (_second(_fills, "after"), 100),
    "executions": (
        lambda connection: queries.executions(connection, RUN, 5 * EACH + 1_000, 5 * EACH + 1_500),
        1,
    ),
    "positions_of": (lambda connection: queries.positions_of(connection, RUN), 100),
    "newest_vetoes": (_vetoes, 100),
    "newest_vetoes, second page": (_second(_vetoes, "before"), 100),
    "outbox_after": (lambda connection: queries.outbox_after(connection, RUN, 50_000, limit=100), 100),
    "runs_behind": (lambda connection: queries.runs_behind(connection, "shipper"), 10),
    "runs_with_calls_behind": (lambda connection: queries.runs_with_calls_behind(connection, "shipper"), 10),
    "outbox_behind": (lambda connection: queries.outbox_behind(connection, RUN, 99_900), 2),
    "traceparents": (lambda connection: queries.traceparents(connection, RUN, ["s-150000", "s-150001"]), 2),
    "call_blocks_after": (
        lambda connection: queries.call_blocks_after(connection, RUN, 50_000, limit=100),
        100,
    ),
    "held": (market.held, 20),
    "newest_bars": (lambda connection: market.newest_bars(connection, "S5", MINUTE), 100),
    "bars_between": (
        lambda connection: market.bars_between(connection, "S5", MINUTE, *_some(50_000, 60_000)),
        100,
    ),
    "quotes_between": (
        lambda connection: market.quotes_between(connection, "S5", *_some(20_000, 30_000)),
        100,
    ),
    "days": (lambda connection: market.days(connection, "S5", MINUTE, *_some(1440, 1539)), 1),
    "days, of quotes": (lambda connection: market.days(connection, "S5", 0, *_some(1440, 1479)), 1),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def million(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A store with a million rows in each table."""
    if request.param == "sqlite":
        engine = open_store(tmp_path_factory.mktemp("million") / "store.sqlite", durable=False)
    else:
        server = request.getfixturevalue("server")
        engine = open_store(server.url(server.new_database()), durable=False)
    fill(engine)
    yield engine
    engine.dispose()


def fill(engine: sa.Engine) -> None:
    """Make the rows where they are kept, and the indexes at the end: nothing that Python sends is as fast."""
    name = engine.dialect.name
    with engine.begin() as connection:
        if name == "postgresql":
            # How rows are found is not changed by how they are logged, and logging takes most of the time.
            connection.exec_driver_sql("ALTER TABLE blocks DROP CONSTRAINT blocks_run_fkey")
            for table in ("bars", "quotes"):
                timescale.make_room(connection, table, 0, EACH * MINUTE)
            for table in metadata.tables.keys() - {"bars", "quotes"}:
                connection.exec_driver_sql(f"ALTER TABLE {table} SET UNLOGGED")
        for table, row in ROW.items():
            indexes = metadata.tables[table].indexes
            for index in indexes:
                connection.execute(DropIndex(index))
            rows = _ROWS[name].format(last=ROWS - 1, row=row.format(**_WORDS[name]))
            connection.execute(sa.text(f"INSERT INTO {table} {rows}"))  # all of it is above
            for index in indexes:
                connection.execute(CreateIndex(index))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if name == "sqlite" else "VACUUM ANALYZE")


def statements_of(engine: sa.Engine, ask: Ask) -> dict[str, Any]:
    """What *ask* sends, each with what it was sent with."""
    sent: dict[str, Any] = {}

    def note(*said: Any) -> None:
        sent[said[2]] = said[3]

    sa.event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        ask(connection)
    sa.event.remove(engine, "before_cursor_execute", note)
    return sent


def defects_of(engine: sa.Engine, ask: Ask) -> list[str]:
    """Where the plans of what *ask* sends read what an index should have found."""
    explain = _in_sqlite if engine.dialect.name == "sqlite" else _in_postgresql
    with engine.connect() as connection:
        return [
            f"{found} in: {statement}"
            for statement, parameters in statements_of(engine, ask).items()
            for found in explain(connection, statement, parameters)
        ]


def _in_sqlite(connection: sa.Connection, statement: str, parameters: Any) -> Iterator[str]:
    for *_, step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        # In the order of an index, and no further than the page goes.
        in_order = "USING" in step and "LIMIT" in statement
        if step.startswith("SCAN ") and step.split()[1] in metadata.tables and not in_order:
            yield step
        # The trades of one order are few, and so are days.
        if step.startswith("USE TEMP B-TREE") and not _is_of_few(statement):
            yield step
    steps = _steps(connection, statement, parameters)
    if steps > MOST_STEPS:
        yield f"{steps:,} steps"


def _is_of_few(statement: str) -> bool:
    return "fills.order_id = ?" in statement or f"% {DAY}" in statement


def _steps(connection: sa.Connection, statement: str, parameters: Any) -> int:
    """What SQLite's machine does for the answer, to the next thousand."""
    counted = []
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(lambda: counted.append(1), 1_000)
    connection.exec_driver_sql(statement, parameters).all()
    driver.set_progress_handler(None, 0)
    return 1_000 * len(counted)


def _in_postgresql(connection: sa.Connection, statement: str, parameters: Any) -> Iterator[str]:
    [(plan,)] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    touched = 0
    for node in _nodes(plan[0]["Plan"]):
        if node["Node Type"] == "Seq Scan":
            yield f"Seq Scan of {node['Relation Name']}"
        passed_by = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        if "Relation Name" in node:
            touched += (node["Actual Rows"] + passed_by) * node["Actual Loops"]
    if touched > MOST:
        yield f"{touched:,} rows touched"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _size(answer: Any) -> int:
    match answer:
        case None:
            return 0
        case list() | dict():
            return len(answer)
        case tuple():
            return sum(map(_size, answer))
    return 1


def test_no_query_reads_what_an_index_should_find(million, subtests):
    for name, (ask, rows) in ASKED.items():
        with subtests.test(name):
            with million.connect() as connection:
                assert rows == _size(ask(connection))
            assert [] == defects_of(million, ask)
    with subtests.test("every query is asked"):
        public = {
            name
            for module in (queries, market)
            for name, each in vars(module).items()
            if getattr(each, "__module__", "") == module.__name__
        }
        functions = {name for name in public if name.islower() and not name.startswith("_")}
        assert functions - {"veto_counts", "keep", "forget"} == {name.partition(",")[0] for name in ASKED}
    with subtests.test("a count of all that a run has reads that run, and only the index"):
        check_count(million)
    with subtests.test("the check finds what has no index"):
        unindexed = orders.select().where(orders.c.run == RUN, orders.c.time == 1)
        assert [] != defects_of(million, lambda connection: connection.execute(unindexed).all())


def check_count(engine: sa.Engine) -> None:
    def ask(connection: sa.Connection) -> dict[str, int]:
        return queries.veto_counts(connection, RUN)

    with engine.connect() as connection:
        assert dict.fromkeys((f"plugin-{number}" for number in range(5)), EACH // 5) == ask(connection)
        [(statement, parameters)] = statements_of(engine, ask).items()
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        plan = "\n".join(
            str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)
        )
    assert "COVERING INDEX vetoes_by_plugin" in plan or "Index Only Scan using vetoes_by_plugin" in plan
