"""The journal's reader on any bytes: a damaged file, one with a block of them, or a file of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from nicegold import Bar
from nicegold_ops import journal
from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.journal import Journal, MarketRead, Received, Run, open_journal
from nicegold_ops.store import tables
from tests.fuzz.damage import damaged, damages
from tests.fuzz.law import check_said

#: What the first byte says that the rest is.
_DAMAGE, _BLOCK, _FILE = range(3)


def seeds() -> Iterator[bytes]:
    """Damages of a sound journal, blocks whose digest is right, and what is no journal."""
    yield from (bytes([_DAMAGE]) + each for each in damages(len(_sound())))
    yield bytes([_BLOCK]) + _payload()
    yield bytes([_BLOCK]) + _payload().replace(b"1.0", b"null")
    yield bytes([_BLOCK])
    yield bytes([_FILE]) + b"SQLite format 3\0"


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if reading what *content* says, in *folder*, raises other than a DataError."""
    what, rest = (content[0] % 3 if content else _FILE), content[1:]
    path = folder / "journal.sqlite"
    for left in folder.glob("journal.sqlite*"):
        left.unlink()
    path.write_bytes(rest if what == _FILE else damaged(_sound(), rest if what == _DAMAGE else b""))
    try:
        store = open_journal(path, durable=False)
    except NicegoldError as error:
        check_said(error, str(path))
        return
    try:
        if what == _BLOCK:
            _put(store, rest)
        list(journal.read(store, journal.find_run(store, None).run))
    except DataError as error:
        check_said(error, f"{path}: block 0 " if what == _BLOCK else str(path))
    finally:
        store.dispose()


def _put(store: sa.Engine, payload: bytes) -> None:
    """Make *payload* the only block, with the digest that it should have."""
    with store.begin() as connection:
        connection.execute(
            tables.blocks.update().values(payload=payload, digest=sha256(bytes(32) + payload).digest())
        )


def _payload() -> bytes:
    with TemporaryDirectory() as folder:
        store = open_journal(_written(Path(folder)))
        try:
            return journal.payloads(store, "made-up")
        finally:
            store.dispose()


@cache
def _sound() -> bytes:
    with TemporaryDirectory() as folder:
        return _written(Path(folder)).read_bytes()


def _written(folder: Path) -> Path:
    """A journal with one block."""
    path = folder / "journal.sqlite"
    store = open_journal(path)
    written = Journal(store, Run("made-up", "backtest", 1), cause=[0], durable=False, by_reference=False)
    for event in (Bar("XAUUSD", 1, 2, 1.0, 1.0, 1.0, 1.0), MarketRead(events=3, time=2), Received()):
        written.record(event)
    written.flush()
    store.dispose()
    return path
