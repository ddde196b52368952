"""`nicegold blackbox`: the last calls of every plugin, also of a run that was killed."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, instant, micros, table
from nicegold_ops.commands._runs import folder_of, last_run_with, state_of
from nicegold_ops.telemetry import flight


@click.command()
@click.argument("run", required=False)
@click.option(
    "--last", type=click.IntRange(min=1), default=5, show_default=True, help="Calls of each plugin."
)
@config_option
@state_option
@json_option
def command(run: str | None, last: int, config: Path, state: Path | None, json_to: Path | None) -> None:
    """Show each plugin's last calls, even of a killed run.

    RUN is a run's id, the last one if not said. Nothing is needed but its folder: with --state not
    even a configuration.
    """
    folder = state_of(config, state)
    name = run or last_run_with(folder, flight.FILE)
    flown = flight.read(folder_of(folder, name) / flight.FILE)
    answer(_plain(flown, last), json_to, *_shown(flown, last))


def _plain(flown: flight.Flight, last: int) -> dict[str, object]:
    return {"run": flown.run, "plugins": flown.last(last), "unfinished": flown.unfinished}


def _shown(flown: flight.Flight, last: int) -> list[RenderableType]:
    calls = table("plugin", "hook", "call", "input", "began, UTC", "took", "outcome", right=_RIGHT)
    for plugin, made in flown.last(last).items():
        for call in made:
            calls.add_row(
                plugin,
                call.hook,
                f"{call.sequence:,}",
                f"{call.cause:,}",
                instant(call.start),
                micros(call.duration / 1e9),
                call.outcome,
            )
    return [
        f"the last calls of {flown.run}",
        calls,
        *(f"{each.plugin}.{each.hook} was in hand" for each in flown.unfinished),
    ]


_RIGHT = ("call", "input", "took")
