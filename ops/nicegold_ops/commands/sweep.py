"""`nicegold sweep`: many backtests of one configuration, over the values of its settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import click
from rich.console import Console, RenderableType

from nicegold_ops.commands._options import STDOUT
from nicegold_ops.commands._output import answer, console, facts, table
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.commands._trials import (
    about,
    bar,
    chosen,
    headings,
    news,
    planned,
    processors,
    trial_options,
)
from nicegold_ops.errors import ConfigurationError, NicegoldError
from nicegold_ops.suggest import did_you_mean
from nicegold_ops.sweep.figures import FIGURES, Figure, figure
from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.page import write_page
from nicegold_ops.sweep.plan import Plan
from nicegold_ops.sweep.result import Row, SweepResult, csv_of, result_of
from nicegold_ops.sweep.run import try_all, workers_of
from nicegold_ops.sweep.stability import in_words
from nicegold_ops.sweep.trial import Tried

_Order: TypeAlias = Callable[[Row], float]
#: Beside the metric.
_COLUMNS = ("sharpe", "total_return", "max_drawdown", "profit_factor", "trades")
#: Failures that are told apart on the screen; all are in the JSON.
_FAILURES_SHOWN = 5


@click.command()
@trial_options
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Trials to print.")
@click.option(
    "--sort", metavar="COLUMN", help="Print them by this figure or parameter; by the metric if not said."
)
@click.option(
    "--csv",
    "csv_to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all trials as CSV.",
)
def command(
    config: Path,
    overrides: tuple[str, ...],
    over: tuple[str, ...],
    where: str | None,
    sample: int | None,
    seed: int,
    metric: str,
    workers: int | None,
    elsewhere: int,
    dry_run: bool,
    json_to: Path | None,
    html_to: Path | None,
    csv_to: Path | None,
    top: int,
    sort: str | None,
) -> None:
    """Try many values of settings, each combination in a backtest of its own.

    What is done is kept in the state folder: the same command goes on where it was stopped, and
    trials count against luck for ever.
    """
    by = figure(metric)
    made = planned(config, overrides, over, where, sample=sample, seed=seed)
    order = _order(made, sort or metric)
    out = console(quiet=json_to == STDOUT)
    out.print(f"{len(made.combinations):,} trials of {about(made)}")
    if dry_run:
        answer([chosen(made.grid, each) for each in made.combinations], json_to, *_listed(made))
        return
    ledger = Ledger(made.settings.run.state)
    try:
        with stop_on_signals() as stop:
            found = _tried(made, ledger, by, workers or processors(), stop, out)
        result = result_of(made, found, ledger, by, elsewhere=elsewhere)
    finally:
        ledger.close()
    answer(result, json_to, *_shown(result, by, order, top))
    if csv_to is not None:
        csv_to.write_text(csv_of(result), encoding="utf-8")
    if html_to is not None:
        write_page(result, html_to)
        out.print(f"page         {html_to}", soft_wrap=True)
    _refuse_to_end_well(result)


def _tried(
    made: Plan, ledger: Ledger, by: Figure, workers: int, stop: threading.Event, out: Console
) -> Mapping[str, Tried]:
    trials = made.trials()
    done = len(ledger.find(trial.key for trial in trials))
    for each in news(made, ledger, len(trials), done):
        out.print(each)
    todo = len(trials) - done
    with workers_of(made, min(workers, todo)) as pool, bar(todo, by, made) as tell:
        return try_all(made, trials, ledger, pool, stop, tell)


def _refuse_to_end_well(result: SweepResult) -> None:
    if len(result.rows) < result.asked:
        raise NicegoldError(
            f"interrupted: {len(result.rows):,} of {result.asked:,} trials are done and kept; "
            "the same command goes on"
        )
    if result.best is None:
        raise NicegoldError(f"none of the {result.asked:,} trials could be run")


# What is printed.


def _order(made: Plan, column: str) -> _Order:
    """Sorts rows by *column*: figures the best first, parameters from low to high."""
    names = [each.name for each in made.grid.parameters]
    if column in names:
        at = names.index(column)
        return lambda row: row.at[at]
    if column in FIGURES:
        by = FIGURES[column]
        return lambda row: -by.rank(by.of(row.statistics))
    known = [*names, *FIGURES]
    hint = did_you_mean(column, known) or f"; there are {', '.join(known)}"
    raise ConfigurationError(f'--sort {column}: there is no column "{column}"{hint}')


def _listed(made: Plan) -> Iterator[RenderableType]:
    listed = table("trial", *headings(each.name for each in made.grid.parameters), right=("trial",))
    for number, combination in enumerate(made.combinations, 1):
        listed.add_row(f"{number:,}", *made.grid.values(combination))
    yield listed


def _shown(result: SweepResult, by: Figure, order: _Order, top: int) -> Iterator[RenderableType]:
    run = [row for row in result.rows if not row.failed]
    if run:
        yield _table(sorted(run, key=order)[:top], result, by)
    if result.failures:
        yield _failed(result)
    if result.best is not None and result.luck is not None:
        yield facts(("luck", result.luck.sentence), ("neighbours", in_words(result)))
        yield f"again        {result.command}"


def _table(rows: list[Row], result: SweepResult, by: Figure) -> RenderableType:
    figures = list(dict.fromkeys([by, *(FIGURES[name] for name in _COLUMNS)]))
    labels = [by.label, "neighbours", *(each.label for each in figures[1:])]
    made = table("trial", *headings(result.parameters), *labels, "halted by", right=("trial", *labels))
    for row in rows:
        shown = [each.shown(each.of(row.statistics)) for each in figures]
        halted = row.halted.partition(":")[0]
        made.add_row(f"{row.number:,}", *row.values, shown[0], by.shown(row.neighbours), *shown[1:], halted)
    return made


def _failed(result: SweepResult) -> RenderableType:
    """Each reason once, with how many trials have it and the first of them."""
    reasons: dict[str, list[Row]] = {}
    for row in result.failures:
        reasons.setdefault(row.failed, []).append(row)
    made = table("failed", *headings(result.parameters), "because", right=("failed",))
    for reason, rows in islice(reasons.items(), _FAILURES_SHOWN):
        made.add_row(f"{len(rows):,}", *rows[0].values, reason)
    if len(reasons) > _FAILURES_SHOWN:
        made.caption = f"{len(reasons) - _FAILURES_SHOWN:,} more reasons are in --json and --html"
    return made
