"""The one place where things are wired."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from nicegold import Account, Event, Instrument, Portfolio, Snapshot, Source, Started, parse_timeframe
from nicegold.engine import Engine
from nicegold.host import Enabled, Host, PluginRefused
from nicegold.sessions import SECOND
from nicegold_ops.config import Settings, build
from nicegold_ops.curve import Curve
from nicegold_ops.errors import ConfigurationError, DataError, PluginError
from nicegold_ops.fence import Fence, fence_of
from nicegold_ops.journal import Journal, Run, journal_path, open_journal
from nicegold_ops.liveness import Liveness
from nicegold_ops.pager import Pager
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.quarantine import Quarantine
from nicegold_ops.recovery import last_state, refuse_unsound
from nicegold_ops.replayed import Answers, in_place_of
from nicegold_ops.telemetry import Markets, Telemetry
from nicegold_ops.valuation import Valuation

#: Under this name the pager watches; a configured plugin cannot have it.
PAGER = "pager"
#: The modes in which an order leaves the run.
LEAVES = frozenset({"paper", "live"})
#: Seconds without a handled event after which the engine is not alive; slow paces and long bars get three.
_PATIENCE = 60.0


@dataclass(frozen=True)
class App:
    """Everything that one run is made of."""

    settings: Settings
    run: Run
    folder: Path
    host: Host
    engine: Engine
    portfolio: Portfolio
    store: sa.Engine
    journal: Journal
    telemetry: Telemetry
    quarantine: Quarantine
    curve: Curve
    valuation: Valuation
    pager: Pager | None
    liveness: Liveness
    sources: Mapping[str, Source]
    fence: Fence | None = None
    #: Where the last live run ended, and this one goes on.
    resumed: Snapshot | None = None

    @property
    def started(self) -> Started:
        """The first event of this run."""
        settings = self.settings
        return Started(
            version=version("nicegold"),
            seed=settings.run.seed,
            cash=settings.run.cash,
            currency=settings.run.currency,
            instruments=list(settings.instruments.values()),
            configuration=settings.text,
            sources=dict(self.sources),
        )

    def close(self) -> None:
        """Write what waits and let go of files and threads."""
        if self.pager is not None:
            self.pager.stop()
        try:
            self.journal.flush()
        finally:
            self.quarantine.close()
            self.telemetry.close()
            self.store.dispose()
            if self.fence is not None:
                self.fence.close()


def bootstrap(
    settings: Settings,
    run: Run,
    *,
    store: sa.Engine | None = None,
    answers: Answers | None = None,
    wall: Callable[[], int] = time.time_ns,
    monotonic: Callable[[], float] = time.monotonic,
) -> App:
    """Build everything that *settings* ask for. Nothing trades yet, nothing is recorded but the run.

    A *store* that is given is the app's from then on, also when this fails. With *answers*, brokers
    that reach a venue are replaced by ones that answer these. Raises
    ConfigurationError, PluginError or DataError that says what to mend.
    """
    leaves = run.mode in LEAVES
    pager = Pager() if leaves else None
    folder = settings.run.state / "runs" / run.run
    with ExitStack() as undo:
        if store is not None:
            undo.callback(store.dispose)
        telemetry = Telemetry(folder, run.run, wall=wall)
        undo.callback(telemetry.close)
        host = _host(settings, run, telemetry, pager, answers)
        sources = _sources(host)
        if store is None:
            store = open_journal(journal_of(settings), durable=leaves)
            undo.callback(store.dispose)
        fence = fence_of(store, settings.run.state) if run.mode == "live" else None
        if fence is not None:
            undo.callback(fence.close)
        again = _is_readable_again(host, sources)
        account = Account(settings.run.cash, settings.run.currency)
        resumed = _resumed(store, run, account, settings) if run.mode == "live" else None
        journal = _journal(store, run, telemetry, again, fence)
        undo.pop_all()
    portfolio = Portfolio(account, settings.instruments)
    telemetry.watch_portfolio(portfolio)
    telemetry.watch_read(journal.read)
    intervals = {} if again else _intervals(host, sources)
    patience = _patience(settings, intervals)
    telemetry.watch_markets(
        Markets(
            settings.instruments,
            wall,
            wall(),
            patience=patience,
            market=(lambda: portfolio.time) if again else None,
            intervals=intervals,
        )
    )
    if leaves:
        telemetry.measure_orders()
    curve = Curve(float(settings.run.cash), _day_of(settings.instruments))
    return App(
        settings=settings,
        run=run,
        folder=folder,
        host=host,
        engine=Engine(
            host,
            recorded(journal, telemetry),
            portfolio,
            cause=telemetry.cause,
            flatten=settings.run.on_halt == "flatten",
            read=journal.read,
        ),
        portfolio=portfolio,
        store=store,
        journal=journal,
        telemetry=telemetry,
        quarantine=Quarantine(folder / "quarantine", telemetry.count_defect),
        curve=curve,
        valuation=Valuation(portfolio, curve),
        pager=pager,
        liveness=Liveness(patience, monotonic, host.call("health")),
        sources=sources,
        fence=fence,
        resumed=resumed,
    )


def journal_of(settings: Settings) -> Path | str:
    """Where the journal is: a file in the state folder, or a database."""
    return settings.run.store or journal_path(settings.run.state)


def _resumed(store: sa.Engine, run: Run, account: Account, settings: Settings) -> Snapshot | None:
    """What a live run goes on from, of a record that is sound from its first run to its last."""
    refuse_unsound(store)
    return last_state(store, run, account, settings.instruments)


def _journal(
    store: sa.Engine, run: Run, telemetry: Telemetry, by_reference: bool, fence: Fence | None
) -> Journal:
    """With tables where somebody looks at the run while it goes on; others are made when they are wanted."""
    if run.mode not in LEAVES:
        return Journal(store, run, cause=telemetry.cause, durable=False, by_reference=by_reference)
    return ProjectedJournal(
        store,
        run,
        cause=telemetry.cause,
        durable=True,
        by_reference=by_reference,
        guard=None if fence is None else fence.check,
        wall=telemetry.wall,
    )


def _host(
    settings: Settings, run: Run, telemetry: Telemetry, pager: Pager | None, answers: Answers | None
) -> Host:
    plugins = _plugins(settings, pager)
    if answers is not None:
        plugins = {name: in_place_of(type(each), answers) or each for name, each in plugins.items()}
    try:
        host = Host(telemetry.observe, plugins)
    except PluginRefused as error:
        raise PluginError(str(error)) from None
    _refuse_unsafe(host, run)
    telemetry.describe(host.plugins)
    return host


def _plugins(settings: Settings, pager: Pager | None) -> dict[str, object]:
    plugins: dict[str, object] = dict(build(settings))
    if pager is not None:
        if PAGER in plugins:
            raise ConfigurationError(
                f"[plugins.{PAGER}]: this name is taken by nicegold's own; choose another"
            )
        plugins[PAGER] = pager
    return plugins


def _refuse_unsafe(host: Host, run: Run) -> None:
    needed = {"place_order": "no broker: add a plugin that takes orders, such as paper"}
    if run.mode == "live":
        needed["check_order"] = "no risk check: a live configuration needs one, such as max_position"
    for hook, missing in needed.items():
        if not host.implements(hook):
            raise ConfigurationError(f"{run.mode} has {missing}")
    if run.mode == "live":
        _refuse_unasked(host)
    if not host.implements("stream_market"):
        raise ConfigurationError(f"{run.mode} has no feed: add one, such as csv or simulated")


def _refuse_unasked(host: Host) -> None:
    """A venue that cannot be asked leaves an order in doubt for ever."""
    for name, each in host.plugins.items():
        for hook in ("fetch_statement", "find_order"):
            if "place_order" in each.hooks and hook not in each.hooks:
                raise ConfigurationError(
                    f"live has a broker whose venue cannot be asked: {name} has no {hook}; "
                    "use one that has, or run.mode=paper"
                )


def _sources(host: Host) -> dict[str, Source]:
    found = {}
    for reply in host.call("source")():
        if reply.error is not None:
            raise DataError(f"{reply.plugin}: {reply.error}")
        found[reply.plugin] = reply.value
    return found


def feeds(host: Host) -> list[Enabled]:
    """The enabled plugins that stream market data."""
    return [each for each in host.plugins.values() if "stream_market" in each.hooks]


def _is_readable_again(host: Host, sources: Mapping[str, Source]) -> bool:
    return all(feed.name in sources for feed in feeds(host))


def _intervals(host: Host, sources: Mapping[str, Source]) -> dict[str, float]:
    """By feed that lives, the seconds between two messages: a bar's length, or what patience allows."""
    alive = [feed for feed in feeds(host) if feed.name not in sources]
    return {feed.name: _length_of(feed.plugin) or _PATIENCE / 3.0 for feed in alive}


def _length_of(feed: object) -> float:
    """Seconds that the bars of *feed* last, by its timeframe; 0 where it has none."""
    text = getattr(feed, "timeframe", "")
    try:
        return parse_timeframe(text) / SECOND
    except (ValueError, TypeError):  # a setting of that name that means something else
        return 0.0


def _patience(settings: Settings, intervals: Mapping[str, float]) -> float:
    pace = float(settings.run.pace)
    return max(_PATIENCE, 3.0 / pace if pace else 0.0, 3.0 * min(intervals.values(), default=0.0))


def recorded(journal: Journal, telemetry: Telemetry) -> Callable[[Event], None]:
    """The record port: first where it cannot be lost, then counted."""
    record, count = journal.record, telemetry.count

    def both(event: Event) -> None:
        record(event)
        count(event)

    return both


def _day_of(instruments: Mapping[str, Instrument]) -> Callable[[int], int]:
    """The trading day of a sample, by the first instrument. At a day's very end it is of that day."""
    trading_day = next(iter(instruments.values())).sessions.trading_day
    return lambda time: trading_day(time - 1)
