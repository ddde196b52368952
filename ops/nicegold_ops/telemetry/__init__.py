"""The observe port: every call of every plugin, seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

import msgspec
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from nicegold import Event, Portfolio
from nicegold.host import Enabled
from nicegold.plugin import PROJECT
from nicegold_ops.telemetry.backlog import Backlog
from nicegold_ops.telemetry.books import Books
from nicegold_ops.telemetry.collector import Collector, Plugin
from nicegold_ops.telemetry.counts import LabelGuard
from nicegold_ops.telemetry.cycles import Cycles
from nicegold_ops.telemetry.events import UNKNOWN, EventCounters
from nicegold_ops.telemetry.feeds import Delivered, Feeds
from nicegold_ops.telemetry.flight import FILE, FlightRecorder
from nicegold_ops.telemetry.http import Liveness, Server
from nicegold_ops.telemetry.markets import Markets
from nicegold_ops.telemetry.notices import Notices
from nicegold_ops.telemetry.venues import Venues
from nicegold_ops.telemetry.watch import Watch
from nicegold_ops.trace import trace_id

if TYPE_CHECKING:
    from nicegold_ops.secrets import Secrets

__all__ = ["HookSummary", "Markets", "Telemetry"]


class HookSummary(msgspec.Struct, frozen=True):
    """One plugin's calls of one hook: how many, how many raised, and how long they took.

    *p50* and *p99* are seconds, read from a histogram whose bounds are at most 27 % apart, taking
    calls to be spread evenly between them; 0 when there was no call.
    """

    hook: str
    plugin: str
    calls: int
    errors: int
    p50: float
    p99: float


class Telemetry:
    """Everything that is seen of one run, from its flight recorder in *folder* to its metrics.

    *wall* tells ns UTC, *clock* s of a clock that never steps. Raises FlightError when the
    recorder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        *,
        wall: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        #: The journal's number of the input in hand; the engine writes it.
        self.cause = [0]
        #: Never the process's default one: two runs in a process must not meet.
        self.registry = CollectorRegistry()
        self.wall = wall
        self._run = run
        self._trading = 0
        self._recorder = FlightRecorder(folder / FILE, run, wall, clock)
        self._watch = Watch(self._recorder, self.cause, clock)
        guard = LabelGuard()
        self._feeds = Feeds(guard)
        self._events = EventCounters(guard, self._feeds.rejected, self._count_failed)
        self._backlog = Backlog(self._events.count)
        self._venues = Venues(guard, wall)
        self._notices = Notices(guard)
        self._collector = Collector(
            self._recorder,
            self._watch,
            self._events,
            self._feeds,
            self._venues,
            self._notices,
            guard,
            self._backlog.settle,
            wall,
        )
        self.registry.register(self._collector)
        ProcessCollector(registry=self.registry)
        self._server: Server | None = None
        #: The observe port.
        self.observe = self._watch.observe
        #: Counts an event that the engine tells. Never raises.
        self.count = self._backlog.take
        #: Counts an alert that was told: its severity, the seconds that it took, how many notifiers failed.
        self.notified = self._notices.take
        #: Counts that a broker was asked what its venue believes, and whether it answered.
        self.asked = self._venues.asked
        #: Gives the cells in which a feed's messages are counted, with the time that `wall` tells.
        self.feed_cells: Callable[[str], Delivered] = self._feeds.cells

    def cycles(self, *, every: int, budget: float) -> Cycles:
        """A reader of all calls from now on; see `Cycles`."""
        return Cycles(self._watch, self._recorder.utc, every=every, budget=budget)

    def watch_thread(self) -> None:
        """The thread that calls this is the one that trades."""
        self._trading = get_ident()

    def trace(self) -> str:
        """The trace of the cycle in hand; "" before the first, and on other threads than the trading one."""
        cause = self.cause[0]
        return trace_id(self._run, cause) if cause and get_ident() == self._trading else ""

    def kind_of(self, plugin: str) -> str:
        """What the *plugin* of that name is."""
        return self._collector.plugins.get(plugin, Plugin()).kind

    def watch_losses(self, losses: Mapping[tuple[str, str], Callable[[], int]]) -> None:
        """Show what was not kept, by signal and reason, at each scrape."""
        self._collector.losses.update(losses)

    def watch_exports(self, signal: str, exported: Callable[[], int]) -> None:
        """Show how much of *signal* arrived where it is sent."""
        self._collector.exports[signal] = exported

    def describe(self, plugins: Mapping[str, Enabled]) -> None:
        """Learn what the plugins are, before they trade: their kinds are labels."""
        versions = _versions()
        self._collector.plugins = {
            name: Plugin(each.kind, versions.get(_path_of(each.plugin), UNKNOWN))
            for name, each in plugins.items()
        }
        brokers = [name for name, each in plugins.items() if "place_order" in each.hooks]
        if len(brokers) == 1:
            self._events.broker = brokers[0]
        for name, each in plugins.items():
            if "check_order" in each.hooks:
                self._events.rejects.cell("risk", name)

    def watch_portfolio(self, portfolio: Portfolio) -> None:
        """Show *portfolio*'s figures at each scrape."""
        self._collector.books = Books(portfolio)
        self._venues.portfolio = portfolio

    def watch_markets(self, markets: Markets) -> None:
        """Show at each scrape which of the *markets* are open."""
        self._collector.markets = markets

    def watch_venues(self, brokers: Iterable[str]) -> None:
        """Show what becomes of asking these *brokers* what their venues believe."""
        self._venues.expect(brokers)

    def watch_notices(self, waiting: Callable[[], int], dropped: Callable[[], int]) -> None:
        """Show how many alerts wait for the notifiers, and how many found no room."""
        self._notices.waiting, self._notices.dropped = waiting, dropped

    def measure_orders(self) -> None:
        """Observe also how fast orders are accepted and how well they fill: where somebody scrapes."""
        self._events.measure_orders()

    def watch_secrets(self, secrets: Secrets) -> None:
        """Show at each scrape when what *secrets* have been lent ends."""
        self._collector.secrets = secrets

    def watch_read(self, read: Mapping[type[Event], list[int]]) -> None:
        """Show how many market events of each kind were *read*, besides those that are counted."""
        self._events.read = read

    def watch_queue(self, name: str, depth: Callable[[], int]) -> None:
        """Show how much waits in the queue *name* at each scrape."""
        self._collector.queues[name] = depth

    def watch_log(self, lost: Mapping[str, int]) -> None:
        """Show how many lines of the log are *lost*, by reason."""
        self.watch_losses({("log", reason): partial(lost.__getitem__, reason) for reason in lost})

    def beat(self, component: str) -> None:
        """*component* has completed a piece of its work."""
        self._collector.heartbeats[component] = self.wall()

    def count_defect(self, feed: str, kind: str) -> None:
        """*feed* has rejected market data; *kind* says what was wrong with them."""
        self._feeds.rejected.add(feed, kind)

    def notifier_failed(self, plugin: str, reason: str) -> None:
        """*plugin* could not tell a person; the *reason* is for the log, a metric has no room for it."""
        self._events.failures.add("notify", plugin)

    def journal_failed(self) -> None:
        """The journal could not be written."""
        self._collector.journal_failures += 1

    def summary(self) -> list[HookSummary]:
        """Each plugin's calls of each hook, in the order in which they were watched."""
        return [
            HookSummary(hook, plugin, total.calls, total.error, total.quantile(0.5), total.quantile(0.99))
            for (hook, plugin), total in self._collector.totals().items()
        ]

    def serve(self, host: str, port: int, liveness: Liveness) -> int:
        """Serve `/metrics` and `/healthz` until closed; answers the port, which is a free one for 0.

        Whoever can connect reads equity and positions: serve on loopback unless the network is
        trusted. Raises ConfigurationError when the address cannot be had.
        """
        self._server = Server(host, port, self.registry, liveness)
        return self._server.port

    def close(self) -> None:
        """Stop serving and let go of the recorder. What was counted can still be read."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._watch.close()
        self._recorder.close()

    def _count_failed(self) -> None:
        self._collector.errors["event"] += 1


def _versions() -> dict[str, str]:
    """The version of the distribution that brought each installed plugin, by its class's path."""
    return {entry.value: entry.dist.version for entry in entry_points(group=PROJECT) if entry.dist}


def _path_of(plugin: object) -> str:
    kind = type(plugin)
    return f"{kind.__module__}:{kind.__qualname__}"
