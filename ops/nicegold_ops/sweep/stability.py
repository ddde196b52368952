"""Whether the best trial stands on a plateau or alone: what its neighbours in the grid came to."""

from __future__ import annotations

from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.result import Row, SweepResult

#: A part of the best trial's gain that its neighbours keep on a plateau.
_PLATEAU = 0.5


def steadiest(result: SweepResult) -> Row | None:
    """The trial with the best neighbours."""
    by = FIGURES[result.metric]
    known = [row for row in result.rows if row.neighbours is not None and not row.failed]
    return max(known, key=lambda row: by.rank(row.neighbours), default=None)


def in_words(result: SweepResult) -> str:
    """What the neighbours say about the best trial, and which trial has the best ones."""
    best, by = result.best, FIGURES[result.metric]
    if best is None or best.neighbours is None:
        return "No trial beside the best one was tried, so it cannot be told from a lonely peak."
    near = best.neighbours_tried
    said = (
        f"The {f'{near} trials' if near > 1 else 'one trial'} next to the best "
        f"{'have a median' if near > 1 else 'has a'} {by.label} of {by.shown(best.neighbours)}, "
        f"it has {by.shown(by.of(best.statistics))}{_verdict(best, by)}."
    )
    other = steadiest(result)
    if other is None or other.number == best.number:
        return f"{said} No other trial has better neighbours."
    where = ", ".join(f"{name}={value}" for name, value in zip(result.parameters, other.values, strict=True))
    return f"{said} The best neighbours are those of {where}: {by.shown(other.neighbours)}."


def _verdict(best: Row, by: Figure) -> str:
    value = by.of(best.statistics)
    if value is None or best.neighbours is None or by.neutral is None or not value > by.neutral:
        return ""
    kept = (best.neighbours - by.neutral) / (value - by.neutral)
    return ": a plateau" if kept >= _PLATEAU else ": a lonely peak"
