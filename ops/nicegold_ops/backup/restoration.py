"""The files of a PostgreSQL server restored from its repository, and its store proven.

What is restored archives nothing, so that a drill cannot harm the repository.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import sqlalchemy as sa

from nicegold_ops.backup.archive import Archive, archived, shortened
from nicegold_ops.backup.pgbackrest import Backed, Failed, PgBackRest
from nicegold_ops.backup.proof import Proven, proven
from nicegold_ops.backup.repository import opened
from nicegold_ops.backup.server import started
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.store.place import location, open_store, said

#: A store says which schema it has; the server, which transaction it played back last.
_STATE = sa.text("SELECT version_num, pg_last_xact_replay_timestamp() FROM alembic_version")
_MICROSECOND = 1000
#: pgBackRest's number for: no backup is old enough.
_NO_BACKUP = 75
#: Of a backup's label, where it begins.
_BEGINS = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", re.MULTILINE)
#: Of a timeline's history, the last line: from which it came, and where that ended.
_ORIGIN = re.compile(r"^(\d+)\s+([0-9A-F]+)/([0-9A-F]+)", re.MULTILINE)


class Target(msgspec.Struct, frozen=True):
    """Up to where to restore: a moment, or what was named by pg_create_restore_point. Else to the end."""

    time: datetime | None = None
    name: str | None = None

    def options(self) -> list[str]:
        if self.time is not None:
            return ["--type=time", f"--target={self.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"]
        return ["--type=name", f"--target={self.name}"] if self.name is not None else []

    def __str__(self) -> str:
        if self.time is not None:
            return self.time.isoformat()
        return f'restore point "{self.name}"' if self.name is not None else ""


class Restored(msgspec.Struct, frozen=True):
    """A server's files restored and proven, in so many *seconds*: copied, played back, and each chain read.

    *target* is empty for the end of the archive. *last_commit* (ns UTC, 0 if there was none) is of the last
    transaction that was played back. *missing* names the segments for lack of which it is not the end.
    """

    data: Path
    target: str
    schema: str
    proof: Proven
    last_commit: int
    missing: list[str]
    copying: float
    playing: float
    proving: float

    @property
    def seconds(self) -> float:
        return self.copying + self.playing + self.proving


def restore(
    store: str,
    data: Path,
    settings: Path,
    wanted: Mapping[str, str],
    *,
    target: Target,
    label: str | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Restored:
    """Restore the files of a server into the empty folder *data*, play back the archive, and prove *store*.

    *label* is the backup to begin with, the last that will do if not said. The server is started for
    that and stopped again; it archives nothing until somebody says so. Raises ConfigurationError when
    *data* is not empty, DataError when what is asked for is not there or not sound.
    """
    times = [timer()]
    url, data = location(store), data.absolute()
    _refuse_used(data)
    program = opened(settings, data, wanted)
    backups = program.backups()
    _refuse_unknown(label, backups, settings)
    _copy_back(program, data, target, label, backups)
    times.append(timer())
    with _played_back(program, data, target, backups) as reached:
        times.append(timer())
        schema, last_commit, proof = _proven(url.set(host=None, port=None, query=reached.query))
    times.append(timer())
    missing = [] if target.options() else _unread(archived(program, backups), data)
    copying, playing, proving = (after - before for before, after in pairwise(times))
    return Restored(data, str(target), schema, proof, last_commit, missing, copying, playing, proving)


def _refuse_used(data: Path) -> None:
    if not data.is_dir():
        raise ConfigurationError(
            f"{data} is not there; make it as the server's user: install -d -m 700 -o postgres {data}"
        )
    if (data / "postmaster.pid").exists():
        raise ConfigurationError(f"a server runs in {data}; stop it, and name an empty folder with --data")
    if any(data.iterdir()):
        raise ConfigurationError(
            f"{data} is not empty; move what is in there away, or name another with --data"
        )


def _refuse_unknown(label: str | None, backups: list[Backed], settings: Path) -> None:
    known = [each.label for each in backups]
    if not known:
        raise DataError(f"the repository of {settings} holds no backup")
    if label is not None and label not in known:
        raise DataError(f"the repository of {settings} holds no backup {label}; it holds {', '.join(known)}")


def _copy_back(
    program: PgBackRest, data: Path, target: Target, label: str | None, backups: list[Backed]
) -> None:
    promote = ["--target-action=promote"] if target.options() else []
    chosen = [f"--set={label}"] if label is not None else []
    options = [f"--pg1-path={data}", "--archive-mode=off", *target.options(), *promote, *chosen]
    try:
        program.run("restore", *options)
    except Failed as error:
        if error.code != _NO_BACKUP:
            raise
        ended = datetime.fromtimestamp(backups[0].ended / 1e9, UTC).isoformat()
        raise DataError(f"no backup is as old as {target}; the first one ended at {ended}") from None


@contextmanager
def _played_back(program: PgBackRest, data: Path, target: Target, backups: list[Backed]) -> Iterator[sa.URL]:
    """`started`, where what goes wrong before also says what the archive lacks."""
    with ExitStack() as stack:
        try:
            reached = stack.enter_context(started(data, program.owner))
        except DataError as error:
            lacking = archived(program, backups).lacking(_first_of(data))
            what = f"{target} was not reached" if target.options() else "it cannot be played back"
            why = f", and the archive lacks {shortened(lacking)}" if lacking else ""
            raise DataError(f"{error}: {what}{why}; empty {data} before the next try") from None
        yield reached


def _first_of(data: Path) -> str:
    """The segment with which the backup that was restored begins."""
    label = next(data.glob("backup_label*")).read_text(errors="replace")
    begins = _BEGINS.search(label)
    return begins[1] if begins else ""


def _proven(url: sa.URL) -> tuple[str, int, Proven]:
    """The schema of the store at *url*, its last commit that was played back, and what it holds."""
    place = url.set(query={}).render_as_string()
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            schema, commit = connection.execute(_STATE).one()
    except sa.exc.DBAPIError as error:
        raise DataError(
            f"{place} is restored and holds no store: {said(error)}; name its database and user with --store"
        ) from None
    finally:
        engine.dispose()
    store = open_store(url.render_as_string())
    try:
        return schema, round(commit.timestamp() * 1e6) * _MICROSECOND if commit else 0, proven(store)
    finally:
        store.dispose()


def _unread(archive: Archive, data: Path) -> list[str]:
    """The segments that the archive should have had, judged by where the recovery of *data* ended."""
    histories = sorted((data / "pg_wal").glob("*.history"))
    timeline, high, low = _ORIGIN.findall(histories[-1].read_text())[-1]
    return archive.unread(int(timeline), int(high, 16) << 32 | int(low, 16))
