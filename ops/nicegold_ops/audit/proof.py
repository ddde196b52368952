"""Whether the audit trail is what was written: chain by chain, and its copy by numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold_ops import calls
from nicegold_ops.audit.trail import documents, messages
from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.journal import Run, Told, all_runs, caused, read
from nicegold_ops.store.outbox import is_public, payload_of
from nicegold_ops.store.queries import Message


class Proof(msgspec.Struct, frozen=True):
    """What was found of one *run*: how many events and blocks of calls are sound, and the first *fault*.

    *found* is how many documents of it Elasticsearch has, of *documents*; None where it was not asked.
    """

    run: str
    events: int = 0
    blocks: int = 0
    documents: int = 0
    found: int | None = None
    fault: str = ""


class Copy(Protocol):
    """Where the trail is copied to; see `AuditStream`."""

    def count(self, writer: str) -> int:
        """How many documents of *writer* it has."""


def proofs(store: sa.Engine, copy: Copy | None = None) -> Iterator[Proof]:
    """Each run's proof, oldest first."""
    for run in all_runs(store):
        yield _proof(store, run, copy)


def _proof(store: sa.Engine, run: Run, copy: Copy | None) -> Proof:
    events = blocks = 0
    try:
        for events in _events(store, run):  # noqa: B007
            pass
        for block in calls.read(store, run.run):
            blocks = block.number + 1
    except NicegoldError as error:
        return Proof(run.run, events, blocks, fault=str(error))
    if copy is None:
        return Proof(run.run, events, blocks)
    return _compared(store, Proof(run.run, events, blocks), copy)


def _events(store: sa.Engine, run: Run) -> Iterator[int]:
    """The number of each event of *run* that is sound in the journal, and told as it is there."""
    outbox = messages(store, run.run)
    message = next(outbox, None)
    is_told = message is not None
    for each in caused(read(store, run.run)):
        if is_told and is_public(each.event):
            _refuse_other(run, each, message)
            message = next(outbox, None)
        yield each.sequence
    if message is not None:
        raise DataError(f"run {run.run}: event {message.sequence} is in the outbox and not in the journal")


def _refuse_other(run: Run, told: Told, message: Message | None) -> None:
    """The outbox must have the event, as the journal has it; before nicegold 0.2 it did not say the cause."""
    if message is None or message.sequence > told.sequence:
        raise DataError(f"run {run.run}: event {told.sequence} is in the journal and not in the outbox")
    said = (message.sequence, message.payload, message.cause or told.cause)
    if said != (told.sequence, payload_of(told.event), told.cause):
        raise DataError(
            f"run {run.run}: event {message.sequence} is another in the outbox than in the journal, which is "
            "the record"
        )


def _compared(store: sa.Engine, proof: Proof, copy: Copy) -> Proof:
    """How many documents there should be, and how many are found."""
    written = Counter(each["nicegold.audit.writer.id"] for each in documents(store, proof.run))
    found = {writer: copy.count(writer) for writer in written}
    wrong = [
        f"{writer} has {count:,} documents and Elasticsearch {found[writer]:,}"
        for writer, count in written.items()
        if count != found[writer]
    ]
    return replace(
        proof,
        documents=sum(written.values()),
        found=sum(found.values()),
        fault="; ".join(wrong),
    )
