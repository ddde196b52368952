"""`nicegold backup`: a verified copy of the journal, also while a session writes to it."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops import backup
from nicegold_ops.backup import Backup, Listed
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, facts, moment, table
from nicegold_ops.commands._runs import state_of
from nicegold_ops.journal import journal_path


@click.command()
@config_option
@state_option
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER|FILE",
    help="The folder of the copies, or a name for this one that ends in .sqlite.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove older copies until N are left; none that holds what the new one does not.",
)
@click.option(
    "--list", "to_list", is_flag=True, help="Say what copies there are, and whether they are sound."
)
@json_option
def command(
    config: Path, state: Path | None, to: Path, keep: int | None, to_list: bool, json_to: Path | None
) -> int:
    """Copy the journal while it may be written, and verify the copy.

    It is named after the time, with a manifest beside it, and is there only when it is whole and on
    the disk. --list exits with 1 if a copy cannot be trusted.
    """
    _refuse_what_does_not_go_together(state, to, keep, to_list)
    if to_list:
        found = backup.listed(to)
        answer(found, json_to, *_listed(found, to))
        return 1 if any(each.problem for each in found) else 0
    made = backup.make(journal_path(state_of(config, state)), to, now=time.time_ns(), keep=keep)
    answer(made, json_to, *_shown(made))
    return 0


def _refuse_what_does_not_go_together(state: Path | None, to: Path, keep: int | None, to_list: bool) -> None:
    if to_list and (state or keep):
        raise click.UsageError("--list looks at --to alone; leave --state and --keep away.")
    if keep and backup.is_copy(to):
        raise click.UsageError(f"--keep is about a folder of copies, and --to names one: {to}.")


def _shown(made: Backup) -> list[RenderableType]:
    manifest = made.manifest
    holds = f"{len(manifest.runs):,} runs, {manifest.events:,} events, {manifest.orders:,} orders"
    pairs = [
        ("written", f"{made.file}, {manifest.bytes / 1e6:,.1f} MB"),
        ("holds", f"{holds}, each chain verified"),
        ("sha256", manifest.sha256),
        ("took", f"{made.seconds:.2f} s"),
        *(("removed", str(path)) for path in made.removed),
        *(("spared", f"{path}, which holds what this journal does not") for path in made.spared),
    ]
    return [facts(*pairs)]


def _listed(found: list[Listed], folder: Path) -> list[RenderableType]:
    if not found:
        return [f"{folder} holds no copy yet"]
    shown = table("copy", "made, UTC", "runs", "events", "orders", "MB", "is", right=_RIGHT)
    for each in found:
        shown.add_row(each.file.name, *_figures(each), "not sound" if each.problem else "verified")
    return [shown, *(each.problem for each in found if each.problem)]


_RIGHT = ("runs", "events", "orders", "MB")


def _figures(copy: Listed) -> tuple[str, ...]:
    manifest = copy.manifest
    if manifest is None:
        return ("-",) * 5
    counts = (len(manifest.runs), manifest.events, manifest.orders)
    return moment(manifest.made_at), *(f"{each:,}" for each in counts), f"{manifest.bytes / 1e6:,.1f}"
