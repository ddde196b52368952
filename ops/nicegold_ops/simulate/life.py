"""One engine of a simulation, from its start on: wired as `app` wires one, on what is simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from nicegold import Account, Event, Finished, HaltLifted, Instrument, Portfolio, Started
from nicegold.engine import Engine
from nicegold.host import Call, Host, Observe
from nicegold_ops.journal import Journal, Received, Run, all_runs, read
from nicegold_ops.pager import Pager
from nicegold_ops.reconciler import Put, Reconciler
from nicegold_ops.recovery import last_state
from nicegold_ops.replayed import answers_in, in_place_of, repeat
from nicegold_ops.simulate.plan import SECOND

#: 2026-01-05T00:00:00Z, a Monday.
START: Final = 1_767_571_200 * SECOND
ACCOUNT: Final = Account(cash=Decimal(100_000), currency="USD")
INSTRUMENTS: Final = {
    symbol: Instrument(
        symbol=symbol, tick_size=Decimal("0.01"), lot_size=Decimal(lot), quantity_step=Decimal("0.01")
    )
    for symbol, lot in (("XAUUSD", 100), ("XAGUSD", 5000))
}
#: Events on record between two snapshots: few, so that recoveries read some.
_SNAPSHOT_EVERY = 40
STARTED: Final = Started(
    version="simulated",
    seed=0,
    cash=ACCOUNT.cash,
    currency=ACCOUNT.currency,
    instruments=list(INSTRUMENTS.values()),
    configuration="",
    sources={},
)


class Unstarted(Exception):
    """A plugin did not start, so nothing trades."""


class Life:
    """An engine on *store*, which recovers there what the one before it knew. Nothing is started yet."""

    def __init__(
        self,
        store: sa.Engine,
        run: Run,
        plugins: Mapping[str, object],
        observe: Observe,
        record: Callable[[Event], None],
    ) -> None:
        self.run = run
        #: What the journals hold, by run; one that ended before it recorded anything is not there.
        self.known = {each.run: events for each in all_runs(store) if (events := told_in(store, each.run))}
        self.resumed = last_state(store, run, ACCOUNT, INSTRUMENTS)
        self.cause = [0]
        self.journal = Journal(store, run, cause=self.cause, durable=True, by_reference=False)
        self.portfolio = Portfolio(ACCOUNT, INSTRUMENTS)
        self.pager = Pager()
        self.host = Host(observe, {**plugins, "pager": self.pager})
        self.engine = Engine(self.host, record, self.portfolio, cause=self.cause)
        self._snapshot_at = 0

    def start(self, put: Put, asked: Callable[[], int]) -> None:
        """Begin to record, and go on from where the last one ended. A person has seen to what halted it."""
        for failure in self.engine.start(STARTED):
            self.engine.finish("a plugin did not start")
            self.journal.flush()
            raise Unstarted(f"{failure.plugin} did not start: {failure.reason}")
        if self.resumed is not None:
            self.engine.handle(self.resumed)
        if self.portfolio.halted:
            self.engine.handle(HaltLifted(reason="seen to", time=self.portfolio.time))
        self.reconciler = Reconciler(
            self.host.each("fetch_statement"),
            self.host.each("find_order"),
            put,
            self.portfolio,
            asked,
            since=self.portfolio.time or START,
        )

    def snapshot(self) -> None:
        """Write all that is known, if the last one is long ago."""
        if self.engine.sequence - self._snapshot_at >= _SNAPSHOT_EVERY:
            self.engine.snapshot()
            self._snapshot_at = self.engine.sequence


def repeated(recorded: Iterable[Event], plugins: Mapping[str, object]) -> list[Event]:
    """What an engine records that is given again what another was given whose events are *recorded*.

    Brokers answer what they answered then.
    """
    events = list(recorded)
    answers = answers_in(events)
    again = {name: in_place_of(type(each), answers) or each for name, each in plugins.items()}
    told: list[Event] = []
    engine = Engine(
        Host(_unwatched, {**again, "pager": Pager()}), told.append, Portfolio(ACCOUNT, INSTRUMENTS)
    )
    engine.start(STARTED)
    received = False
    for event in events:
        if isinstance(event, Finished):
            engine.finish(event.reason)
        else:
            repeat(engine, event, is_received=received)
        received = isinstance(event, Received)
    return told


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    return call


def told_in(store: sa.Engine, run: str) -> list[Event]:
    """What *run* recorded, without what is said about the reading."""
    return [event for event in read(store, run) if not isinstance(event, Received)]
