from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from nicegold import Bar, Expired
from nicegold_ops.errors import DataError
from nicegold_ops.journal import (
    Journal,
    MarketRead,
    Received,
    Run,
    all_runs,
    open_journal,
    payloads,
    read,
)
from nicegold_ops.store.tables import blocks

RUN = Run("made-up", "backtest", 1)
BAR = Bar("XAUUSD", 1, 2, 1.0, 1.0, 1.0, 1.0)


@pytest.fixture
def store(tmp_path: Path):
    store = open_journal(tmp_path / "journal.sqlite")
    journal = Journal(store, RUN, cause=[0], durable=False, by_reference=False)
    journal.record(BAR)
    journal.flush()
    yield store
    store.dispose()


def put(store: sa.Engine, cell: str, value: bytes) -> None:
    """Write into the block what its column would refuse."""
    with store.begin() as connection:
        connection.exec_driver_sql(f"UPDATE blocks SET {cell} = ?", (value,))  # noqa: S608


def test_what_was_written_is_read(store):
    assert [BAR] == list(read(store, RUN.run))


def test_a_block_that_was_changed_is_named(store):
    put(store, "payload", b"[]")

    with pytest.raises(DataError, match="block 0 of run made-up is missing or was changed"):
        list(read(store, RUN.run))


@pytest.mark.parametrize(
    "payload", [b"[]", b"{", b"\xff", b'{"event":"Bar","start":null}', b'{"event":"Odd"}']
)
def test_a_block_whose_digest_is_right_and_that_holds_something_else_is_named(payload, store):
    with store.begin() as connection:
        digest = sha256(bytes(32) + payload).digest()
        connection.execute(blocks.update().values(payload=payload, digest=digest))

    with pytest.raises(DataError, match="block 0 of run made-up cannot be read: "):
        list(read(store, RUN.run))


@pytest.mark.parametrize("cell", ["payload", "digest"])
@pytest.mark.parametrize("value", ["text", -1, 1.5])
def test_a_cell_of_another_type_is_an_error_that_names_the_file(cell, value, store):
    put(store, cell, value)

    with pytest.raises(DataError, match=r"journal\.sqlite"):
        list(read(store, RUN.run))


def test_a_schema_that_is_no_text_is_not_a_journal(store):
    path = Path(str(store.url.database))
    store.dispose()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE \xfe\xfeBLE"))

    with pytest.raises(DataError, match="is not a journal"):
        open_journal(path)


def test_a_list_of_runs_that_cannot_be_read_names_the_file(store):
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE runs")

    with pytest.raises(DataError, match=r"journal\.sqlite cannot be read: no such table: runs"):
        all_runs(store)


def test_what_it_writes_without_the_encoder_is_what_the_encoder_would_write(tmp_path):
    store = open_journal(tmp_path / "other.sqlite")
    cause = [0]
    journal = Journal(store, RUN, cause=cause, durable=False, by_reference=True)
    journal.read[Bar][:] = [41, 1_700_000_000_000_000_000]
    # The next event is an input itself: it came from outside.
    cause[0] = 42
    journal.record(Expired(order_id="s-1", time=1))
    journal.flush()

    written = payloads(store, RUN.run)
    store.dispose()

    expected = [
        MarketRead(events=41, time=1_700_000_000_000_000_000),
        Received(),
        Expired(order_id="s-1", time=1),
    ]
    assert msgspec.json.Encoder().encode_lines(expected) == written
