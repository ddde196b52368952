from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from nicegold_ops.errors import DataError
from nicegold_ops.journal import Journal, Run
from nicegold_ops.store.place import open_store
from nicegold_ops.store.schema import HEAD, configuration, prepare
from nicegold_ops.store.tables import metadata

pytestmark = pytest.mark.slow

#: Written by nicegold 0.1.
EARLIER = Path(__file__).parent / "journal-0.1.sqlite"

_IN_POSTGRESQL = """
    SELECT table_name, column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns
    WHERE table_schema = 'public'
    UNION ALL SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""
_IN_SQLITE = "SELECT tbl_name, coalesce(sql, name) FROM sqlite_master"


def schema_of(engine: sa.Engine) -> list[tuple[str, str]]:
    """Everything that the database says of its tables, indexes and constraints."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(_IN_SQLITE if engine.dialect.name == "sqlite" else _IN_POSTGRESQL)
        # Alembic writes a blank more here and there.
        return sorted((table, re.sub(r"\s+", "", said)) for table, said in rows)


def empty(place: Path | str) -> sa.Engine:
    """What is at *place*, with nothing done to it."""
    return sa.create_engine(place if isinstance(place, str) else f"sqlite:///{place}")


@contextmanager
def migrating(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection
        connection.commit()


def move(engine: sa.Engine, revision: str, *, down: bool = False) -> None:
    with migrating(engine) as connection:
        (command.downgrade if down else command.upgrade)(configuration(connection), revision)


def steps() -> list[str]:
    """The revisions, oldest first."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
        found = [each.revision for each in scripts.walk_revisions()][::-1]
    engine.dispose()
    return found


def test_the_head_is_the_last_step():
    assert steps()[-1] == HEAD


def test_a_new_store_is_what_the_steps_make(store, place, tmp_path, request):
    migrated = empty(tmp_path / "migrated.sqlite")
    if store.dialect.name == "postgresql":
        server = request.getfixturevalue("server")
        migrated = empty(server.url(server.new_database()))

    move(migrated, "head")

    assert schema_of(migrated) == schema_of(store)
    with migrated.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), metadata)
    migrated.dispose()


def test_every_step_goes_down_and_up_again(place):
    engine = empty(place)
    seen = {}
    for revision in steps():
        move(engine, revision)
        seen[revision] = schema_of(engine)

    for before, revision in reversed(list(zip(["base", *steps()], steps(), strict=False))):
        move(engine, before, down=True)
        if before != "base":
            assert seen[before] == schema_of(engine)
        move(engine, revision)
        assert seen[revision] == schema_of(engine)
        move(engine, before, down=True)

    assert {"alembic_version"} == {table for table, _ in schema_of(engine)}
    prepare(engine)
    assert seen[HEAD] == schema_of(engine)
    engine.dispose()


def runs_in(store: sa.Engine) -> list[tuple[str, str, int]]:
    """Those that are there, also where the table is an earlier nicegold's."""
    with store.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT run, mode, started_at FROM runs")]


def test_a_step_down_keeps_the_journal_and_the_first_refuses_to_take_it_apart(store):
    Journal(store, Run("r", "paper", 1), cause=[0], durable=False, by_reference=False)

    move(store, "0001", down=True)

    assert [("r", "paper", 1)] == runs_in(store)
    with pytest.raises(DataError, match="holds runs, which nothing could make again"):
        move(store, "base", down=True)
    assert [("r", "paper", 1)] == runs_in(store)


def test_a_store_of_a_newer_nicegold_is_refused(store, place):
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DataError) as refused:
        open_store(place)

    assert "was written by a newer nicegold: its schema is 9999" in str(refused.value)
    assert f"knows those up to {HEAD}; pip install --upgrade nicegold" in str(refused.value)
    assert str(refused.value).startswith(str(place))


def test_a_database_of_something_else_is_refused_and_left_alone(place):
    engine = empty(place)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (id INTEGER)")
    before = schema_of(engine)

    with pytest.raises(
        DataError, match="is not a journal: its table runs lacks mode, run, started_at; move it"
    ):
        open_store(place)

    assert before == schema_of(engine)
    engine.dispose()


def test_a_store_that_is_up_to_date_costs_one_query(store):
    asked: list[str] = []
    sa.event.listen(store, "before_cursor_execute", lambda *said: asked.append(said[2]))

    prepare(store)

    assert ["SELECT version_num FROM alembic_version"] == asked


def test_alembic_is_read_only_where_a_store_has_to_change(tmp_path):
    code = (
        "import sys, pathlib; from nicegold_ops.journal import open_journal\n"
        "for _ in range(2): open_journal(pathlib.Path(sys.argv[1])).dispose()\n"
        "print('alembic' in sys.modules)"
    )

    def is_read(path: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    shutil.copy(EARLIER, tmp_path / "earlier.sqlite")
    assert "False" == is_read(tmp_path / "new.sqlite")
    assert "True" == is_read(tmp_path / "earlier.sqlite")
    assert "False" == is_read(tmp_path / "earlier.sqlite")


def test_many_that_open_a_new_store_at_once_make_it_once(place):
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: open_store(place, durable=False), range(8)))

    for engine in engines:
        with engine.connect() as connection:
            assert [(HEAD,)] == [*connection.exec_driver_sql("SELECT version_num FROM alembic_version")]
        engine.dispose()


def test_many_that_take_over_an_earlier_store_at_once_do_it_once(tmp_path):
    path = tmp_path / "journal.sqlite"
    shutil.copy(EARLIER, path)
    code = (
        "import sys, pathlib; from nicegold_ops.journal import all_runs, open_journal\n"
        "store = open_journal(pathlib.Path(sys.argv[1])); print(len(all_runs(store))); store.dispose()"
    )

    together = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    assert ["3\n"] * 3 == [each.communicate()[0] for each in together]


def test_a_change_that_is_interrupted_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "journal.sqlite"
    shutil.copy(EARLIER, path)
    engine = empty(path)
    before = schema_of(engine)
    engine.dispose()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sa.Connection, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_store(path)

    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(_IN_SQLITE).fetchall()
    assert before == sorted((table, re.sub(r"\s+", "", said)) for table, said in found)
