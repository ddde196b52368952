"""Which tables a store has: brought to what this program needs, refused where it is ahead of that.

The common case, a store that is up to date, costs one query. Alembic takes half a second to import, so
it is only when a store has to change; a new one is made from `tables.py` at once.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from nicegold_ops.errors import DataError
from nicegold_ops.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

#: The last step in `migrations/versions`, and the one that made what nicegold 0.1 wrote without saying so.
HEAD = "0006"
_JOURNAL = "0001"
#: What nicegold 0.1 has written: its tables and their columns.
_FIRST = {
    "runs": {"run", "mode", "started_at"},
    "blocks": {"run", "number", "first_sequence", "last_sequence", "payload", "digest"},
}
_MIGRATIONS = Path(__file__).parent / "migrations"

#: Where Alembic keeps the step that a store is at, as Alembic makes it.
_stamp = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_STAMPED = "SELECT version_num FROM alembic_version"
#: Any number: whoever changes the schema of a PostgreSQL database holds the lock of this name.
_LOCK = 0x6E6963656F6C64


def prepare(engine: sa.Engine) -> None:
    """Bring the store to `HEAD`; of several processes that try at once, one does.

    Raises DataError when it was written by a newer nicegold or is not ours; its name goes before that.
    """
    if engine.url.database is None and engine.dialect.name == "sqlite":
        _copy(engine)
    elif not _is_at_head(engine):
        _prepare(engine)


def _prepare(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        _wait_for_others(connection)
        _bring(connection)
        connection.commit()


def configuration(connection: sa.Connection) -> Config:
    """What Alembic's commands need, to run on *connection* and in its transaction."""
    from alembic.config import Config

    config = Config()
    # In this setting a percent sign begins a placeholder.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _is_at_head(engine: sa.Engine) -> bool:
    try:
        with engine.connect() as connection:
            return connection.exec_driver_sql(_STAMPED).scalar() == HEAD
    # Mostly that there is no such table. Anything else is met again, and told, on the way that follows.
    except (sa.exc.OperationalError, sa.exc.ProgrammingError):
        return False


def _wait_for_others(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _bring(connection: sa.Connection) -> None:
    names = set(sa.inspect(connection).get_table_names())
    if _stamp.name in names:
        _upgrade(connection, connection.exec_driver_sql(_STAMPED).scalar())
    elif names.isdisjoint(metadata.tables):
        _create(connection)
    else:
        _take_over(connection, names)


def _create(connection: sa.Connection) -> None:
    # By the driver's own cursor: SQLAlchemy's care for each statement would double the time of an opening.
    cursor = connection.connection.cursor()
    for statement in _definitions(connection.dialect.name):
        cursor.execute(statement)
    cursor.close()


def _copy(engine: sa.Engine) -> None:
    """In memory: nobody else has it, and to make a table takes as long as to copy all of them."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.deserialize(_made())


@cache
def _made() -> bytes:
    """An empty store at `HEAD`, as SQLite has it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in _definitions("sqlite"):
            connection.execute(statement)
        connection.commit()
        return connection.serialize()


@cache
def _definitions(database: str) -> list[str]:
    """What makes an empty store one at `HEAD`; compiled once, as a sweep and the tests make many."""
    dialect = sa.dialects.registry.load(database)()
    elements: list[CreateTable | CreateIndex] = []
    for table in (*metadata.sorted_tables, _stamp):
        elements.append(CreateTable(table))
        elements += [CreateIndex(index) for index in table.indexes]
    stamped = _stamp.insert().values(version_num=HEAD)
    return [
        *(str(element.compile(dialect=dialect)) for element in elements),
        str(stamped.compile(dialect=dialect, compile_kwargs={"literal_binds": True})),
    ]


def _take_over(connection: sa.Connection, names: set[str]) -> None:
    """What nicegold 0.1 has written, which did not say so."""
    from alembic import command

    for table, needed in _FIRST.items():
        missing = needed - _columns(connection, table, names)
        if missing:
            raise DataError(
                f"is not a journal: its table {table} lacks {', '.join(sorted(missing))}; "
                "move it away, or name another place"
            )
    command.stamp(configuration(connection), _JOURNAL)
    _upgrade(connection, _JOURNAL)


def _columns(connection: sa.Connection, table: str, names: set[str]) -> set[str]:
    if table not in names:
        return set()
    return {each["name"] for each in sa.inspect(connection).get_columns(table)}


def _upgrade(connection: sa.Connection, stamped: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = configuration(connection)
    try:
        if stamped is not None:
            ScriptDirectory.from_config(config).get_revision(stamped)
    except CommandError:
        raise DataError(
            f"was written by a newer nicegold: its schema is {stamped}, this is nicegold "
            f"{version('nicegold')} and knows those up to {HEAD}; pip install --upgrade nicegold"
        ) from None
    command.upgrade(config, HEAD)
