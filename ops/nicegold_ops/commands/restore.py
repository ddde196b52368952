"""`nicegold restore`: a copy of the journal put back, and what was lost since it was made."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops import backup
from nicegold_ops.backup import Committed, Restored
from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, facts, instant, moment
from nicegold_ops.journal import journal_path


@click.command()
@click.option(
    "--from",
    "copy",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The copy, with its manifest beside it.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="The folder for the journal; it must hold none.",
)
@click.option(
    "--old",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder of the journal that was lost, if it is not where the copy was made.",
)
@json_option
def command(copy: Path, state: Path, old: Path | None, json_to: Path | None) -> None:
    """Put a copy of the journal into an empty folder.

    The copy is compared with its manifest before, and each run's chain is verified after. Where the
    old journal can still be read, what it has more is counted.
    """
    restored = backup.restore(copy, state, old=journal_path(old) if old else None)
    answer(restored, json_to, *_shown(restored))


def _shown(restored: Restored) -> list[RenderableType]:
    manifest = restored.manifest
    holds = f"{len(manifest.runs):,} runs, {manifest.events:,} events, {manifest.orders:,} orders"
    return [
        facts(
            ("restored", restored.journal),
            ("from", f"{restored.file}, made {moment(manifest.made_at)} UTC"),
            ("holds", f"{holds}, each chain verified"),
            ("last order", _order(restored.last_order)),
            ("took", f"{restored.seconds:.2f} s"),
            *_behind(restored),
        )
    ]


def _order(last: Committed | None) -> str:
    if last is None:
        return "there is none"
    order = last.order
    return f"{order.id}: {order.side} {order.quantity} {order.symbol} at {instant(order.time)}, in {last.run}"


def _behind(restored: Restored) -> list[tuple[str, str]]:
    behind = restored.behind
    if behind is None:
        return [("behind", f"cannot be told: {restored.untold}")]
    if not (behind.events or behind.runs):
        return [("behind", f"nothing: {behind.journal} has no more")]
    return [
        (
            "behind",
            f"{behind.events:,} events, {behind.orders:,} orders, {behind.runs:,} runs of {behind.journal},",
        ),
        ("", f"which was last written {behind.seconds:.2f} s after the copy was made"),
    ]
