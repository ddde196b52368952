"""Whether the audit trail is what was written: chain by chain, and its copy by numbers."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold_ops import actions, calls
from nicegold_ops.actions import CHAIN, action_of
from nicegold_ops.audit.chains import Place, chain_of, chains_of, first_of
from nicegold_ops.audit.document import Document
from nicegold_ops.audit.keys import MacKeys
from nicegold_ops.audit.trail import deeds, documents, messages
from nicegold_ops.chain import MacKey
from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.journal import LEAVES, Run, Told, all_runs, caused, read
from nicegold_ops.store.outbox import is_public, payload_of
from nicegold_ops.store.place import readable
from nicegold_ops.store.queries import Message


class Proof(msgspec.Struct, frozen=True):
    """What was found of one *run*: how many events and blocks of calls are sound, and the first *fault*.

    *run* is "actions" for what people did. *codes* is how many blocks were written by who has the key, None
    where they have codes and nobody looked. *found* is how many documents of it Elasticsearch has, of
    *documents*; None where it was not asked.
    """

    run: str
    events: int = 0
    blocks: int = 0
    codes: int | None = 0
    documents: int = 0
    found: int | None = None
    fault: str = ""


class Copy(Protocol):
    """Where the trail is copied to; see `AuditStream`."""

    def count(self, writer: str) -> int:
        """How many documents of *writer* it has."""

    def events(self, writer: str) -> int:
        """How many events these are: after a roll-over, what was sent twice may be there twice."""


def proofs(store: sa.Engine, copy: Copy | None = None, keys: MacKeys | None = None) -> Iterator[Proof]:
    """Each run's proof, oldest first, and that of what people did, where they did something."""
    runs = all_runs(store)
    coded = _first_coded(store, runs)
    for run in runs:
        yield _proof(store, run, copy, keys, coded)
    if first_of(store, chain_of(CHAIN).find("number")) is not None:
        yield _deeds(store, copy, keys, coded)


class _Coded(NamedTuple):
    """What has codes, and when it began (ns UTC)."""

    name: str
    time: int


def _first_coded(store: sa.Engine, runs: Iterable[Run]) -> _Coded | None:
    """The first that was written with a key: what comes later and has no codes has lost them."""
    place = chain_of(CHAIN)
    found = [_Coded(run.run, run.started_at) for run in runs if run.mac_key]
    with_codes = place.find("number", "created_at").where(place.table.c.mac_key != "")
    deed = first_of(store, with_codes.order_by(place.table.c.number))
    if deed is not None:
        found.append(_Coded(f"action {deed.number}", deed.created_at))
    return min(found, key=lambda each: each.time, default=None)


def _proof(
    store: sa.Engine, run: Run, copy: Copy | None, keys: MacKeys | None, coded: _Coded | None
) -> Proof:
    events = blocks = 0
    try:
        for events in _events(store, run):  # noqa: B007
            pass
        for block in calls.read(store, run.run):
            blocks = block.number + 1
        codes = _codes_of(store, run, keys, coded)
    except NicegoldError as error:
        return Proof(run.run, events, blocks, fault=str(error))
    found = Proof(run.run, events, blocks, codes)
    return found if copy is None else _compared(found, documents(store, run.run), copy)


def _deeds(store: sa.Engine, copy: Copy | None, keys: MacKeys | None, coded: _Coded | None) -> Proof:
    place, count, codes = chain_of(CHAIN), 0, 0
    # Vault is asked for it: once for each that was used.
    key_of = None if keys is None else cache(partial(keys.named, writer=CHAIN))
    try:
        for block in actions.read(store):
            count = block.number + 1
            if not block.mac_key:
                # After one that has codes it comes later, whatever its clock said.
                time = sys.maxsize if codes else action_of(block).time
                _refuse_without(f"action {block.number}", time, coded)
                continue
            codes += 1
            if key_of is not None:
                _refuse_other_code(place, block, key_of(block.mac_key))
    except NicegoldError as error:
        return Proof(CHAIN, count, fault=str(error))
    found = Proof(CHAIN, count, codes=None if codes and keys is None else codes)
    return found if copy is None else _compared(found, deeds(store), copy)


def _codes_of(store: sa.Engine, run: Run, keys: MacKeys | None, coded: _Coded | None) -> int | None:
    """How many of its blocks have the right code. Raises DataError at the first that has not."""
    if not run.mac_key:
        if run.mode in LEAVES:
            _refuse_without(f"run {run.run}", run.started_at, coded)
        return 0
    if keys is None:
        return None
    key, count = keys.named(run.mac_key, run.run), 0
    for place in chains_of(run.run):
        with readable(store), store.connect().execution_options(yield_per=1000) as connection:
            for block in connection.execute(place.find("number", "digest", "mac")):
                _refuse_other_code(place, block, key)
                count += 1
    return count


def _refuse_without(what: str, time: int, coded: _Coded | None) -> None:
    if coded is not None and time > coded.time:
        raise DataError(
            f"{what} has no codes, and {coded.name} before it has: it was written without a key in [audit], "
            "or they were taken away"
        )


def _refuse_other_code(place: Place, block: Any, key: MacKey) -> None:
    if not key.fits(place.writer, block.number, block.digest, block.mac):
        raise DataError(
            f"block {block.number} of {place.writer} was not written by who has the key {key.name}"
        )


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


def _compared(proof: Proof, documents: Iterable[Document], copy: Copy) -> Proof:
    """How many documents there should be, and how many are found."""
    written = Counter(each["nicegold.audit.writer.id"] for each in documents)
    found = {writer: _found(copy, writer, count) for writer, count in written.items()}
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


def _found(copy: Copy, writer: str, written: int) -> int:
    count = copy.count(writer)
    return count if count <= written else copy.events(writer)
