"""What was tampered with is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold_ops.audit.proof import Proof, proofs
from nicegold_ops.audit.trail import documents
from nicegold_ops.store.place import open_store
from tests.ops.test_witness import lived

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sa.Engine]:
    """Of two sessions."""
    for name in ("first", "second"):
        lived(tmp_path, name=name, bars=100).close()
    engine = open_store(tmp_path / "state" / "journal.sqlite")
    yield engine
    engine.dispose()


def faults(store: sa.Engine) -> dict[str, str]:
    return {each.run: each.fault for each in proofs(store)}


def do(store: sa.Engine, deed: str) -> None:
    with store.begin() as connection:
        for statement in deed.split(";"):
            assert connection.exec_driver_sql(statement).rowcount


def test_what_nobody_touched_is_sound(store):
    found = list(proofs(store))

    assert ["", ""] == [each.fault for each in found]
    assert all(each.events > 100 and each.blocks for each in found)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (
            "UPDATE blocks SET payload = CAST(replace(CAST(payload AS TEXT), '0.10', '0.90') AS BLOB) "
            "WHERE run = 'first' AND CAST(payload AS TEXT) LIKE '%\"Order\"%'",
            "of run first is missing or was changed",
        ),
        ("DELETE FROM blocks WHERE run = 'first' AND number = 2", "block 2 of run first is missing"),
        (
            "UPDATE blocks SET number = number + 1000 WHERE run = 'first' AND number IN (2, 3);"
            "UPDATE blocks SET number = 1005 - number WHERE run = 'first' AND number > 1000",
            "block 2 of run first is missing or was changed",
        ),
        (
            "UPDATE outbox SET payload = CAST(replace(CAST(payload AS TEXT), '0.10', '0.90') AS BLOB) "
            "WHERE run = 'first' AND topic = 'Order'",
            "run first: event 15 is another in the outbox than in the journal",
        ),
        (
            "DELETE FROM outbox WHERE run = 'first' AND topic = 'Fill'",
            "run first: event 18 is in the journal and not in the outbox",
        ),
        (
            "UPDATE outbox SET sequence = sequence + 90000 WHERE run = 'first' AND topic = 'Finished'",
            "is in the journal and not in the outbox",
        ),
        (
            "INSERT INTO outbox (run, sequence, topic, payload, created_at) "
            "VALUES ('first', 90000, 'Fill', '{}', 1)",
            "run first: event 90000 is in the outbox and not in the journal",
        ),
        ("UPDATE calls SET number = number + 90 WHERE run = 'first'", "block 0 of the calls of run first"),
        ("UPDATE calls SET digest = 'x' WHERE run = 'first'", "block 0 of the calls of run first"),
    ],
)
def test_what_was_changed_is_named_and_the_other_run_is_sound(store, deed, said):
    do(store, deed)

    assert said in faults(store)["first"]
    assert "" == faults(store)["second"]


class Copied:
    """A copy that lacks *missing* documents of one writer."""

    def __init__(self, store: sa.Engine, writer: str, missing: int) -> None:
        self._store, self._writer, self._missing = store, writer, missing

    def events(self, writer: str) -> int:
        return self.count(writer)

    def count(self, writer: str) -> int:
        run = writer.partition("/")[0]
        found = [each for each in documents(self._store, run) if each["nicegold.audit.writer.id"] == writer]
        return len(found) - (self._missing if writer == self._writer else 0)


def test_a_copy_is_compared_by_its_numbers(store):
    first, second = proofs(store, Copied(store, "second/calls", 3))

    assert isinstance(first, Proof)
    assert ("", first.documents) == (first.fault, first.found)
    assert second.documents - 3 == second.found
    assert "second/calls has " in second.fault
