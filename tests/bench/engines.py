"""This engine in the ways in which the bench runs it, from the objects in memory to the final equity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nicegold import Bar, Event, Fill, Instrument, Portfolio, Source, Started, hookimpl, plugin
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import unwatched
from nicegold_ops import session
from nicegold_ops.app import bootstrap, recorded
from nicegold_ops.calls import CallLog
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.journal import Journal, Run, open_journal, read
from nicegold_ops.telemetry import Telemetry
from nicegold_ops.witness import Witness
from nicegold_plugins.brokers.paper import Paper
from tests.bench.scenario import ACCOUNT, FEE, GOLD, Cross, Limit, Looker
from tests.bench.walk import scratch

Plugins = dict[str, object]
#: Seconds of a call above which its cycle is kept, as in a session.
BUDGET = 0.05


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to. *calls* is how many calls of plugins were watched."""

    fills: int
    equity: float
    calls: int = 0


def plugins(lookers: int = 0) -> Plugins:
    """The strategy, a risk check and a venue, and so many strategies that only look."""
    looking: Plugins = {f"looker{number}": Looker() for number in range(lookers)}
    return {"cross": Cross(name="cross"), "limit": Limit(), **looking, "venue": Paper(commission_rate=FEE)}


class Alone:
    """The engine alone: nobody watches, nothing is recorded."""

    def __call__(self, bars: Iterable[Bar]) -> Outcome:
        enabled = plugins()
        portfolio = fold(bars, Host(unwatched, enabled), _unrecorded, [0])
        return Outcome(portfolio.fills, portfolio.equity)


class Everything:
    """Journal on a real file and counters; with *watched*, every call of every plugin too.

    With *read*, a thread reads each call for the record and the traces, as in a session. *make* gives the
    plugins.
    """

    def __init__(
        self,
        *,
        watched: bool,
        read: bool = False,
        make: Callable[[], Plugins] = plugins,
        instruments: Iterable[Instrument] = (GOLD,),
    ) -> None:
        self._watched = watched
        self._read = read
        self._make = make
        self._instruments = tuple(instruments)

    def __call__(self, bars: Iterable[Bar]) -> Outcome:
        with scratch() as folder:
            return self.run(bars, Path(folder))

    def run(self, bars: Iterable[Bar], folder: Path) -> Outcome:
        """The same, leaving what was written in *folder*."""
        enabled = self._make()
        telemetry = Telemetry(folder, "bench")
        host = Host(telemetry.observe if self._watched else unwatched, enabled)
        store = open_journal(folder / "journal.sqlite", durable=False)
        journal = Journal(
            store, Run("bench", "backtest", 0), cause=telemetry.cause, durable=False, by_reference=True
        )
        telemetry.watch_read(journal.read)
        cycles = telemetry.cycles(every=1000, budget=BUDGET)
        witness = Witness(cycles, telemetry.cause, CallLog("bench"), budget=BUDGET)
        if self._read:
            witness.start()
        record = recorded(journal, telemetry, witness if self._read else None)
        portfolio = fold(bars, host, record, telemetry.cause, self._instruments, journal.read)
        journal.flush()
        witness.close()
        calls = sum(hook.calls for hook in telemetry.summary())
        telemetry.close()
        store.dispose()
        return Outcome(portfolio.fills, portfolio.equity, calls)


@plugin
class Walk:
    """A feed of the bars that *market* makes, which are in memory."""

    market: Callable[[], Iterator[Bar]]

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        return self.market()

    @hookimpl
    def source(self) -> Source:
        return Source("the bench's bars in memory", "none")


def backtest(bars: Callable[[], Iterator[Bar]], folder: Path) -> Outcome:
    """All of `nicegold backtest` but reading a configuration and drawing a report; *bars* makes them."""
    chosen: dict[str, tuple[type, dict[str, Any]]] = {
        "walk": (Walk, {"market": bars}),
        "cross": (Cross, {}),
        "limit": (Limit, {}),
        "venue": (Paper, {"commission_rate": FEE}),
    }
    settings = Settings(
        run=RunSettings(cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder),
        instruments={GOLD.symbol: GOLD},
        plugins=tuple(
            PluginSettings(name=name, use=name, values=values, place="", plugin=each)
            for name, (each, values) in chosen.items()
        ),
        text="",
    )
    app = bootstrap(settings, Run("bench", "backtest", 0))
    session.backtest(app)
    calls = sum(hook.calls for hook in app.telemetry.summary())
    app.close()
    return Outcome(app.portfolio.fills, app.curve.final, calls)


def fold(
    bars: Iterable[Bar],
    host: Host,
    record: Callable[[Event], None],
    cause: list[int],
    instruments: Iterable[Instrument] = (GOLD,),
    read: Mapping[type[Event], list[int]] | None = None,
) -> Portfolio:
    """The portfolio after *bars*, each taken to its end."""
    known = {instrument.symbol: instrument for instrument in instruments}
    engine = Engine(host, record, Portfolio(ACCOUNT, known), cause=cause, read=read)
    engine.start(
        Started(
            version="bench",
            seed=7,
            cash=ACCOUNT.cash,
            currency=ACCOUNT.currency,
            instruments=list(known.values()),
            configuration="",
            sources={},
        )
    )
    handle = engine.handle
    with session.without_old_garbage():
        for bar in bars:
            handle(bar, "bench")
    return engine.portfolio


def fills_on_journal(folder: Path) -> int:
    """Fills that the journal in *folder* holds."""
    store = open_journal(folder / "journal.sqlite")
    count = sum(isinstance(event, Fill) for event in read(store, "bench"))
    store.dispose()
    return count


def _unrecorded(event: Event) -> None:
    """The record port of an engine whose work nobody wants to keep."""
