"""Journals of earlier builds (A36): each is brought up to date, and comes to what it came to then.

`write.py` writes one as the build at hand does; what they come to is in `states.json`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from nicegold import Secret
from nicegold_ops.audit.keys import OfSecret
from nicegold_ops.audit.proof import proofs
from nicegold_ops.errors import DataError
from nicegold_ops.journal import all_runs, open_journal, read
from nicegold_ops.store.place import open_store
from nicegold_ops.store.rebuild import rebuild
from nicegold_ops.store.schema import configuration
from nicegold_ops.store.tables import actions, blocks, calls, outbox, runs
from tests.corpus.states import journals, known, repeat, states, unpack
from tests.corpus.write import MAC
from tests.services.postgresql import PostgreSQL, postgresql

pytestmark = pytest.mark.slow

EACH = pytest.mark.parametrize("journal", journals(), ids=lambda each: each.name)
NEWEST = journals()[-1]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, journal: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    """*journal*, opened by this build where it was, or in a database as that build would have left it."""
    place: Path | str = tmp_path / "journal.sqlite"
    unpack(journal, tmp_path / "journal.sqlite")
    if request.param == "postgresql":
        running: PostgreSQL = request.getfixturevalue("server")
        place = running.url(running.new_database())
        move(tmp_path / "journal.sqlite", place)
    engine = open_store(place)
    yield engine
    engine.dispose()


def move(path: Path, url: str) -> None:
    """Put the runs in *path* into an empty database with the tables of then."""
    engine = sa.create_engine(url)
    with closing(sqlite3.connect(path)) as source, engine.connect() as target:
        source.row_factory = sqlite3.Row
        stamped = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        # What nicegold 0.1 wrote did not say so.
        step = (
            "SELECT version_num FROM alembic_version"
            if source.execute(stamped).fetchone()
            else "SELECT '0001'"
        )
        command.upgrade(configuration(target), source.execute(step).fetchone()[0])
        for table in (runs, blocks, outbox, calls, actions):
            if not sa.inspect(target).has_table(table.name):
                continue
            rows = [dict(row) for row in source.execute(f"SELECT * FROM {table.name}")]  # noqa: S608
            if rows:
                target.execute(table.insert(), rows)
        target.commit()
    engine.dispose()


@EACH
def test_an_old_journal_comes_to_what_it_came_to_then(journal, store, tmp_path):
    assert known()[journal.name] == states(store, tmp_path)


@EACH
def test_an_old_run_is_repeated_byte_for_byte(journal, store, tmp_path):
    repeated = [run for run in all_runs(store) if known()[journal.name][run.run].repeated]

    assert {} == {run.run: said for run in repeated if (said := repeat(store, run, tmp_path)[1])}


@EACH
def test_the_tables_of_an_old_run_can_be_made(journal, store):
    for run in all_runs(store):
        rebuild(store, run.run)


@pytest.mark.parametrize("journal", [NEWEST], ids=lambda each: each.name)
def test_the_codes_of_then_are_those_of_now(journal, store):
    found = list(proofs(store, keys=OfSecret(Secret(MAC))))

    assert {""} == {each.fault for each in found}
    assert {"backtest"} == {each.run for each in found if not each.codes}


@EACH
def test_a_journal_of_the_corpus_is_small(journal):
    assert journal.stat().st_size < (100_000 if journal.suffix == ".xz" else 200_000)


def test_an_event_that_only_a_newer_nicegold_knows_is_refused_by_its_name(tmp_path):
    path = tmp_path / "journal.sqlite"
    unpack(NEWEST, path)
    store = open_journal(path)
    run = all_runs(store)[-1].run
    payload = b'{"event":"Teleported","time":1}\n'
    with store.begin() as connection:
        last = connection.execute(
            blocks.select().where(blocks.c.run == run).order_by(blocks.c.number.desc())
        ).first()
        assert last is not None
        connection.execute(
            blocks.insert().values(
                run=run,
                number=last.number + 1,
                first_sequence=last.last_sequence + 1,
                last_sequence=last.last_sequence + 1,
                payload=payload,
                digest=hashlib.sha256(last.digest + payload).digest(),
            )
        )

    with pytest.raises(DataError, match=f"of run {run} cannot be read: Invalid value 'Teleported'"):
        list(read(store, run))
    store.dispose()
