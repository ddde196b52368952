"""Where the last live run ended: read from its last snapshot on, from the journal.

Recovery is how every live run starts. A run that was killed and one that ended on purpose leave the
same: a snapshot some events ago, and what was recorded after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import sqlalchemy as sa

from nicegold import (
    Account,
    Bar,
    Finished,
    Instrument,
    Order,
    PluginFailed,
    Portfolio,
    Quote,
    Refused,
    Snapshot,
    Started,
    Vetoed,
)
from nicegold_ops.errors import DataError
from nicegold_ops.journal import MarketRead, Received, Run, all_runs, read, tail, verify
from nicegold_ops.store.place import place_of, readable
from nicegold_ops.store.projections import projected_to

#: Events on the journal between two snapshots: what a recovery reads at most.
SNAPSHOT_EVERY = 10_000
#: What a run may have on record that did not come as far as to take over what was known before it.
_NOTHING_YET = (Bar, Finished, MarketRead, PluginFailed, Quote, Received, Refused, Started)


def refuse_unsound(store: sa.Engine) -> None:
    """Raise DataError where the record of any run is damaged, or ends before what its tables were made of."""
    for run in all_runs(store):
        recorded = verify(store, run.run)
        with readable(store), store.connect() as connection:
            projected = projected_to(connection, run.run)
        if projected > recorded:
            raise DataError(
                f"{place_of(store)}: the end of run {run.run} is missing: its record ends at event "
                f"{recorded:,}, and its tables were made of {projected:,}; restore the last backup"
            )


def last_state(
    store: sa.Engine, run: Run, account: Account, instruments: Mapping[str, Instrument]
) -> Snapshot | None:
    """What the last run of the same mode before *run* knew at its end; None when there was none.

    A run that ended before it took over from the one before it knew nothing: a plugin did not start, or the
    power went.

    Raises DataError where its record is damaged, or holds what *instruments* or *account* do not fit.
    """
    earlier = [each for each in all_runs(store) if each.mode == run.mode and each.run != run.run]
    for before in reversed(earlier):
        with closing(read(store, before.run)) as events:
            started = next(events, None)
            knew = any(not isinstance(each, _NOTHING_YET) for each in events)
        if isinstance(started, Started) and knew:
            _refuse_another_account(started, account, before)
            return _folded(store, before, started, instruments)
    return None


def _refuse_another_account(started: Started, account: Account, run: Run) -> None:
    if started.currency != account.currency:
        raise DataError(
            f"the last live run, {run.run}, was in {started.currency}, this one is in {account.currency}; "
            "name another folder in [run] state for another account"
        )


def _folded(store: sa.Engine, run: Run, started: Started, instruments: Mapping[str, Instrument]) -> Snapshot:
    portfolio = Portfolio(Account(started.cash, started.currency), instruments)
    numbers: dict[str, int] = {}
    for event in tail(store, run.run):
        match event:
            case Snapshot():
                numbers = dict(event.numbers)
            case Order() | Vetoed():
                strategy, number = _number_of(event.order if isinstance(event, Vetoed) else event)
                numbers[strategy] = max(number, numbers.get(strategy, 0))
            case MarketRead():
                portfolio.time = event.time
                continue
        try:
            portfolio.apply(event)
        except KeyError as unknown:
            raise DataError(
                f"the last live run, {run.run}, traded {unknown}, which is no instrument of this one; add it"
            ) from None
    return portfolio.snapshot(numbers)


def _number_of(order: Order) -> tuple[str, int]:
    strategy, _, number = order.id.rpartition("-")
    return strategy, int(number)
