"""`nicegold restore`: a copy of the store put back and proven, and what was lost since it was made."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.backup import copies, restoration
from nicegold_ops.backup.archive import shortened
from nicegold_ops.backup.copies import Restored
from nicegold_ops.backup.restoration import Target
from nicegold_ops.commands._options import config_option, json_option
from nicegold_ops.commands._output import answer, console, facts, instant, moment
from nicegold_ops.commands._repository import (
    last_order,
    passphrase_option,
    settings_option,
    store_option,
    wanted,
)
from nicegold_ops.commands._runs import runs_of
from nicegold_ops.errors import DataError
from nicegold_ops.journal import journal_path

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@config_option
@store_option
@click.option(
    "--from",
    "copy",
    metavar="FILE|FOLDER|s3://BUCKET/FOLDER",
    help="The copy, with its manifest beside it; PostgreSQL: the repository.",
)
@click.option(
    "--state", type=_FOLDER, metavar="FOLDER", help="The folder for the journal; it must hold none."
)
@click.option(
    "--data",
    type=_FOLDER,
    metavar="FOLDER",
    help="PostgreSQL: the folder for the server's files; it must be empty, and the server's user's.",
)
@click.option(
    "--old",
    type=_FOLDER,
    metavar="FOLDER",
    help="The folder of the journal that was lost, if it is not where the copy was made.",
)
@click.option("--to-time", metavar="TIME", help="PostgreSQL: as it was then, such as 2026-11-27T13:06:52Z.")
@click.option("--to-name", metavar="NAME", help="PostgreSQL: as it was at this restore point.")
@click.option(
    "--backup",
    "label",
    metavar="LABEL",
    help="PostgreSQL: the backup to begin with, when it is not the last that will do.",
)
@settings_option
@passphrase_option
@json_option
def command(
    config: Path,
    store: str | None,
    copy: str | None,
    state: Path | None,
    data: Path | None,
    old: Path | None,
    to_time: str | None,
    to_name: str | None,
    label: str | None,
    settings: Path,
    passphrase: Path | None,
    json_to: Path | None,
) -> int:
    """Put a copy of the journal into an empty folder.

    The copy is compared with its manifest before, and each run's chain is verified after. Where the
    old journal can still be read, what it has more is counted. With --data a PostgreSQL server is restored,
    up to the end of what it archived or to a moment before. It is started for a moment, each chain is
    verified, and it archives nothing more until you say so.
    """
    if data is not None:
        if state or old:
            raise click.UsageError(
                "--state and --old are for a journal in a file, and --data is for PostgreSQL."
            )
        target = _target(to_time, to_name)
        there = store or _configured(config)
        said = wanted(copy, passphrase)
        return _restore(there, data, settings, said, target, label, json_to)
    if store or to_time or to_name or label or passphrase:
        raise click.UsageError("what is in PostgreSQL is restored into the folder that --data names.")
    if copy is None or state is None:
        raise click.UsageError(f"Missing option '{'--from' if copy is None else '--state'}'.")
    restored = copies.restore(Path(copy), state, old=journal_path(old) if old else None)
    answer(restored, json_to, *_shown_copy(restored))
    return 0


def _shown_copy(restored: Restored) -> list[RenderableType]:
    manifest = restored.manifest
    holds = f"{len(manifest.runs):,} runs, {manifest.events:,} events, {manifest.orders:,} orders"
    return [
        facts(
            ("restored", restored.journal),
            ("from", f"{restored.file}, made {moment(manifest.made_at)} UTC"),
            ("holds", f"{holds}, each chain verified"),
            ("last order", last_order(restored.last_order)),
            ("took", f"{restored.seconds:.2f} s"),
            *_behind(restored),
        )
    ]


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


# Of a server.


def _target(to_time: str | None, to_name: str | None) -> Target:
    if to_time and to_name:
        raise click.UsageError("--to-time and --to-name are two ways to say up to where; leave one away.")
    return Target(_moment(to_time) if to_time else None, to_name)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--to-time {text} is not a time such as 2026-11-27T13:06:52Z.") from None
    if found.tzinfo is None:
        raise click.UsageError(f"--to-time {text} has no zone; for UTC write {text}Z.")
    return found


def _configured(config: Path) -> str:
    store = runs_of(config, None)[1]
    if store is None:
        raise click.UsageError(f"{config} names no store in PostgreSQL; name its URL with --store.")
    return store


def _restore(
    store: str,
    data: Path,
    settings: Path,
    said: dict[str, str],
    target: Target,
    label: str | None,
    json_to: Path | None,
) -> int:
    restored = restoration.restore(store, data, settings.absolute(), said, target=target, label=label)
    answer(restored, json_to, *_shown_server(restored))
    if not restored.missing:
        return 0
    # It is whole up to there, and somebody may have to go on with that: but they must know.
    missing = shortened(restored.missing)
    problem = f"error: the archive goes on, and what is restored does not: {missing} was missing there"
    console(stderr=True).print(problem, soft_wrap=True)
    return DataError.exit_code


def _shown_server(restored: restoration.Restored) -> list[RenderableType]:
    proof = restored.proof
    holds = f"{len(proof.runs):,} runs, {proof.events:,} events, {proof.orders:,} orders"
    copying, playing, proving = restored.copying, restored.playing, restored.proving
    return [
        facts(
            ("restored", f"{restored.data}, which archives nothing until you say so"),
            ("up to", restored.target or "the end of the archive"),
            ("last commit", f"{instant(restored.last_commit)} UTC"),
            ("schema", restored.schema),
            ("holds", f"{holds}, each chain verified"),
            ("last order", last_order(proof.last_order)),
            (
                "took",
                f"{restored.seconds:.2f} s: files {copying:.2f}, archive {playing:.2f}, proof {proving:.2f}",
            ),
        )
    ]
