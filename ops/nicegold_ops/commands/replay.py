"""`nicegold replay`: a run again from what is on record, compared event by event."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from rich.console import RenderableType

from nicegold import Adopted, Event, Finished, Started
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, facts, money, progress
from nicegold_ops.commands._runs import aside, base_of, journal_at
from nicegold_ops.config import parse
from nicegold_ops.errors import DataError
from nicegold_ops.journal import MarketRead, Received, Run, all_runs, find_run, open_journal, read
from nicegold_ops.replayed import answers_in
from nicegold_ops.report.result import OpenPosition, result_of


class Difference(msgspec.Struct, frozen=True):
    """The first event, by its number in the run, that is not the same again."""

    sequence: int
    recorded: Event | None
    repeated: Event | None


class Repetition(msgspec.Struct, frozen=True):
    """How a run went when it was repeated, and what it comes to.

    *finished* says whether the run ended on purpose; one that was killed is repeated up to its
    last record. *version* is the nicegold that recorded it, *adopted* what it took from the venue's books.
    """

    run: str
    identical: bool
    difference: Difference | None
    events: int
    finished: bool
    version: str
    positions: list[OpenPosition]
    cash: str
    final_equity: float
    currency: str
    fingerprint: str
    adopted: list[Adopted]


@click.command()
@click.argument("run", required=False)
@config_option
@state_option
@json_option
def command(run: str | None, config: Path, state: Path | None, json_to: Path | None) -> int:
    """Repeat a run from the journal and compare.

    RUN is a run's id, the last one if not said. Exits with 1 at the first event that differs. A run
    that was killed is repeated up to its last record.
    """
    folder, store = journal_at(config, state)
    try:
        found = find_run(store, run or _last_recorded(store))
        repetition = _repeat(store, found, folder)
    finally:
        store.dispose()
    answer(repetition, json_to, *_shown(repetition))
    return 0 if repetition.identical else 1


def _last_recorded(store: sa.Engine) -> str | None:
    """The last run that got as far as to record something."""
    names = [each.run for each in reversed(all_runs(store))]
    return next((name for name in names if next(read(store, name), None) is not None), None)


def _repeat(store: sa.Engine, run: Run, state: Path) -> Repetition:
    started = next(read(store, run.run), None)
    if not isinstance(started, Started):
        raise DataError(f"run {run.run} has nothing on record; it ended before it began")
    # The paths in a configuration are seen from its folder, and the state folder is one of them.
    place = base_of(started.configuration, state) / f"configuration of {run.run}"
    with aside(parse(started.configuration, place)) as settings:
        again = Run(f"{run.run} again", "replay", run.started_at)
        answers = answers_in(read(store, run.run))
        app = bootstrap(settings, again, store=open_journal(None), answers=answers)
        try:
            _refuse_changed_sources(started, app)
            return _compared(store, run.run, started, app)
        finally:
            app.close()


def _refuse_changed_sources(started: Started, app: App) -> None:
    for feed, source in started.sources.items():
        now = app.sources.get(feed)
        if now is None or now.digest != source.digest:
            raise DataError(
                f"{source.location} has changed since the run, or {feed} reads it differently: "
                f"its digest was {source.digest}, now {now.digest if now else 'none'}; put back what was read"
            )


def _compared(store: sa.Engine, run: str, started: Started, app: App) -> Repetition:
    with progress(f"replay of {run}") as shown:
        outcome = session.replay(app, read(store, run), progress=shown)
    told = [event for event in read(store, run) if isinstance(event, Adopted | Finished)]
    finished = any(isinstance(event, Finished) for event in told)
    difference = first_difference(read(store, run), read(app.store, app.run.run), finished=finished)
    result = result_of(app, outcome)
    return Repetition(
        run=run,
        identical=difference is None,
        difference=difference,
        events=app.engine.sequence,
        finished=finished,
        version=started.version,
        positions=result.positions,
        cash=str(app.portfolio.cash),
        final_equity=result.final_equity,
        currency=result.currency,
        fingerprint=result.fingerprint,
        adopted=[event for event in told if isinstance(event, Adopted)],
    )


def first_difference(
    recorded: Iterable[Event], repeated: Iterable[Event], *, finished: bool
) -> Difference | None:
    """Where *repeated* is not byte for byte what was *recorded*.

    Of a run that was not *finished* the record just ends: what comes after is no difference. The
    version that recorded is none either.
    """
    encode = msgspec.json.Encoder().encode
    sequence = 1
    for before, again in zip_longest(recorded, repeated):
        if before is None and not finished:
            return None
        if encode(_comparable(before)) != encode(_comparable(again)):
            return Difference(sequence, before, again)
        sequence += _numbers(before)
    return None


def _comparable(event: Event | None) -> Event | None:
    # The configuration is what is repeated; a later version writes it with the settings that are new.
    return replace(event, version="", configuration="") if isinstance(event, Started) else event


def _numbers(event: Event | None) -> int:
    """How many numbers of the run *event* takes."""
    match event:
        case MarketRead():
            return event.events
        case Received():
            return 0
        case _:
            return 1


def _shown(again: Repetition) -> list[RenderableType]:
    portfolio = facts(
        ("run", again.run if again.finished else f"{again.run}, which was cut off: up to its last record"),
        ("events", f"{again.events:,}"),
        *(
            ("open", f"{each.quantity} {each.symbol} from {each.average_price:.2f}")
            for each in again.positions
        ),
        *(
            ("adopted", f"{each.kind} {each.about}: {each.ours} became {each.theirs}, {each.reason}")
            for each in again.adopted
        ),
        ("cash", money(Decimal(again.cash), again.currency)),
        ("equity", money(again.final_equity, again.currency)),
        ("fingerprint", again.fingerprint),
    )
    found = again.difference
    if found is None:
        return [portfolio, "identical: every event is the same, byte for byte"]
    return [
        portfolio,
        f"event {found.sequence:,} differs",
        f"  recorded: {_words(found.recorded)}",
        f"  repeated: {_words(found.repeated)}",
    ]


def _words(event: Event | None) -> str:
    return msgspec.json.encode(event).decode() if event is not None else "nothing"
