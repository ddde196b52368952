"""What `sweep` and `walkforward` share: options, the plan, the bar, and the workers."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nicegold_ops.commands._options import config_option, json_option, set_option
from nicegold_ops.commands._output import console
from nicegold_ops.sweep.condition import Condition
from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.grid import Combination, Grid
from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.plan import Plan, plan
from nicegold_ops.sweep.run import Tell
from nicegold_ops.sweep.trial import Trial, Tried

_Command = Callable[..., Any]

_OPTIONS = (
    config_option,
    set_option,
    click.option(
        "--over",
        multiple=True,
        required=True,
        metavar="KEY=VALUES",
        help="A setting to try with many values: cross.fast=5:50:5 (start, stop, step), cross.fast=5,10 or "
        "a TOML list. May be given more than once: all combinations are tried.",
    ),
    click.option(
        "--where",
        metavar="CONDITION",
        help='Leave out the combinations for which this does not hold, such as "cross.fast < cross.slow".',
    ),
    click.option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="Try only so many combinations, picked at random.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Picks the sample."),
    click.option(
        "--metric",
        default="sharpe",
        show_default=True,
        metavar="FIGURE",
        help=f"What the best trial is best in: {', '.join(FIGURES)}.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processes that run trials; as many as processors if not said.",
    ),
    click.option(
        "--trials-before",
        "elsewhere",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Trials on these data that the ledger does not know, to be counted against luck too.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be tried, and run nothing."),
    json_option,
    click.option(
        "--html",
        "html_to",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write a page with tables and heat maps.",
    ),
)


def trial_options(command: _Command) -> _Command:
    """The options of a command that runs many trials."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def planned(
    config: Path, overrides: tuple[str, ...], over: tuple[str, ...], where: str | None, **sampling: Any
) -> Plan:
    """The plan that the options ask for. Raises what `plan` raises."""
    grid = Grid.parse(over)
    names = [each.name for each in grid.parameters]
    condition = Condition(where, names) if where is not None else None
    return plan(config, overrides, grid, condition, **sampling)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def about(made: Plan) -> str:
    """What is swept, in a line."""
    swept = ", ".join(f"{each.name} ({len(each.values):,} values)" for each in made.grid.parameters)
    return f"{made.strategy or 'no strategy'} over {swept}"


def news(made: Plan, ledger: Ledger, asked: int, done: int) -> Iterator[str]:
    """What the ledger has of *asked* trials, and why it has none if it had some before."""
    changed = ledger.begin(made)
    if done:
        yield f"{done:,} of {asked:,} trials are on the ledger already"
    else:
        yield from (f"a new sweep, since {each}" for each in changed)


@contextmanager
def bar(total: int, metric: Figure, made: Plan) -> Iterator[Tell]:
    """A function that shows how far the trials are, on stderr while a terminal is there to look."""
    if not sys.stderr.isatty():
        yield lambda trial, tried: None
        return
    columns = (
        TextColumn("trials"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("trials", total=total, best="")
        best = -math.inf

        def tell(trial: Trial, tried: Tried) -> None:
            nonlocal best
            value = metric.of(tried.statistics)
            if metric.rank(value) > best:
                best = metric.rank(value)
                at = chosen(made.grid, trial.combination)
                progress.update(task, best=f"best {metric.label} {metric.shown(value)} at {at}")
            progress.advance(task)

        yield tell


def chosen(grid: Grid, combination: Combination) -> str:
    """The parameters of *combination*, in a line."""
    values = zip(grid.parameters, grid.values(combination), strict=True)
    return ", ".join(f"{each.name}={value}" for each, value in values)


def headings(names: Iterable[str]) -> list[str]:
    """*names* of parameters as columns: a table is narrow, and the setting says most."""
    whole = list(names)
    settings = [name.rpartition(".")[2] for name in whole]
    return settings if len(set(settings)) == len(settings) else whole
