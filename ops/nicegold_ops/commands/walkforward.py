"""`nicegold walkforward`: parameters are chosen on one part of the data and traded on the next."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType

from nicegold_ops.commands._options import STDOUT
from nicegold_ops.commands._output import answer, console, day, facts, moment, table
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.commands._trials import about, bar, headings, news, planned, processors, trial_options
from nicegold_ops.errors import NicegoldError
from nicegold_ops.sweep.figures import FIGURES, Figure, figure
from nicegold_ops.sweep.folds import Fold, Lengths, folds_of, parse_length
from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.page import write_walk_page
from nicegold_ops.sweep.plan import Plan
from nicegold_ops.sweep.run import workers_of
from nicegold_ops.sweep.trial import Tried
from nicegold_ops.sweep.walk import (
    Step,
    WalkResult,
    efficiency_in_words,
    in_words,
    span_of,
    walk,
    walk_result_of,
)


class _Length(click.ParamType[int]):
    name = "LENGTH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else parse_length(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


_LENGTH = _Length()


@click.command()
@trial_options
@click.option(
    "--in-sample", type=_LENGTH, required=True, help="How much to choose the parameters on, such as 180d."
)
@click.option(
    "--out-of-sample", type=_LENGTH, required=True, help="How much to trade them on then, such as 60d."
)
@click.option(
    "--gap", type=_LENGTH, default="0d", show_default=True, help="How much to leave out between the two."
)
@click.option("--anchored", is_flag=True, help="Let each in-sample part begin with the data.")
@click.option(
    "--warm-up",
    type=_LENGTH,
    help="How much strategies see before they may trade out of sample; the in-sample part if not said.",
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
    **lengths: Any,
) -> None:
    """Choose parameters on a part of the data, trade them on the part after it, and so on.

    Each fold sweeps its in-sample part and runs the best of it out of sample, from flat. What is
    done is kept in the state folder: the same command goes on where it was stopped.
    """
    by = figure(metric)
    made = planned(config, overrides, over, where, sample=sample, seed=seed)
    folds = folds_of(*span_of(made), Lengths(**lengths))
    asked = len(folds) * len(made.combinations)
    out = console(quiet=json_to == STDOUT)
    out.print(f"{len(folds):,} folds of {len(made.combinations):,} trials of {about(made)}")
    if dry_run:
        answer(folds, json_to, _listed(folds))
        return
    ledger = Ledger(made.settings.run.state)
    try:
        with stop_on_signals() as stop:
            steps, found = _walked(made, folds, ledger, by, workers or processors(), stop, out)
        result = walk_result_of(made, steps, found, ledger, by, elsewhere=elsewhere)
    finally:
        ledger.close()
    answer(result, json_to, *_shown(result, by))
    if html_to is not None:
        write_walk_page(result, html_to)
        out.print(f"page         {html_to}", soft_wrap=True)
    if len(steps) < len(folds):
        raise NicegoldError(
            f"interrupted: {len(steps):,} of {len(folds):,} folds and {len(found):,} of {asked:,} trials "
            "are done and kept; the same command goes on"
        )
    if all(step.out_of_sample is None for step in steps):
        raise NicegoldError(f"none of the {len(folds):,} folds could be traded")


def _walked(
    made: Plan,
    folds: Sequence[Fold],
    ledger: Ledger,
    by: Figure,
    workers: int,
    stop: threading.Event,
    out: Console,
) -> tuple[list[Step], Mapping[str, Tried]]:
    keys = [trial.key for fold in folds for trial in made.trials(fold.in_sample)]
    done = len(ledger.find(keys))
    for each in news(made, ledger, len(keys), done):
        out.print(each)
    todo = len(keys) - done + len(folds)
    with workers_of(made, min(workers, todo)) as pool, bar(todo, by, made) as tell:
        return walk(made, folds, by, ledger, pool, stop, tell)


# What is printed.


def _listed(folds: Sequence[Fold]) -> RenderableType:
    made = table("fold", "chosen on", "until", "traded from", "until", right=("fold",))
    for fold in folds:
        bounds = (fold.start, fold.chosen_at, fold.trades_from, fold.end)
        made.add_row(f"{fold.number}", *map(moment, bounds))
    return made


def _shown(result: WalkResult, by: Figure) -> Iterator[RenderableType]:
    yield _table(result, by)
    yield facts(
        ("out of sample", in_words(result)),
        ("efficiency", efficiency_in_words(result)),
        *((each.parameter, each.in_words) for each in result.drift),
        ("luck", result.luck.sentence),
    )


def _table(result: WalkResult, by: Figure) -> RenderableType:
    numbers = (f"{by.label} in sample", "out of sample", "return", "max drawdown", "trades")
    columns = ("fold", "traded from", "until", *headings(result.parameters), *numbers, "note")
    made = table(*columns, right=("fold", *numbers))
    for step in result.steps:
        out = step.out_of_sample
        figures = [by, *(FIGURES[name] for name in ("total_return", "max_drawdown", "trades"))]
        made.add_row(
            f"{step.fold.number}",
            day(step.fold.trades_from),
            day(step.fold.end),
            *(step.values or ["-"] * len(result.parameters)),
            by.shown(by.of(step.in_sample)),
            *(each.shown(each.of(out)) for each in figures),
            step.note,
        )
    return made
