"""A walk-forward: parameters are chosen on one part of the data, and traded on the part after it.

What is traded was never looked at when its parameters were chosen, so the chained result is what
somebody would have had who chose again and again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path

import msgspec

from nicegold import Bar
from nicegold_ops.errors import DataError
from nicegold_ops.report.market import market_again
from nicegold_ops.report.returns import (
    annual_return,
    daily_returns,
    days_a_year_of,
    sharpe,
    sortino,
    total_return,
    years_of,
)
from nicegold_ops.report.statistics import Statistics
from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.folds import Fold
from nicegold_ops.sweep.grid import Combination
from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.luck import Luck, luck_of
from nicegold_ops.sweep.plan import Plan
from nicegold_ops.sweep.result import command_of
from nicegold_ops.sweep.run import Tell, Workers, try_all
from nicegold_ops.sweep.trial import Tried


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A fold and what came of it: which parameters were chosen, and how they did before and after.

    *values* are None when no trial in sample had the metric: then nothing was traded. *failed*
    says why the part out of sample could not be traded. *command* runs it again.
    """

    fold: Fold
    at: Combination | None
    values: tuple[str, ...] | None
    in_sample: Statistics | None
    out_of_sample: Statistics | None
    halted: str
    failed: str
    command: str

    @property
    def note(self) -> str:
        """What a person should know about it beside the figures."""
        if self.at is None:
            return "flat: no trial in sample could be ranked"
        if self.failed:
            return f"failed: {self.failed}"
        return f"halted: {self.halted}" if self.halted else ""


class Drift(msgspec.Struct, frozen=True):
    """How often a *parameter*'s choice changed from one fold to the next, and what was chosen, in order."""

    parameter: str
    changes: int
    chosen: list[str]

    @property
    def in_words(self) -> str:
        """Such as "4 changes in 6 folds: 5, 5, 10, 20, 10, 5"."""
        times = "1 change" if self.changes == 1 else f"{self.changes} changes"
        return f"{times} in {len(self.chosen)} folds: {', '.join(self.chosen)}"


class WalkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk-forward came to.

    The figures are those of the parts out of sample, one after the other, each with the *cash* of
    the run and scaled to what the ones before left; *closes* are that equity at the end of each
    trading day, counted from 1970, and *max_drawdown* is by them. *efficiency* is the mean return
    of a day out of sample over that in sample of what was chosen (Pardo, The Evaluation and
    Optimization of Trading Strategies, 2008); None unless the latter is a gain.
    """

    configuration: Path
    strategy: str
    currency: str
    cash: float
    parameters: dict[str, tuple[str, ...]]
    metric: str
    trials: int
    failures: int
    steps: list[Step]
    closes: dict[int, float]
    total_return: float | None
    annual_return: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    trades: int
    efficiency: float | None
    drift: list[Drift]
    luck: Luck


def span_of(plan: Plan) -> tuple[int, int]:
    """When the plan's data begin and end, ns UTC. Raises DataError."""
    with plan.app() as app:
        market = market_again(app)
        first = next(market, None)
        if first is None:
            raise DataError("the feeds have no bar and no quote in this time")
        [last] = deque(chain([first], market), maxlen=1)
    return first.start if isinstance(first, Bar) else first.time, last.time


def walk(
    plan: Plan,
    folds: Sequence[Fold],
    metric: Figure,
    ledger: Ledger,
    pool: Workers,
    stop: threading.Event,
    tell: Tell,
) -> tuple[list[Step], Mapping[str, Tried]]:
    """The steps that were made before *stop* was set, and all that was tried in sample, by key."""
    trials = {fold.number: plan.trials(fold.in_sample) for fold in folds}
    found = try_all(plan, chain.from_iterable(trials.values()), ledger, pool, stop, tell)
    whole = [fold for fold in folds if all(trial.key in found for trial in trials[fold.number])]
    choices = {
        fold.number: _choice({trial.combination: found[trial.key] for trial in trials[fold.number]}, metric)
        for fold in whole
    }
    after = [plan.trial(at, fold.out_of_sample) for fold in whole if (at := choices[fold.number]) is not None]
    traded = try_all(plan, after, ledger, pool, stop, tell)
    steps = []
    for fold in whole:
        at = choices[fold.number]
        if at is None:
            steps.append(_flat(fold))
        elif (tried := traded.get(plan.trial(at, fold.out_of_sample).key)) is not None:
            steps.append(_step(plan, fold, at, found[plan.trial(at, fold.in_sample).key], tried))
    return steps, found


def _choice(tried: Mapping[Combination, Tried], metric: Figure) -> Combination | None:
    """The best; of equal ones the first in the grid."""
    known = {at: value for at, each in tried.items() if (value := metric.of(each.statistics)) is not None}
    return max(known, key=lambda at: metric.rank(known[at]), default=None)


def _flat(fold: Fold) -> Step:
    return Step(
        fold=fold,
        at=None,
        values=None,
        in_sample=None,
        out_of_sample=None,
        halted="",
        failed="",
        command="",
    )


def _step(plan: Plan, fold: Fold, at: Combination, before: Tried, after: Tried) -> Step:
    return Step(
        fold=fold,
        at=at,
        values=plan.grid.values(at),
        in_sample=before.statistics,
        out_of_sample=after.statistics,
        halted=after.halted,
        failed=after.failed,
        command=command_of(plan, at, fold.out_of_sample.overrides()),
    )


def walk_result_of(
    plan: Plan,
    steps: Sequence[Step],
    found: Mapping[str, Tried],
    ledger: Ledger,
    metric: Figure,
    *,
    elsewhere: int = 0,
) -> WalkResult:
    """Add up the *steps* and what was *found* in sample; *elsewhere* so many trials were made before."""
    cash = float(plan.settings.run.cash)
    closes = _chained(plan, steps, ledger, cash)
    returns, days_a_year = daily_returns([cash, *closes.values()]), days_a_year_of(closes)
    end = next(reversed(closes.values()), cash)
    run = [tried for tried in found.values() if tried.statistics is not None]
    return WalkResult(
        configuration=plan.bench.path,
        strategy=plan.strategy,
        currency=plan.settings.run.currency,
        cash=cash,
        parameters={each.name: each.values for each in plan.grid.parameters},
        metric=metric.name,
        trials=len(found),
        failures=len(found) - len(run),
        steps=list(steps),
        closes=closes,
        total_return=total_return(cash, end),
        annual_return=annual_return(cash, end, years_of(closes)),
        sharpe=sharpe(returns, days_a_year),
        sortino=sortino(returns, days_a_year),
        max_drawdown=max_drawdown([cash, *closes.values()]),
        trades=sum(step.out_of_sample.trades for step in steps if step.out_of_sample),
        efficiency=_efficiency(steps),
        drift=_drift(plan, steps),
        luck=luck_of(
            returns,
            _sharpes(plan, steps, found),
            days_a_year,
            trials=len(run),
            earlier=len(_earlier(plan, ledger)),
            elsewhere=elsewhere,
        ),
    )


def _sharpes(plan: Plan, steps: Sequence[Step], found: Mapping[str, Tried]) -> list[float | None]:
    """Each combination's Sharpe ratio of a day in sample, the mean of the folds.

    The ratios of single folds lie further apart, since folds are short; the result is as long as
    all of them.
    """
    return [
        _mean([found[plan.trial(at, step.fold.in_sample).key].sharpe for step in steps])
        for at in plan.combinations
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _earlier(plan: Plan, ledger: Ledger) -> set[str]:
    """What was tried of the strategy on these data, beside the combinations of *plan*."""
    return ledger.tried_before(plan, "").keys() - {trial.choice for trial in plan.trials()}


def _chained(plan: Plan, steps: Sequence[Step], ledger: Ledger, cash: float) -> dict[int, float]:
    """The equity by trading day; where one part ends and the next begins on a day, that of the latter."""
    chained: dict[int, float] = {}
    equity = cash
    for step in steps:
        if step.at is None or step.out_of_sample is None:
            continue
        own = ledger.closes(plan.trial(step.at, step.fold.out_of_sample).key)
        chained |= {day: equity * close / cash for day, close in own.items()}
        equity = next(reversed(chained.values()), cash)
    return chained


def max_drawdown(closes: Sequence[float]) -> float:
    """The deepest fall below the highest of *closes* until then, a part of it; they begin above 0."""
    return max(1.0 - close / peak for close, peak in zip(closes, accumulate(closes, max), strict=True))


def _efficiency(steps: Sequence[Step]) -> float | None:
    pairs = [(step.in_sample, step.out_of_sample) for step in steps]
    before = _mean_return([before for before, after in pairs if after])
    after = _mean_return([after for before, after in pairs if after])
    return after / before if before is not None and after is not None and before > 0 else None


def _mean_return(parts: Sequence[Statistics | None]) -> float | None:
    """Of a day, over all *parts*."""
    known = [(part.total_return, part.days) for part in parts if part and part.total_return is not None]
    days = sum(days for _, days in known)
    return sum(gained for gained, _ in known) / days if days else None


def _drift(plan: Plan, steps: Sequence[Step]) -> list[Drift]:
    chosen = [step.values for step in steps if step.values is not None]
    return [
        Drift(
            each.name,
            changes=sum(before[at] != after[at] for before, after in pairwise(chosen)),
            chosen=[values[at] for values in chosen],
        )
        for at, each in enumerate(plan.grid.parameters)
    ]


# In words.


def in_words(result: WalkResult) -> str:
    """What was earned out of sample."""
    figures = (
        ("return", FIGURES["total_return"].shown(result.total_return)),
        ("Sharpe", FIGURES["sharpe"].shown(result.sharpe)),
        ("max drawdown", FIGURES["max_drawdown"].shown(result.max_drawdown)),
        ("trades", FIGURES["trades"].shown(result.trades)),
    )
    return ", ".join(f"{name} {value}" for name, value in figures)


def efficiency_in_words(result: WalkResult) -> str:
    """How much of what was earned in sample was earned out of it."""
    if result.efficiency is None:
        return "what was chosen did not gain in sample, so there is nothing to keep"
    return f"out of sample, a day earned {result.efficiency:.0%} of what it earned in sample"
