"""`nicegold run`: a paper session, or a live one, until it is told to stop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from nicegold_ops import session
from nicegold_ops.app import App
from nicegold_ops.approval import refuse_unapproved
from nicegold_ops.commands._finish import finish
from nicegold_ops.commands._logs import logged
from nicegold_ops.commands._options import STDOUT, config_option, json_option, report_option, set_option
from nicegold_ops.commands._output import console
from nicegold_ops.commands._people import login_name
from nicegold_ops.commands._runs import REPORT, begin, claim, folder_of
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.commands._view import View, shown, watched
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.people import people_of
from nicegold_ops.report.market import market_again
from nicegold_ops.report.page import refuse_without_bokeh
from nicegold_ops.report.result import Result, result_of
from nicegold_ops.telemetry.logs import logger

_log = logger("run")
#: What to type instead, for the modes that are no session.
_INSTEAD = {
    "backtest": "use `nicegold backtest`, or --set run.mode=paper",
    "replay": "use `nicegold replay`",
}


@click.command()
@config_option
@set_option
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), metavar="N", help="End after so many seconds."
)
@click.option("--lift-halt", metavar="WHY", help="Trade again although the last live run was halted.")
@click.option(
    "--adopt",
    metavar="WHY",
    help="Make ours what the venue has, where our books and its differ at the start. An order that works "
    "only there stays a difference until it is cancelled there.",
)
@click.option(
    "--by",
    metavar="NAME",
    help="Who lifts a halt or adopts, if it is not who is logged in; it goes on record.",
)
@json_option
@report_option
def command(
    config: Path,
    overrides: tuple[str, ...],
    seconds: float | None,
    lift_halt: str | None,
    adopt: str | None,
    by: str | None,
    json_to: Path | None,
    report_to: Path | None,
) -> None:
    """Trade on paper, or live, until Ctrl-C or the feeds' end.

    A second Ctrl-C ends the process at once. The report is written beside the result if not elsewhere.
    """
    if report_to is not None:
        refuse_without_bokeh()
    settings = load(config, overrides)
    _refuse_other_modes(settings)
    if settings.run.mode == "live":
        refuse_unapproved(settings)
    begun = claim(settings, settings.run.mode, time.time_ns())
    folder = folder_of(settings.run.state, begun.run)
    out = console(quiet=json_to == STDOUT)
    stream = None if out.is_terminal else sys.stderr
    with logged(folder, settings.run, stream) as logs, stop_on_signals() as stop:
        app = begin(watched(settings), begun)
        app.telemetry.watch_log(logs.lost)
        logs.trace = app.telemetry.trace
        said = {"halt.lifted": lift_halt, "venue.adopted": adopt}
        with _closed(app):
            _record(app, by, said)
            result = _traded(app, seconds, stop, out, lift_halt=lift_halt, adopt=adopt)
    finish(result, folder, json_to=json_to, report_to=report_to or _page_in(folder))


def _page_in(folder: Path) -> Path | None:
    """Where the report goes that nobody asked for; nowhere without the extra that draws it."""
    return folder / REPORT if find_spec("bokeh") else None


def _traded(
    app: App,
    seconds: float | None,
    stop: threading.Event,
    out: Console,
    *,
    lift_halt: str | None,
    adopt: str | None,
) -> Result:
    run = app.settings.run
    port = app.telemetry.serve(run.metrics_host, run.metrics_port, app.liveness)
    url = f"http://{run.metrics_host}:{port}/metrics"
    out.print(f"run {app.run.run}, metrics at {url}", soft_wrap=True)
    said = {"nicegold.run.id": app.run.run, "nicegold.engine.mode": app.run.mode}
    _log.info("the run begins", **{"event.action": "engine.started", **said})
    with _ended_after(seconds, stop), shown(View(app, url), out):
        outcome = session.paper(app, stop=stop, lift_halt=lift_halt, adopt=adopt)
    ended = {"event.action": "engine.finished", "event.reason": outcome.ended}
    _log.info(f"the run has ended: {outcome.ended}", **ended, **said)
    return result_of(app, outcome, market_again(app))


@contextmanager
def _closed(app: App) -> Iterator[None]:
    """*app* is closed in the end, and what it breaks on is told where errors are sent."""
    try:
        yield
    except Exception as error:
        if app.errors is not None:
            app.errors.crashed(error)
        raise
    finally:
        app.close()


def _record(app: App, by: str | None, said: Mapping[str, str | None]) -> None:
    """Who has *said* why, before anything is done."""
    deeds = {action: why for action, why in said.items() if why}
    if deeds:
        people = people_of(app.settings, app.secrets, app.store)
        name = by or login_name()
        for action, why in deeds.items():
            people.did(name, action, reason=why, run=app.run.run)


def _refuse_other_modes(settings: Settings) -> None:
    mode = settings.run.mode
    if mode in _INSTEAD:
        raise ConfigurationError(f'run.mode is "{mode}", which is no session; {_INSTEAD[mode]}')


@contextmanager
def _ended_after(seconds: float | None, stop: threading.Event) -> Iterator[None]:
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
