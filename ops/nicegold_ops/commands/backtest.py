"""`nicegold backtest`: the same engine on recorded data, as fast as it goes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import click

from nicegold_ops import session
from nicegold_ops.app import App
from nicegold_ops.commands._finish import finish
from nicegold_ops.commands._logs import logged
from nicegold_ops.commands._options import config_option, json_option, report_option, set_option
from nicegold_ops.commands._output import progress
from nicegold_ops.commands._runs import begin, claim, folder_of
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.config import load
from nicegold_ops.errors import NicegoldError
from nicegold_ops.report.market import market_again
from nicegold_ops.report.page import refuse_without_bokeh
from nicegold_ops.report.result import Result, result_of


@click.command()
@config_option
@set_option
@json_option
@report_option
def command(config: Path, overrides: tuple[str, ...], json_to: Path | None, report_to: Path | None) -> None:
    """Trade on all that the feeds have, as fast as it goes.

    The mode that the configuration names does not matter.
    """
    if report_to is not None:
        refuse_without_bokeh()
    settings = load(config, overrides)
    begun = claim(settings, "backtest", time.time_ns())
    folder = folder_of(settings.run.state, begun.run)
    with logged(folder, settings.run, None), stop_on_signals() as stop:
        result = _tested(begin(settings, begun), stop)
    finish(result, folder, json_to=json_to, report_to=report_to)
    if stop.is_set():
        raise NicegoldError("interrupted: this is the result of a part of the data")


def _tested(app: App, stop: threading.Event) -> Result:
    try:
        with progress("backtest") as shown:
            outcome = session.backtest(app, progress=shown, stop=stop)
        return result_of(app, outcome, market_again(app))
    finally:
        app.close()
