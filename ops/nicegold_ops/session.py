"""One run of the engine, from its first event to its last: in a backtest, on paper, or again.

The engine is the same; what differs is who hands it the market. A backtest reads the feeds on its
own thread, a paper session gets them from threads of theirs, a replay takes them where the
journal says that they came.
"""

from __future__ import annotations

import gc
import heapq
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Final, TypeAlias, get_args

import msgspec

from nicegold import (
    Alert,
    Bar,
    Event,
    Execution,
    Finished,
    HaltLifted,
    Market,
    PluginFailed,
    Quote,
    Refused,
    Statement,
)
from nicegold.answers import Reply, shown
from nicegold_ops import replayed
from nicegold_ops.app import App
from nicegold_ops.errors import DataError, PluginError
from nicegold_ops.fence import Fenced
from nicegold_ops.journal import LEAVES, MarketRead, Received
from nicegold_ops.period import within
from nicegold_ops.reconciler import Reconciler
from nicegold_ops.recovery import SNAPSHOT_EVERY
from nicegold_ops.store.place import StoreFailed
from nicegold_ops.vault.vault import Severity

#: What came, and from which plugin.
Inbound: TypeAlias = tuple[Event | Statement, str]
#: The same in the inbox, with the time at which it was put there (ns UTC).
Waiting: TypeAlias = tuple[Event | Statement, str, int]
#: Told now and then how far the run is: market events, and the time of the last (ns UTC).
Progress: TypeAlias = Callable[[int, int], None]

_EXECUTIONS: Final = get_args(Execution)
_INBOX = 10_000
_PROGRESS_EVERY = 5_000
#: A paper session writes what waits when the market is silent for this long.
_IDLE_SECONDS = 0.25
#: And while the market goes on, ns after the last time; an order does not wait for that.
_WRITE_EVERY = 1_000_000_000


class Outcome(msgspec.Struct, frozen=True):
    """How a run went: market events handled, seconds of real time, and why it ended."""

    events: int
    seconds: float
    ended: str


class StreamFailed(DataError):
    """What a plugin streams has ended in an error; says whose and which."""

    def __init__(self, plugin: str, reason: str, hook: str = "stream_market") -> None:
        super().__init__(f"{plugin} failed while reading: {reason}")
        self.plugin = plugin
        self.hook = hook
        self.reason = reason


class _Unfit:
    """What a plugin yielded that it may not, in words: a feed no fill, a broker no price.

    The engine refuses it as it refuses what is no input at all. It takes its place among *time*'s events.
    """

    def __init__(self, words: str, time: int = 0) -> None:
        self.words = words
        self.time = time

    def __repr__(self) -> str:
        return self.words


def _unfit(told: object, time: int = 0) -> Any:
    return _Unfit(shown(told), time)


def nobody(events: int, market_time: int) -> None:
    """Progress that is not shown."""


def backtest(
    app: App,
    *,
    progress: Progress = nobody,
    stop: threading.Event | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Run *app* on all that its feeds have, as fast as it goes.

    Raises DataError or PluginError when a plugin does not start or a feed fails on the way; what
    was handled until then is on the journal.
    """
    began = timer()
    _start(app)
    events, ended = 0, "the feeds ended"
    handle, value = app.engine.handle, app.valuation.take
    try:
        with without_old_garbage():
            for market, feed in market_of(app):
                if handle(market, feed):
                    value(market)
                events += 1
                if events % _PROGRESS_EVERY == 0:
                    progress(events, market.time)
                    if stop is not None and stop.is_set():
                        ended = "stopped"
                        break
    except StreamFailed as failure:
        _end(app, str(failure))
        raise
    _end(app, ended)
    return Outcome(events, timer() - began, ended)


@contextmanager
def without_old_garbage() -> Iterator[None]:
    """Leave what was built before a run out of its garbage collections, which it makes slow."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def paper(
    app: App,
    *,
    stop: threading.Event,
    lift_halt: str | None = None,
    adopt: str | None = None,
    progress: Progress = nobody,
    timer: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Run *app* on what its feeds and brokers send, until they end or *stop* is set.

    *lift_halt* says why new risk may be taken again where the last live run was halted, *adopt* why the
    venue is right about what differs when our books and its are first compared.
    """
    began = timer()
    app.telemetry.watch_thread()
    if app.witness is not None:
        app.witness.start()
    _start(app)
    if app.resumed is not None:
        app.engine.handle(app.resumed)
    if lift_halt and app.portfolio.halted:
        app.engine.handle(HaltLifted(reason=lift_halt, time=app.portfolio.time))
    if adopt:
        app.engine.adopt(adopt)
    if app.pager is not None:
        app.telemetry.watch_notices(app.pager.waiting, app.pager.lost)
        app.pager.start(app.host.call("notify"), app.telemetry.notifier_failed, app.telemetry.notified)
    inbox: queue.Queue[Waiting | StreamFailed | None] = queue.Queue(_INBOX)
    app.telemetry.watch_queue("inbox", inbox.qsize)
    _mind_secrets(app, inbox, stop)
    producers = _produce(app, inbox, stop)
    _ask_venues(app, inbox, stop)
    try:
        events, ended = _consume(app, inbox, producers, stop, progress)
    except StoreFailed as failure:
        _withdraw(app, failure)
        raise
    finally:
        stop.set()
    _end(app, ended)
    return Outcome(events, timer() - began, ended)


def replay(
    app: App,
    recorded: Iterable[Event],
    *,
    progress: Progress = nobody,
    timer: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Hand *app* again what a run was handed, in its order; what follows should be the same.

    Raises DataError when the sources do not have what the journal says was read.
    """
    began = timer()
    _start(app)
    market = market_of(app)
    events, ended, received = 0, "the record ends here", False
    for event in recorded:
        match event:
            case MarketRead():
                for _ in range(event.events):
                    _handle_next(app, market)
                events += event.events
                progress(events, event.time)
            case Bar() | Quote():
                _handle(app, event, "")
                events += 1
            case Refused() if app.journal.by_reference:
                _handle_next(app, market)
            case Finished():
                ended = event.reason
            case _:
                replayed.repeat(app.engine, event, is_received=received)
        received = isinstance(event, Received)
    _end(app, ended)
    return Outcome(events, timer() - began, ended)


def _handle_next(app: App, market: Iterator[tuple[Market, str]]) -> None:
    again = next(market, None)
    if again is None:
        raise DataError("the sources end before the record does; they have changed since")
    _handle(app, *again)


def market_of(app: App) -> Iterator[tuple[Market, str]]:
    """What the feeds yield, merged by time, with the feed's name. Raises StreamFailed."""
    streams = [_named(app, name, stream) for name, stream in _streams(app)]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=_time_of)


# How a run begins and ends.


def _start(app: App) -> None:
    failures = app.engine.start(app.started)
    if failures:
        _close_unstarted(app)
        raise _refusal(app, failures[0])


def _close_unstarted(app: App) -> None:
    app.engine.finish("a plugin did not start")
    app.journal.flush()


def _refusal(app: App, failure: Reply) -> DataError | PluginError:
    """What a failed startup means: a feed's is about its data, any other's about the plugin."""
    detail = str(failure.error)
    text = detail if detail.startswith(failure.plugin) else f"{failure.plugin}: {detail}"
    if app.host.plugins[failure.plugin].kind == "feed" and isinstance(failure.error, OSError | ValueError):
        return DataError(text)
    return PluginError(f"{failure.plugin} did not start: {failure.reason}")


def _handle(app: App, market: Market, feed: str) -> None:
    if app.engine.handle(market, feed):
        app.valuation.take(market)


def _end(app: App, reason: str) -> None:
    app.engine.finish(reason)
    if app.witness is not None:
        app.witness.close()
    app.journal.flush()
    app.valuation.settle()


# The feeds.


def _streams(app: App) -> Iterator[tuple[str, Iterator[Market]]]:
    for feed, call in app.host.each("stream_market").items():
        for reply in call(app.settings.instruments, app.quarantine.of(feed)):
            if reply.error is not None:
                raise StreamFailed(feed, reply.reason)
            yield feed, within(app.settings.run, reply.value)


def _named(app: App, feed: str, stream: Iterator[Market]) -> Iterator[tuple[Market, str]]:
    """Each event of *stream* with the name of its feed, counted; a failure becomes a StreamFailed."""
    delivered, wall = app.telemetry.feed_cells(feed), app.telemetry.wall
    # In a backtest the time of reading says nothing, and a clock on every bar's way costs.
    is_live = app.run.mode in LEAVES
    try:
        for market in stream:
            cell = delivered.get(type(market))
            if cell is None:
                yield _unfit(market, app.portfolio.time), feed
                continue
            cell[0] += 1
            if is_live:
                cell[1] = wall()
            yield market, feed
    except GeneratorExit:
        raise
    except BaseException as error:  # a feed that exits has failed too
        raise StreamFailed(feed, f"{type(error).__name__}: {error}") from error


def _time_of(inbound: tuple[Any, str]) -> int:
    time = inbound[0].time
    # The engine says what is wrong with it.
    return time if type(time) is int else 0


# Threads, in a paper session.


def _produce(app: App, inbox: queue.Queue[Any], stop: threading.Event) -> int:
    """Start a thread for the feeds that can be merged, one for each other stream; answers how many."""
    again: list[tuple[str, Iterator[Inbound]]] = []
    alive: list[tuple[str, Iterator[Inbound]]] = []
    for feed, stream in _streams(app):
        named = _named(app, feed, stream)
        (again if feed in app.sources else alive).append((feed, named))
    works: list[tuple[str, Iterator[Inbound]]] = list(alive)
    if again:
        merged = heapq.merge(*(named for _, named in again), key=_time_of)
        works.append(("feeds", _paced(app, merged, stop)))
    works += _executions(app)
    for plugin, work in works:
        threading.Thread(
            target=_put_all, args=(plugin, work, inbox, stop, app.telemetry.wall), daemon=True
        ).start()
    return len(works)


def _ask_venues(app: App, inbox: queue.Queue[Any], stop: threading.Event) -> None:
    """Compare our books with the venues' on a thread of its own, where any broker can."""
    fetch = app.host.each("fetch_statement")
    if not fetch:
        return
    app.telemetry.watch_venues(fetch)
    reconciler = Reconciler(
        fetch,
        app.host.each("find_order"),
        lambda event, broker: _put(inbox, (event, broker, app.telemetry.wall()), stop),
        app.portfolio,
        lambda: app.engine.sequence,
        since=app.portfolio.time or app.run.started_at,
        wall=app.telemetry.wall,
        tolerance=app.settings.run.clock_tolerance,
        told=app.telemetry.asked,
    )
    threading.Thread(target=reconciler.run, args=(stop,), name="reconciler", daemon=True).start()


def _mind_secrets(app: App, inbox: queue.Queue[Any], stop: threading.Event) -> None:
    """Tell a person when Vault fails, and take no new risk when what it has lent has ended."""
    vault = app.secrets.vault
    if vault is None:
        return

    def tell(severity: Severity, title: str, text: str) -> None:
        if app.pager is not None:
            app.pager.alarm(Alert(severity, title, text, app.portfolio.time))

    def lost(reason: str) -> None:
        failure = PluginFailed(plugin="vault", hook="lease", error=reason, time=app.portfolio.time)
        _put(inbox, (failure, "vault", app.telemetry.wall()), stop)

    vault.watch(tell, lost)


def _executions(app: App) -> Iterator[tuple[str, Iterator[Inbound]]]:
    for reply in app.host.call("stream_executions")():
        if reply.error is not None:
            raise PluginError(f"{reply.plugin}.stream_executions {reply.reason}")
        told = (each if type(each) in _EXECUTIONS else _unfit(each) for each in reply.value)
        yield reply.plugin, zip(told, repeat(reply.plugin))


def _paced(app: App, market: Iterator[Inbound], stop: threading.Event) -> Iterator[Inbound]:
    """*market* at the configured number of events a second; as fast as it comes for 0."""
    pace = float(app.settings.run.pace)
    for inbound in market:
        yield inbound
        if pace and stop.wait(1.0 / pace):
            return


def _put_all(
    plugin: str,
    work: Iterator[Inbound],
    inbox: queue.Queue[Any],
    stop: threading.Event,
    wall: Callable[[], int],
) -> None:
    last: StreamFailed | None = None
    try:
        for inbound in work:
            if not _put(inbox, (*inbound, wall()), stop):
                return
    except StreamFailed as failure:
        last = failure
    except BaseException as error:  # a broker's stream that raises or exits
        last = StreamFailed(plugin, f"{type(error).__name__}: {error}", "stream_executions")
    _put(inbox, last, stop)


def _put(inbox: queue.Queue[Any], item: Waiting | StreamFailed | None, stop: threading.Event) -> bool:
    """Wait for room, unless the session stops."""
    while not stop.is_set():
        try:
            inbox.put(item, timeout=_IDLE_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def _consume(
    app: App, inbox: queue.Queue[Any], producers: int, stop: threading.Event, progress: Progress
) -> tuple[int, str]:
    events, recorded, written = 0, app.engine.sequence, app.telemetry.wall()
    while producers and not stop.is_set():
        try:
            item = inbox.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            if app.witness is not None:
                app.witness.rest()
            app.journal.flush()
            continue
        match item:
            case None:
                producers -= 1
            case StreamFailed():
                producers -= 1
                _report(app, item)
            case (Bar() | Quote()) as market, feed, since:
                _handle(app, market, feed)
                _note(app, feed, since)
                app.liveness.worked()
                app.telemetry.beat("engine")
                events += 1
                progress(events, market.time)
            case execution, broker, since:
                app.engine.handle(execution, broker)
                _note(app, broker, since)
        if abs(app.telemetry.wall() - written) >= _WRITE_EVERY:
            app.journal.flush()
            written = app.telemetry.wall()
        if app.run.mode == "live" and app.engine.sequence - recorded >= SNAPSHOT_EVERY:
            app.engine.snapshot()
            recorded = app.engine.sequence
    return events, "stopped" if stop.is_set() else "the feeds ended"


def _note(app: App, source: str, since: int) -> None:
    """The input that was just handled came from *source* at *since*."""
    if app.witness is not None and app.witness.beside is not None:
        app.witness.beside.received(source, since)


def _withdraw(app: App, failure: StoreFailed) -> None:
    """Nothing can be written any more: tell a person, and take back what adds risk if it is ours still."""
    app.telemetry.journal_failed()
    if app.pager is not None:
        app.pager.alarm(Alert("critical", "Journal failed", str(failure), app.portfolio.time))
    if not isinstance(failure, Fenced):
        app.engine.withdraw()


def _report(app: App, failure: StreamFailed) -> None:
    app.engine.handle(
        PluginFailed(plugin=failure.plugin, hook=failure.hook, error=failure.reason, time=app.portfolio.time)
    )
