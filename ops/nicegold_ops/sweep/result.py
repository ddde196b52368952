"""What a sweep came to, as one value: the JSON that `--json` writes and the page shows."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from nicegold import Source
from nicegold_ops.report.returns import daily_returns
from nicegold_ops.report.statistics import Statistics
from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.grid import Combination
from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.luck import Luck, luck_of
from nicegold_ops.sweep.plan import Plan
from nicegold_ops.sweep.trial import Tried


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A trial: its parameters' *values*, and its figures, or why it *failed*.

    *number* counts the trials in the order of the grid, from 1, and *at* is its place in the grid.
    *neighbours* is the median of the metric over the trials next to it, *neighbours_tried* how many
    those are: a good trial among bad ones is luck. *halted* says who ended the trading.
    """

    number: int
    at: Combination
    values: tuple[str, ...]
    statistics: Statistics | None
    neighbours: float | None
    neighbours_tried: int
    halted: str
    failed: str
    fingerprint: str

    def parameters(self, result: SweepResult) -> Iterator[tuple[str, str]]:
        """Its values with their names."""
        return zip(result.parameters, self.values, strict=True)


class SweepResult(msgspec.Struct, frozen=True, kw_only=True):
    """All trials of a sweep, the best by *metric* first and those that failed last.

    *parameters* are names with all values that were swept; *asked* trials were to be tried, and
    *rows* are those that were. *command* runs the best again, with a journal and a report.
    """

    configuration: Path
    strategy: str
    sources: dict[str, Source]
    currency: str
    parameters: dict[str, tuple[str, ...]]
    metric: str
    asked: int
    rows: list[Row]
    luck: Luck | None
    command: str

    @property
    def best(self) -> Row | None:
        """The first row, unless it failed."""
        return self.rows[0] if self.rows and self.rows[0].statistics is not None else None

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.failed]


def result_of(
    plan: Plan, found: Mapping[str, Tried], ledger: Ledger, metric: Figure, *, elsewhere: int = 0
) -> SweepResult:
    """Add up what was *found*, by the trials' keys; *elsewhere* so many trials were made before."""
    trials = [trial for trial in plan.trials() if trial.key in found]
    values = {trial.combination: metric.of(found[trial.key].statistics) for trial in trials}
    rows = [
        _row(plan, number, trial.combination, found[trial.key], values)
        for number, trial in enumerate(trials, 1)
    ]
    rows.sort(key=lambda row: (bool(row.failed), -metric.rank(metric.of(row.statistics)), row.number))
    best = rows[0] if rows and not rows[0].failed else None
    return SweepResult(
        configuration=plan.bench.path,
        strategy=plan.strategy,
        sources=plan.sources,
        currency=plan.settings.run.currency,
        parameters={each.name: each.values for each in plan.grid.parameters},
        metric=metric.name,
        asked=len(plan.combinations),
        rows=rows,
        luck=_luck(plan, best, found, ledger, elsewhere) if best else None,
        command=command_of(plan, best.at) if best else "",
    )


def _row(
    plan: Plan,
    number: int,
    combination: Combination,
    tried: Tried,
    values: Mapping[Combination, float | None],
) -> Row:
    near = [values[each] for each in plan.grid.neighbours(combination) if each in values]
    known = [value for value in near if value is not None]
    return Row(
        number=number,
        at=combination,
        values=plan.grid.values(combination),
        statistics=tried.statistics,
        neighbours=median(known) if known else None,
        neighbours_tried=len(known),
        halted=tried.halted,
        failed=tried.failed,
        fingerprint=tried.fingerprint,
    )


def _luck(plan: Plan, best: Row, found: Mapping[str, Tried], ledger: Ledger, elsewhere: int) -> Luck:
    now = [trial for trial in plan.trials() if trial.key in found and not found[trial.key].failed]
    before = ledger.tried_before(plan, now[0].seen)
    earlier = before.keys() - {trial.choice for trial in now}
    closes = ledger.closes(plan.trial(best.at).key)
    return luck_of(
        daily_returns([float(plan.settings.run.cash), *closes.values()]),
        [*(found[trial.key].sharpe for trial in now), *(before[choice] for choice in sorted(earlier))],
        best.statistics.days_a_year if best.statistics else 0,
        trials=len(now),
        earlier=len(earlier),
        elsewhere=elsewhere,
    )


def command_of(plan: Plan, combination: Combination, more: Sequence[str] = ()) -> str:
    """What is typed to run *combination* again."""
    options = [*plan.bench.overrides, *plan.grid.overrides(combination), *more]
    words = ["nicegold", "backtest", "--config", str(plan.bench.path)]
    return shlex.join([*words, *(word for option in options for word in ("--set", option))])


def csv_of(result: SweepResult) -> str:
    """The rows as CSV, with figures as they were computed; what has no meaning is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *result.parameters, *FIGURES, "neighbours", "halted", "failed", "fingerprint"])
    for row in result.rows:
        figures = [each.of(row.statistics) for each in FIGURES.values()]
        writer.writerow(
            [row.number, *row.values, *figures, row.neighbours, row.halted, row.failed, row.fingerprint]
        )
    return text.getvalue()
