"""Backups of a PostgreSQL server by pgBackRest: made while it runs, listed, and verified."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from nicegold_ops.backup.archive import archived, shortened
from nicegold_ops.backup.owner import owner_of
from nicegold_ops.backup.pgbackrest import SEGMENT_BYTES, Backed, PgBackRest
from nicegold_ops.backup.repository import opened, refuse_elsewhere
from nicegold_ops.backup.server import Server, asked, refuse_unarchived
from nicegold_ops.errors import ConfigurationError

Kind: TypeAlias = Literal["full", "diff", "incr"]


class Made(msgspec.Struct, frozen=True):
    """A backup that was made and verified in so many *seconds*, and the labels of those that went for it.

    *archive_timeout* is how many seconds of commits can be in no archive yet; 0 says that it has no bound.
    """

    backup: Backed
    archive_timeout: int
    removed: list[str]
    problems: list[str]
    seconds: float


class Held(msgspec.Struct, frozen=True):
    """What a repository holds, and what of it cannot be trusted."""

    backups: list[Backed]
    first_segment: str
    last_segment: str
    problems: list[str]


def make(
    store: str,
    settings: Path,
    wanted: Mapping[str, str],
    *,
    kind: Kind = "incr",
    keep: int | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Made:
    """Back up the server of the database *store*, which goes on meanwhile, and verify the repository.

    *wanted* is what the file *settings* must say, and is written where there is none. The first backup is a
    full one in any case. With *keep*, so many full ones are left, and what goes on from them. Raises
    ConfigurationError where the server does not archive, BackupFailed where pgBackRest fails.
    """
    began = timer()
    server = asked(store)
    program = opened(settings, server.data, wanted)
    refuse_elsewhere(settings, server.data)
    reached = _reached(server)
    program.run("stanza-create", *reached)
    refuse_unarchived(server, settings)
    program.run("check", *reached)
    before = program.backups()
    program.run("backup", *reached, *_how(server, kind, keep))
    backups = program.backups()
    removed = {each.label for each in before} - {each.label for each in backups}
    problems = _problems(program, backups)
    return Made(backups[-1], server.archive_timeout, sorted(removed), problems, timer() - began)


def held(settings: Path) -> Held:
    """What the repository of *settings* holds; every byte of it is read."""
    if not settings.exists():
        raise ConfigurationError(
            f"{settings} is not there; bring it from where the backups are made, or name it with --pgbackrest"
        )
    program = PgBackRest(settings, owner_of(settings))
    backups = program.backups()
    names = archived(program, backups).names
    return Held(backups, min(names, default=""), max(names, default=""), _problems(program, backups))


def _reached(server: Server) -> list[str]:
    return [f"--pg1-port={server.port}", *([f"--pg1-socket-path={server.socket}"] if server.socket else [])]


def _how(server: Server, kind: Kind, keep: int | None) -> list[str]:
    # Without --start-fast it would wait for a checkpoint, which is as good as nothing for minutes.
    how = [f"--type={kind}", "--start-fast", f"--annotation={SEGMENT_BYTES}={server.segment_bytes}"]
    return [*how, *([f"--repo1-retention-full={keep}"] if keep else [])]


def _problems(program: PgBackRest, backups: list[Backed]) -> list[str]:
    """Why what is in the repository cannot be trusted, if so."""
    damaged = [f"{each.label}: the server's own files were damaged" for each in backups if each.damaged]
    lacking = archived(program, backups).lacking(backups[0].first) if backups else []
    gap = f"the archive lacks {shortened(lacking)}; from an older backup nothing after it can be restored"
    return [*damaged, *program.unsound(), *([gap] if lacking else [])]
