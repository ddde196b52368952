"""A copy proven: the chain of each run followed from its first block to its last."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nicegold import Order
from nicegold_ops.errors import DataError
from nicegold_ops.journal import MarketRead, Received, Run, all_runs, read
from nicegold_ops.store.place import place_of

#: What SQLite can store, and a time can be.
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Copied(msgspec.Struct, frozen=True):
    """A run in a copy: its sequence numbers and orders, and *head*, the digest of its last block.

    A run that has nothing on record has numbers of 0 and no head.
    """

    run: str
    mode: str
    started_at: Number
    first_sequence: Number
    last_sequence: Number
    head: str
    orders: Number


class Committed(msgspec.Struct, frozen=True):
    """An order, and the run whose it is."""

    run: str
    order: Order


class Proven(msgspec.Struct, frozen=True):
    """What a copy holds, each chain verified. *last_order* is None where nothing ordered."""

    runs: list[Copied]
    last_order: Committed | None

    @property
    def events(self) -> int:
        return sum(each.last_sequence for each in self.runs)

    @property
    def orders(self) -> int:
        return sum(each.orders for each in self.runs)


def proven(store: sa.Engine) -> Proven:
    """What *store* holds. Raises DataError at the first block that is not sound."""
    runs = [_followed(store, run) for run in all_runs(store)]
    return Proven([copied for copied, _ in runs], _last_order(runs))


def digest_at(store: sa.Engine, run: str, sequence: int) -> str:
    """The digest of the block of *run* that ends at *sequence*, in hex; empty if none does."""
    query = "SELECT digest FROM blocks WHERE run = :run AND last_sequence = :sequence"
    digest = asked(store, query, run=run, sequence=sequence)
    return digest.hex() if isinstance(digest, bytes) else ""


def asked(store: sa.Engine, query: str, **values: object) -> Any:
    """The first cell of what *query* finds."""
    try:
        with store.connect() as connection:
            return connection.execute(sa.text(query), values).scalar()
    except (sa.exc.DatabaseError, UnicodeDecodeError) as error:
        raise DataError(f"{place_of(store)} cannot be read: {getattr(error, 'orig', error)}") from None


def _followed(store: sa.Engine, run: Run) -> tuple[Copied, Order | None]:
    """*run* as its chain has it, and its last order."""
    sequence, orders, last = 0, 0, None
    for event in read(store, run.run):
        match event:
            case MarketRead():
                sequence += event.events
            case Received():
                pass
            case _:
                sequence += 1
        if isinstance(event, Order):
            orders, last = orders + 1, event
    head = digest_at(store, run.run, sequence)
    if sequence and not head:
        raise DataError(
            f"{place_of(store)}: run {run.run} has no block that ends at its last event, {sequence:,}"
        )
    return Copied(run.run, run.mode, run.started_at, min(1, sequence), sequence, head, orders), last


def _last_order(runs: list[tuple[Copied, Order | None]]) -> Committed | None:
    """The last order of the last run that has one; a backtest's only where nothing else ordered."""
    found = [(copied, order) for copied, order in runs if order is not None]
    if not found:
        return None
    copied, order = max(found, key=lambda each: (each[0].mode != "backtest", each[0].started_at))
    return Committed(copied.run, order)
