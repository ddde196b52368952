"""Folds everything that is known into Prometheus's form, when somebody asks and not before."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Base

from nicegold_ops.telemetry import metrics
from nicegold_ops.telemetry.books import Books
from nicegold_ops.telemetry.counts import LabelGuard
from nicegold_ops.telemetry.events import STATES, EventCounters
from nicegold_ops.telemetry.feeds import Feeds
from nicegold_ops.telemetry.flight import FlightRecorder
from nicegold_ops.telemetry.markets import Markets
from nicegold_ops.telemetry.metrics import Labels
from nicegold_ops.telemetry.notices import Notices
from nicegold_ops.telemetry.tally import BOUNDS, Totals
from nicegold_ops.telemetry.venues import Venues
from nicegold_ops.telemetry.waiting import Waiting
from nicegold_ops.telemetry.watch import OBJECTING, TRADING, Watch

if TYPE_CHECKING:
    from nicegold_ops.secrets import Secrets

#: ns; the histogram's bounds, each of which is one of the tally's.
DOCUMENTED = tuple(
    micros * 1000
    for micros in (
        *(25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000),
        *(100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000),
    )
)
_PLACES = tuple(BOUNDS.index(bound) + 1 for bound in DOCUMENTED)

Samples: TypeAlias = Iterable[tuple[Labels, float]]
#: By hook and plugin.
AllTotals: TypeAlias = dict[tuple[str, str], Totals]


class Plugin(msgspec.Struct, frozen=True):
    """What is known of a plugin besides its calls."""

    kind: str = "unknown"
    version: str = "unknown"


class Collector(Base):
    """Reads the parts of telemetry. None of them waits for it or knows of it."""

    def __init__(
        self,
        recorder: FlightRecorder,
        watch: Watch,
        events: EventCounters,
        feeds: Feeds,
        venues: Venues,
        notices: Notices,
        guard: LabelGuard,
        settle: Callable[[], None],
        wall: Callable[[], int],
    ) -> None:
        self.plugins: Mapping[str, Plugin] = {}
        self.books: Books | None = None
        self.secrets: Secrets | None = None
        self.markets: Markets | None = None
        self.journal_failures = 0
        self.queues: dict[str, Callable[[], int]] = {}
        self.heartbeats: dict[str, int] = {}
        #: By signal and reason, how much was not kept.
        self.losses: dict[tuple[str, str], Callable[[], int]] = {
            ("metric", "cardinality"): lambda: guard.overflow[0],
            ("log", "unwritable"): lambda: 0,
        }
        #: By signal, how much arrived elsewhere.
        self.exports: dict[str, Callable[[], int]] = {}
        self.errors = {"event": 0, "scrape": 0}
        self._recorder = recorder
        self._watch = watch
        self._events = events
        self._feeds = feeds
        self._venues = venues
        self._notices = notices
        self._settle = settle
        self._unanswered = Waiting(events.unanswered_orders, wall)

    def collect(self) -> Iterator[Family]:
        """All families. A part that fails is left out and counted; the others are still told."""
        self._settle()
        totals = self.totals()
        parts = (
            *(self._hooks, self._engine, self._feed, self._market, self._orders, self._books_of_venues),
            *(self._risk, self._money, self._told, self._secrecy, self._self),
        )
        for part in parts:
            try:
                yield from list(part(totals))
            except Exception:
                self.errors["scrape"] += 1

    def totals(self) -> AllTotals:
        """What the calls of each hook and plugin add up to; a plugin may have been watched twice."""
        totals: AllTotals = {}
        for each in list(self._watch.implementations):
            key = each.hook, each.plugin
            totals[key] = totals.get(key, Totals()) + each.totals()
        return totals

    def _hooks(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.HOOK_CALLS.family(
            ((hook, plugin, self._kind(plugin), outcome), count)
            for (hook, plugin), total in totals.items()
            for outcome, count in _outcomes(hook, total)
        )
        yield _durations(totals)
        yield metrics.HOOK_LAST_SUCCESS.family(
            (key, self._recorder.seconds(total.succeeded)) for key, total in totals.items()
        )
        yield metrics.PLUGIN_FAILURES.family(_with_zeros(self._events.failures.samples(), totals))
        yield metrics.PLUGIN_INFO.family(
            ((name, plugin.kind, plugin.version), 1) for name, plugin in self.plugins.items()
        )

    def _engine(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.ENGINE_STATE.family(((state,), state == self._events.state) for state in STATES)
        yield metrics.ENGINE_LAST_TICK.family([((), self._last_tick(totals))])
        yield metrics.ENGINE_EVENTS.family(self._events.told())
        yield metrics.ENGINE_QUEUE_DEPTH.family(
            ((name,), depth()) for name, depth in list(self.queues.items())
        )
        yield metrics.HEARTBEAT.family(((name,), beat / 1e9) for name, beat in list(self.heartbeats.items()))
        yield build_info()

    def _feed(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.FEED_MESSAGES.family(self._feeds.messages())
        yield metrics.FEED_LAST_MESSAGE.family(self._feeds.last())
        yield metrics.FEED_REJECTED.family(self._feeds.rejected.samples())

    def _market(self, totals: AllTotals) -> Iterator[Family]:
        if self.markets is not None:
            yield metrics.ENGINE_PATIENCE.family(self.markets.patience())
            yield metrics.FEED_INTERVAL.family(self.markets.intervals())
            yield metrics.MARKET_OPEN.family(self.markets.trading())
            yield metrics.MARKET_OPEN_SINCE.family(self.markets.open_since())

    def _orders(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.ORDERS.family(self._events.orders.samples())
        yield metrics.ORDER_REJECTS.family(self._events.rejects.samples())
        yield metrics.ORDERS_OPEN.family([((), self._events.open_orders)])
        yield metrics.ORDERS_UNKNOWN.family([((), self._events.unknown_orders)])

        yield metrics.ORDER_UNACKED_OLDEST.family([((), self._unanswered.oldest() / 1e9)])
        yield metrics.ORDER_ACK_DURATION.histogram(self._events.acks.buckets())
        yield metrics.ORDER_SLIPPAGE.histogram(self._events.slippage.buckets())

    def _books_of_venues(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.RECONCILIATION_RUNS.family(self._venues.runs.samples())
        yield metrics.RECONCILIATION_LAST_SUCCESS.family(self._venues.last())
        yield metrics.RECONCILIATION_AGREED.family(self._venues.agreed())
        yield metrics.RECONCILIATION_BREAKS.family(self._venues.breaks())

    def _risk(self, totals: AllTotals) -> Iterator[Family]:
        rules: dict[str, Totals] = {}
        for (hook, plugin), total in totals.items():
            if hook in OBJECTING:
                rules[plugin] = rules.get(plugin, Totals()) + total
        yield metrics.RISK_CHECKS.family(
            ((rule, outcome), count) for rule, total in rules.items() for outcome, count in _answers(total)
        )

    def _money(self, totals: AllTotals) -> Iterator[Family]:
        if self.books is not None:
            yield metrics.EQUITY.family(self.books.equity())
            yield metrics.DRAWDOWN.family(self.books.drawdown())
            yield metrics.MARGIN_USAGE.family(self.books.margin_usage())
            yield metrics.POSITION.family(self.books.positions())

    def _secrecy(self, totals: AllTotals) -> Iterator[Family]:
        yield from lent_to(self.secrets)

    def _told(self, totals: AllTotals) -> Iterator[Family]:
        yield metrics.NOTIFICATIONS.family(self._notices.told.samples())
        yield metrics.NOTIFICATION_LATENCY.histogram(self._notices.latency.buckets())
        yield metrics.NOTIFICATIONS_WAITING.family([((), self._notices.waiting())])
        yield metrics.NOTIFICATIONS_DROPPED.family([((), self._notices.dropped())])
        yield metrics.JOURNAL_FAILURES.family([((), self.journal_failures)])

    def _self(self, totals: AllTotals) -> Iterator[Family]:
        errors = {"call": self._watch.errors, **self.errors}
        yield metrics.TELEMETRY_ERRORS.family(((signal,), count) for signal, count in errors.items())
        yield metrics.TELEMETRY_DROPPED.family((key, lost()) for key, lost in list(self.losses.items()))
        yield metrics.TELEMETRY_EXPORTED.family(
            ((signal,), exported()) for signal, exported in list(self.exports.items())
        )

    def _kind(self, plugin: str) -> str:
        return self.plugins.get(plugin, Plugin()).kind

    def _last_tick(self, totals: AllTotals) -> float:
        ended = (total.ended for (hook, _), total in totals.items() if hook in TRADING)
        return self._recorder.seconds(max(ended, default=0))


def build_info() -> Family:
    """Which nicegold and which Python this is."""
    return metrics.BUILD_INFO.family([((_own_version(), platform.python_version()), 1)])


def lent_to(secrets: Secrets | None) -> Iterator[Family]:
    """Until when and for how long Vault has lent *secrets* something, and how old what they read is."""
    vault = secrets.vault if secrets else None
    ends, ttl = (vault.token_ends(), vault.token_ttl()) if vault else (None, None)
    yield metrics.VAULT_TOKEN_EXPIRY.family([] if ends is None else [((), ends)])
    yield metrics.VAULT_TOKEN_TTL.family([] if ttl is None else [((), ttl)])
    leases, ttls = (vault.lease_ends(), vault.lease_ttls()) if vault else ((), ())
    yield metrics.VAULT_LEASE_EXPIRY.family(((mount, role), end) for mount, role, end in leases)
    yield metrics.VAULT_LEASE_TTL.family(((mount, role), each) for mount, role, each in ttls)
    yield metrics.VAULT_RENEWALS.family((vault.renewals.copy() if vault else {}).items())
    created = dict(secrets.created) if secrets else {}
    yield metrics.SECRET_CREATED.family(((name,), time) for name, time in created.items())


def _outcomes(hook: str, total: Totals) -> list[tuple[str, int]]:
    """Calls by outcome. Only a check can object, so others have no such child."""
    return _answers(total) if hook in OBJECTING else [("success", total.success), ("error", total.error)]


def _answers(total: Totals) -> list[tuple[str, int]]:
    return [("success", total.success), ("vetoed", total.vetoed), ("error", total.error)]


def _durations(totals: AllTotals) -> Family:
    return metrics.HOOK_DURATION.histogram(
        (key, _cumulated(total.buckets), total.nanoseconds / 1e9) for key, total in totals.items()
    )


def _cumulated(buckets: tuple[int, ...]) -> list[tuple[str, float]]:
    """The tally's fine buckets as the documented ones, each with all that is below."""
    below = [(bound, sum(buckets[:place])) for bound, place in zip(DOCUMENTED, _PLACES, strict=True)]
    return [*((str(bound / 1e9), count) for bound, count in below), ("+Inf", sum(buckets))]


def _with_zeros(samples: Samples, keys: Iterable[Labels]) -> Samples:
    return {**dict.fromkeys(keys, 0.0), **dict(samples)}.items()


def _own_version() -> str:
    try:
        return version("nicegold")
    except PackageNotFoundError:
        return "unknown"
