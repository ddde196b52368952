"""The one place where things are wired."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec.structs import replace

from nicegold import Account, Event, Instrument, Portfolio, Snapshot, Source, Started, parse_timeframe
from nicegold.engine import Engine
from nicegold.host import Enabled, Failed, Host, PluginRefused
from nicegold.sessions import SECOND
from nicegold_ops.audit.keys import mac_keys_of
from nicegold_ops.calls import CallLog
from nicegold_ops.chain import MacKey
from nicegold_ops.config import Resolve, Settings, build
from nicegold_ops.credentials import WithPassword
from nicegold_ops.curve import Curve
from nicegold_ops.errors import ConfigurationError, DataError, PluginError
from nicegold_ops.fence import Fence, fence_of
from nicegold_ops.journal import LEAVES, Journal, Run, journal_path, open_journal
from nicegold_ops.liveness import Liveness
from nicegold_ops.pager import Pager
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.quarantine import Quarantine
from nicegold_ops.recovery import last_state, refuse_unsound
from nicegold_ops.replayed import Answers, in_place_of
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.store.place import Server, said_of
from nicegold_ops.telemetry import Markets, Telemetry
from nicegold_ops.telemetry.beside import BesideLog
from nicegold_ops.telemetry.settings import traces_installed
from nicegold_ops.telemetry.story import Story
from nicegold_ops.valuation import Valuation
from nicegold_ops.witness import Witness

if TYPE_CHECKING:
    from nicegold_ops.telemetry.errors import Errors
    from nicegold_ops.telemetry.tracer import Queue, Tracer

#: Under this name the pager watches; a configured plugin cannot have it.
PAGER = "pager"
#: Seconds without a handled event after which the engine is not alive; slow paces and long bars get three.
_PATIENCE = 60.0
#: Seconds of a call above which its cycle is on record, where nobody said otherwise.
_BUDGET = 0.05


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
    secrets: Secrets
    #: What its plugins were built with.
    resolve: Resolve
    fence: Fence | None = None
    #: Reads how plugins are called, in a session.
    witness: Witness | None = None
    #: Sends what goes wrong in a session, where it is asked for.
    errors: Errors | None = None
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
        if self.witness is not None:
            self.witness.close()
        try:
            self.journal.flush()
        finally:
            self.quarantine.close()
            self.telemetry.close()
            self.store.dispose()
            if self.fence is not None:
                self.fence.close()
            if self.errors is not None:
                self.errors.close()
            self.secrets.close()


def bootstrap(
    settings: Settings,
    run: Run,
    *,
    store: sa.Engine | None = None,
    answers: Answers | None = None,
    resolve: Resolve | None = None,
    wall: Callable[[], int] = time.time_ns,
    monotonic: Callable[[], float] = time.monotonic,
) -> App:
    """Build everything that *settings* ask for. Nothing trades yet, nothing is recorded but the run.

    A *store* that is given is the app's from then on, also when this fails. With *answers*, brokers
    that reach a venue are replaced by ones that answer these. *resolve* is where plugins get their secrets
    if not where the references lead. Raises ConfigurationError, PluginError, DataError or VaultFailed that
    says what to mend.
    """
    leaves = run.mode in LEAVES
    pager = Pager() if leaves else None
    folder = settings.run.state / "runs" / run.run
    with ExitStack() as undo:
        if store is not None:
            undo.callback(store.dispose)
        telemetry = Telemetry(folder, run.run, wall=wall)
        undo.callback(telemetry.close)
        secrets = Secrets(settings.vault, Local(os.environ))
        undo.callback(secrets.close)
        traces = _traces(settings, run, telemetry, secrets) if leaves else None
        if traces is not None:
            undo.callback(traces.close)
        resolve = resolve or (secrets.resolve if answers is None else secrets.resolve_if_there)
        errors = _errors(settings, run, telemetry, secrets) if leaves else None
        if errors is not None:
            undo.callback(errors.close)
        failed = None if errors is None else errors.failed
        host = _host(settings, run, telemetry, pager, answers, resolve, failed)
        sources = _sources(host)
        if store is None:
            store = open_journal(journal_of(settings, secrets), durable=leaves)
            undo.callback(store.dispose)
        fence = fence_of(store, settings.run.state) if run.mode == "live" else None
        if fence is not None:
            undo.callback(fence.close)
        again = _is_readable_again(host, sources)
        account = Account(settings.run.cash, settings.run.currency)
        resumed = _resumed(store, run, account, settings) if run.mode == "live" else None
        keys = mac_keys_of(settings.audit, secrets) if leaves else None
        key = None if keys is None else keys.newest(run.run)
        log = CallLog(run.run, key)
        witness = _witness(settings, run, telemetry, log, traces, errors, store) if leaves else None
        journal = _journal(store, run, telemetry, again, fence, log, key, witness)
        secrets.keep()
        undo.pop_all()
    portfolio = Portfolio(account, settings.instruments)
    telemetry.watch_portfolio(portfolio)
    telemetry.watch_read(journal.read)
    telemetry.watch_secrets(secrets)
    intervals = {} if again else _intervals(host, sources)
    patience = _patience(settings, intervals)
    market_time = (lambda: portfolio.time) if again else None
    telemetry.watch_markets(
        Markets(
            settings.instruments, wall, wall(), patience=patience, market=market_time, intervals=intervals
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
            recorded(journal, telemetry, witness),
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
        secrets=secrets,
        resolve=resolve,
        fence=fence,
        witness=witness,
        errors=errors,
        resumed=resumed,
    )


def journal_of(settings: Settings, secrets: Secrets) -> Path | Server | str:
    """Where the journal is: a file in the state folder, or a database and who lets us in.

    Raises what a secret cannot be had for.
    """
    run = settings.run
    if run.store is None:
        return journal_path(run.state)
    if run.store_role is not None:
        return Server(run.store, secrets.lent(run.store_role))
    if run.store_password is None:
        return run.store
    return Server(run.store, WithPassword(secrets.of("[run] store_password", run.store_password)))


def _resumed(store: sa.Engine, run: Run, account: Account, settings: Settings) -> Snapshot | None:
    """What a live run goes on from, of a record that is sound from its first run to its last."""
    refuse_unsound(store)
    return last_state(store, run, account, settings.instruments)


def _traces(settings: Settings, run: Run, telemetry: Telemetry, secrets: Secrets) -> Queue | None:
    """Where spans wait, from the first question to Vault on; its trace store's own key is one."""
    if settings.traces is None:
        return None
    # OpenTelemetry is imported where it is used.
    with traces_installed():
        from nicegold_ops.telemetry.spans import resource
        from nicegold_ops.telemetry.tracer import queue_to
    queue = queue_to(settings.traces, secrets, resource(run.run), telemetry.wall)
    telemetry.watch_exports("trace", lambda: queue.exported)
    telemetry.watch_losses(
        {("trace", reason): partial(queue.dropped.__getitem__, reason) for reason in queue.dropped}
    )
    return queue


def _errors(settings: Settings, run: Run, telemetry: Telemetry, secrets: Secrets) -> Errors | None:
    if settings.errors is None:
        return None
    # Sentry's SDK is imported where it is used.
    from nicegold_ops.telemetry.errors import errors_to

    errors = errors_to(
        settings.errors,
        secrets,
        tags={"run": run.run, "mode": run.mode},
        run=run.run,
        cause=telemetry.cause,
        kinds=telemetry.kind_of,
        trace=telemetry.trace,
    )
    telemetry.watch_exports("error", errors.exported)
    telemetry.watch_losses(
        {("error", reason): partial(_dropped, errors, reason) for reason in errors.dropped()}
    )
    errors.start()
    return errors


def _dropped(errors: Errors, reason: str) -> int:
    return errors.dropped()[reason]


def _witness(
    settings: Settings,
    run: Run,
    telemetry: Telemetry,
    log: CallLog,
    traces: Queue | None,
    errors: Errors | None,
    store: sa.Engine,
) -> Witness:
    """Nobody asked for traces: then it keeps what goes on record."""
    tracer = None if traces is None else _tracer(run, telemetry, traces, store)
    asked = settings.traces
    budget = _BUDGET if asked is None else asked.budget
    cycles = telemetry.cycles(every=0 if asked is None else asked.every, budget=budget)
    witness = Witness(
        cycles,
        telemetry.cause,
        log,
        budget=budget,
        tracer=tracer,
        errors=errors,
        beside=None if tracer is None else BesideLog(telemetry.cause),
        story=Story(run.run),
    )
    telemetry.watch_losses(
        {
            ("call", "overwritten"): lambda: cycles.missed,
            ("call", "unwritten"): lambda: log.dropped,
            ("event", "unheard"): lambda: witness.unheard,
            ("cycle", "failed"): lambda: witness.failed,
        }
    )
    return witness


def _tracer(run: Run, telemetry: Telemetry, queue: Queue, store: sa.Engine) -> Tracer:
    from nicegold_ops.telemetry.spans import Spans
    from nicegold_ops.telemetry.tracer import Tracer

    return Tracer(Spans(run.run, run.mode, telemetry.kind_of, telemetry.wall, said_of(store)), queue)


def _journal(
    store: sa.Engine,
    run: Run,
    telemetry: Telemetry,
    by_reference: bool,
    fence: Fence | None,
    log: CallLog,
    key: MacKey | None,
    witness: Witness | None,
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
        calls=log,
        key=key,
        committed=None if witness is None or witness.beside is None else witness.beside.committed,
    )


def _host(
    settings: Settings,
    run: Run,
    telemetry: Telemetry,
    pager: Pager | None,
    answers: Answers | None,
    resolve: Resolve,
    failed: Failed | None,
) -> Host:
    plugins = _plugins(settings, pager, answers, resolve)
    try:
        host = Host(telemetry.observe, plugins, failed=failed)
    except PluginRefused as error:
        raise PluginError(str(error)) from None
    _refuse_unsafe(host, run)
    telemetry.describe(host.plugins)
    return host


def _plugins(
    settings: Settings, pager: Pager | None, answers: Answers | None, resolve: Resolve
) -> dict[str, object]:
    stand_ins = _stand_ins(settings, answers)
    # A broker that is replaced is not built: a replay needs none of its secrets.
    needed = tuple(each for each in settings.plugins if each.name not in stand_ins)
    built = {**build(replace(settings, plugins=needed), resolve), **stand_ins}
    plugins = {each.name: built[each.name] for each in settings.plugins}
    if pager is not None:
        if PAGER in plugins:
            raise ConfigurationError(
                f"[plugins.{PAGER}]: this name is taken by nicegold's own; choose another"
            )
        plugins[PAGER] = pager
    return plugins


def _stand_ins(settings: Settings, answers: Answers | None) -> dict[str, object]:
    """By name, what answers in a replay for brokers that reach a venue."""
    if answers is None:
        return {}
    found = {each.name: in_place_of(each.plugin, answers) for each in settings.plugins}
    return {name: each for name, each in found.items() if each is not None}


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


def recorded(
    journal: Journal, telemetry: Telemetry, witness: Witness | None = None
) -> Callable[[Event], None]:
    """The record port: first where it cannot be lost, then counted, and heard where somebody listens."""
    record, count = journal.record, telemetry.count

    def both(event: Event) -> None:
        record(event)
        count(event)

    if witness is None:
        return both
    hear = witness.hear

    def all_three(event: Event) -> None:
        both(event)
        hear(event)

    return all_three


def _day_of(instruments: Mapping[str, Instrument]) -> Callable[[int], int]:
    """The trading day of a sample, by the first instrument. At a day's very end it is of that day."""
    trading_day = next(iter(instruments.values())).sessions.trading_day
    return lambda time: trading_day(time - 1)
