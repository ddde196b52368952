"""The pages of a sweep and of a walk-forward: one HTML file each, which needs no network."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from nicegold import DAY
from nicegold_ops.report import formats
from nicegold_ops.sweep.drawing import Axis
from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.heat import heats, mapped
from nicegold_ops.sweep.result import SweepResult
from nicegold_ops.sweep.stability import in_words, steadiest
from nicegold_ops.sweep.walk import WalkResult, efficiency_in_words

#: More trials than these are in the CSV and the JSON only: a page of thousands opens on no phone.
_TRIALS_SHOWN = 1000
#: Of those, more are shown when somebody asks.
_FIRST_SHOWN = 20
#: More would hide each other.
_DOTS = 1000
_FAILURES_SHOWN = 50
_HERE = Path(__file__).parent
_EPOCH = date(1970, 1, 1)


def write_page(result: SweepResult, path: Path) -> None:
    """Write the page of a sweep to *path*."""
    path.write_text(page_of(result), encoding="utf-8")


def write_walk_page(result: WalkResult, path: Path) -> None:
    """Write the page of a walk-forward to *path*."""
    path.write_text(walk_page_of(result), encoding="utf-8")


def page_of(result: SweepResult) -> str:
    """The page of a sweep as HTML."""
    run = [row for row in result.rows if not row.failed]
    return _rendered(
        "sweep.html",
        result=result,
        best=result.best,
        metric=FIGURES[result.metric],
        others=_others(result),
        run=run,
        shown=run[:_TRIALS_SHOWN],
        first_shown=_FIRST_SHOWN,
        failures=result.failures[:_FAILURES_SHOWN],
        stability=in_words(result),
        steadiest=steadiest(result),
        dots=_dots(result),
        heat=_heat_data(result) if run else None,
    )


def _others(result: SweepResult) -> list[Figure]:
    """The figures beside the metric that some trial has."""
    return [
        each
        for each in FIGURES.values()
        if each.name != result.metric and any(each.of(row.statistics) is not None for row in result.rows)
    ]


def walk_page_of(result: WalkResult) -> str:
    """The page of a walk-forward as HTML."""
    return _rendered(
        "walk.html",
        result=result,
        metric=FIGURES[result.metric],
        figures=FIGURES,
        efficiency=efficiency_in_words(result),
        notes=any(step.note for step in result.steps),
        curve=_curve(result) if len(result.closes) > 1 else None,
        drifts=[_drift(result, at) for at in range(len(result.drift))] if result.steps else [],
    )


def _rendered(name: str, **values: Any) -> str:
    # The report's style sheet is ours too.
    folders = [_HERE / "templates", _HERE.parent / "report" / "templates"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters |= {each.__name__: each for each in (formats.day, formats.count, formats.ratio)}
    environment.filters |= {"percent": formats.percent, "sign_of": formats.sign_of}
    return environment.get_template(name).render(**values)


def _heat_data(result: SweepResult) -> Any:
    """What the script draws heat maps from."""
    return msgspec.to_builtins(
        {
            "parameters": [{"name": name, "values": values} for name, values in result.parameters.items()],
            "figures": mapped(result),
            "heats": heats(result),
            "best": result.best.at if result.best else None,
        }
    )


def _dots(result: SweepResult) -> dict[str, Any] | None:
    """Each trial's metric and that of its neighbours, as places on a drawing."""
    by = FIGURES[result.metric]
    known = [
        (row, value, row.neighbours)
        for row in result.rows
        if (value := by.of(row.statistics)) is not None and row.neighbours is not None
    ][:_DOTS]
    if len(known) < 2:
        return None
    both = [number for _, value, near in known for number in (value, near)]
    axis = Axis.of(both)
    return {
        "axis": axis,
        "dots": [(axis.across(value), axis.up(near), row) for row, value, near in reversed(known)],
    }


def _curve(result: WalkResult) -> dict[str, Any]:
    """The chained equity as the points of a line, and where its folds are."""
    days = list(result.closes)
    axis, first, last = Axis.of([result.cash, *result.closes.values()]), days[0] - 1, days[-1]

    def across(day: float) -> float:
        return round(min(max((day - first) / (last - first), 0.0), 1.0) * 100, 3)

    line = [(first, result.cash), *result.closes.items()]
    return {
        "axis": axis,
        "line": " ".join(f"{across(day):g},{axis.up(close):g}" for day, close in line),
        "start": axis.up(result.cash),
        "folds": [
            (step, across(step.fold.trades_from / DAY), across(step.fold.end / DAY)) for step in result.steps
        ],
        "dates": [_EPOCH + timedelta(days=day) for day in (days[0], (days[0] + last) // 2, last)],
    }


def _drift(result: WalkResult, at: int) -> dict[str, Any]:
    """The choices of a parameter as bars, by their place among the values that were tried."""
    drift, steps = result.drift[at], result.steps
    values = result.parameters[drift.parameter]
    width, height = 100 / len(steps), 100 / len(values)
    bars = [
        (round(number * width, 3), round(100 - (step.at[at] + 1) * height, 3), step)
        for number, step in enumerate(steps)
        if step.at is not None
    ]
    return {"drift": drift, "values": values, "width": width, "height": height, "bars": bars, "at": at}
