"""`nicegold backup`: a verified copy of the store, also while a session writes to it."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.backup import cluster, copies
from nicegold_ops.backup.cluster import Held, Kind, Made
from nicegold_ops.backup.copies import Backup, Listed
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, facts, moment, table
from nicegold_ops.commands._repository import passphrase_option, settings_option, store_option, wanted
from nicegold_ops.commands._runs import runs_of, state_of
from nicegold_ops.journal import journal_path


@click.command()
@config_option
@state_option
@store_option
@click.option(
    "--to",
    metavar="FOLDER|FILE|s3://BUCKET/FOLDER",
    help="The folder of the copies, or a name for this one that ends in .sqlite; PostgreSQL: the repository.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove older copies until N are left; none that holds what the new one does not. "
    "PostgreSQL: N full backups, and what goes on from them.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["full", "diff", "incr"]),
    help="PostgreSQL: all, or what is new since the last full backup, or since the last.  [default: incr]",
)
@click.option(
    "--list", "to_list", is_flag=True, help="Say what copies there are, and whether they are sound."
)
@settings_option
@passphrase_option
@json_option
def command(
    config: Path,
    state: Path | None,
    store: str | None,
    to: str | None,
    keep: int | None,
    kind: Kind | None,
    to_list: bool,
    settings: Path,
    passphrase: Path | None,
    json_to: Path | None,
) -> int:
    """Copy the journal while it may be written, and verify the copy.

    It is named after the time, with a manifest beside it, and is there only when it is whole and on
    the disk. A journal in PostgreSQL is backed up by pgBackRest, encrypted, into a repository that also
    holds all that the server archives. Exits with 1 if a copy cannot be trusted.
    """
    there = _store_of(config, state, store, to_list)
    if there is not None:
        _refuse_for_a_server(to, keep, kind, passphrase, to_list)
        if to_list:
            return _list_repository(settings, json_to)
        return _back_up(there, settings, wanted(to, passphrase), kind or "incr", keep, json_to)
    if to is None:
        raise click.UsageError("Missing option '--to'.")
    _refuse_for_a_file(state, Path(to), keep, kind, passphrase, to_list)
    if to_list:
        return _list_copies(Path(to), json_to)
    made = copies.make(journal_path(state_of(config, state)), Path(to), now=time.time_ns(), keep=keep)
    answer(made, json_to, *_shown_copy(made))
    return 0


def _store_of(config: Path, state: Path | None, store: str | None, to_list: bool) -> str | None:
    """The PostgreSQL database that options or the configuration name; None for a file."""
    if state is not None and store is not None:
        raise click.UsageError("--state is for a journal in a file, and --store for one in PostgreSQL.")
    # A folder of copies can be looked at where nothing is configured.
    if store is not None or (to_list and not config.exists()):
        return store
    return runs_of(config, state)[1]


def _refuse_for_a_file(
    state: Path | None, to: Path, keep: int | None, kind: Kind | None, passphrase: Path | None, to_list: bool
) -> None:
    if kind or passphrase:
        raise click.UsageError("--type and --passphrase-file are for a journal in PostgreSQL; see --store.")
    if to_list and (state or keep):
        raise click.UsageError("--list looks at --to alone; leave --state and --keep away.")
    if keep and copies.is_copy(to):
        raise click.UsageError(f"--keep is about a folder of copies, and --to names one: {to}.")


def _refuse_for_a_server(
    to: str | None, keep: int | None, kind: Kind | None, passphrase: Path | None, to_list: bool
) -> None:
    if to_list and (to or keep or kind or passphrase):
        raise click.UsageError(
            "--list looks at the repository that --pgbackrest names, and needs nothing else."
        )


def _list_copies(folder: Path, json_to: Path | None) -> int:
    found = copies.listed(folder)
    answer(found, json_to, *_shown_copies(found, folder))
    return 1 if any(each.problem for each in found) else 0


def _shown_copy(made: Backup) -> list[RenderableType]:
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


def _shown_copies(found: list[Listed], folder: Path) -> list[RenderableType]:
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


# Of a server.


def _back_up(
    store: str, settings: Path, said: dict[str, str], kind: Kind, keep: int | None, json_to: Path | None
) -> int:
    made = cluster.make(store, settings.absolute(), said, kind=kind, keep=keep)
    answer(made, json_to, *_shown_backup(made))
    return 1 if made.problems else 0


def _shown_backup(made: Made) -> list[RenderableType]:
    backup = made.backup
    pairs = [
        ("backup", f"{backup.label}, {backup.kind}, {backup.bytes / 1e6:,.1f} MB"),
        ("stored", f"{backup.stored / 1e6:,.1f} MB, encrypted; each file and segment verified"),
        ("at stake", _at_stake(made.archive_timeout)),
        ("took", f"{made.seconds:.2f} s"),
        *(("removed", label) for label in made.removed),
    ]
    return [facts(*pairs), *made.problems]


def _at_stake(archive_timeout: int) -> str:
    """What is lost with the machine, since the server has not archived it yet."""
    if archive_timeout:
        return f"the last {archive_timeout} s of commits, until the server has archived them"
    return "all commits of a segment that is not full; ALTER SYSTEM SET archive_timeout = '60s'"


def _list_repository(settings: Path, json_to: Path | None) -> int:
    found = cluster.held(settings.absolute())
    answer(found, json_to, *_shown_repository(found, settings))
    return 1 if found.problems else 0


def _shown_repository(found: Held, settings: Path) -> list[RenderableType]:
    if not found.backups:
        return [f"the repository of {settings} holds no backup yet", *found.problems]
    shown = table("backup", "is", "ended, UTC", "MB", "MB stored", right=("MB", "MB stored"))
    for each in found.backups:
        sizes = (f"{size / 1e6:,.1f}" for size in (each.bytes, each.stored))
        shown.add_row(each.label, each.kind, moment(each.ended), *sizes)
    archive = f"the archive holds the segments {found.first_segment} to {found.last_segment}"
    return [shown, archive, *(found.problems or ["each file and segment is what was written"])]
