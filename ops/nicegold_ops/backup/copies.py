"""Copies of a journal: made while a session writes to it, verified, kept, and put back.

A copy gets its name only when it is whole, sound and on the disk, with a manifest beside it that
says what it holds. The journal itself is only ever read here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from urllib.parse import quote

import msgspec
import sqlalchemy as sa

from nicegold_ops.backup import BackupFailed
from nicegold_ops.backup.proof import Committed, Copied, Number, Proven, asked, digest_at, proven
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.journal import journal_path

_SUFFIX = ".sqlite"
#: After the name of a copy, the name of its manifest.
_MANIFEST = ".json"
#: After the name of what is still being written; such names begin with a dot.
_HALF = ".half"
_LOCK = ".nicegold-backup.lock"
#: What SQLite keeps beside a file. It would play an old log back into a journal that is put there.
_BESIDE = ("-wal", "-shm", "-journal")
#: The permissions of what is half there, so that nobody reads it who may not read the whole.
_OURS = 0o600
#: Bytes that a copy leaves free on the disk of its journal: a full one stops trading.
_RESERVE = 100_000_000
_PIECE = 1 << 20
#: Digits of a digest that a person needs to see that it is another.
_SHOWN = 12
_SECOND = 1_000_000_000
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Manifest(msgspec.Struct, frozen=True):
    """What a copy is: all that was committed to *journal* at *made_at* (ns UTC), and its *bytes*.

    *nicegold* is the version that made it.
    """

    made_at: Number
    nicegold: str
    journal: str
    bytes: Number
    sha256: str
    runs: list[Copied]

    @property
    def events(self) -> int:
        return sum(each.last_sequence for each in self.runs)

    @property
    def orders(self) -> int:
        return sum(each.orders for each in self.runs)


class Backup(msgspec.Struct, frozen=True):
    """A copy that was made in so many *seconds*, and what became of older ones when asked to keep few.

    *spared* hold something that the new copy does not.
    """

    file: Path
    manifest: Manifest
    seconds: float
    removed: list[Path]
    spared: list[Path]


class Listed(msgspec.Struct, frozen=True):
    """A copy in a folder. *problem* says why it cannot be trusted; it is empty when it is verified."""

    file: Path
    manifest: Manifest | None
    problem: str


class Behind(msgspec.Struct, frozen=True):
    """What *journal* has and the copy does not.

    *seconds* is the time from the copy until that journal was last written, 0 if nothing is missing.
    """

    journal: Path
    runs: int
    events: int
    orders: int
    seconds: float


class Restored(msgspec.Struct, frozen=True):
    """A journal that was put back in so many *seconds*, verification included.

    *behind* is None where the old journal cannot be read, and *untold* says why.
    """

    journal: Path
    file: Path
    manifest: Manifest
    last_order: Committed | None
    seconds: float
    behind: Behind | None
    untold: str


def free_bytes(folder: Path) -> int:
    """What can still be written to the disk of *folder*."""
    return shutil.disk_usage(folder).free


def make(
    journal: Path,
    to: Path,
    *,
    now: int,
    keep: int | None = None,
    free: Callable[[Path], int] = free_bytes,
    timer: Callable[[], float] = time.perf_counter,
) -> Backup:
    """Copy *journal*, which may be written meanwhile, as it is at *now* (ns UTC).

    *to* is a folder, in which the copy is named after the time, or the copy's own name, which ends
    in .sqlite. With *keep*, older copies are removed until so many are left. Raises DataError when
    the journal is not sound, BackupFailed when the copy cannot be written; then there is none.
    """
    began = timer()
    if not journal.is_file():
        raise DataError(f"{journal}: there is no journal; name its folder with --state")
    own_name = is_copy(to)
    folder = to.parent if own_name else to
    with _alone_in(folder, "--to"):
        path = to if own_name else _named_after(now, folder)
        if path.exists():
            raise ConfigurationError(f"{path} is there already; name another, or a folder, with --to")
        _refuse_little_room(journal, folder, free)
        manifest = _copied(journal, path, now)
        removed, spared = _thinned(folder, path, keep) if keep else ([], [])
    return Backup(path, manifest, timer() - began, removed, spared)


def is_copy(to: Path) -> bool:
    """Whether *to* names a copy, not a folder of them."""
    return to.suffix == _SUFFIX and not to.is_dir()


def listed(folder: Path) -> list[Listed]:
    """The copies in *folder*, oldest first, each compared with its manifest byte for byte."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; name the one of the copies with --to")
    found = [_looked_at(path) for path in _copies(folder)]
    return sorted(found, key=lambda each: (each.manifest.made_at if each.manifest else 0, each.file))


def restore(
    copy: Path,
    state: Path,
    *,
    old: Path | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Restored:
    """Put *copy* into the folder *state* as its journal, verified before it has that name.

    *old* is the journal that was lost, the one that the copy was made of if not said. Raises
    ConfigurationError when *state* holds a journal, DataError when the copy is not what its manifest
    says, BackupFailed when it cannot be written; then nothing is restored.
    """
    began = timer()
    if not copy.is_file():
        raise DataError(f"{copy}: there is no copy; see nicegold backup --list --to {copy.parent}")
    manifest = _manifest_of(copy)
    journal = journal_path(state)
    with _alone_in(state, "--state"):
        _refuse_journal(journal)
        last = _put_back(copy, journal, manifest)
    seconds = timer() - began
    behind, untold = _behind(old or Path(manifest.journal), journal, manifest)
    return Restored(journal, copy, manifest, last, seconds, behind, untold)


# Making a copy.


@contextmanager
def _alone_in(folder: Path, option: str) -> Iterator[None]:
    """Nobody else writes copies into *folder* meanwhile; what an interrupted one left there goes.

    Raises BackupFailed for whatever cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("w") as lock:
            _lock(lock.fileno(), folder)
            for left in folder.glob(f".*{_SUFFIX}*{_HALF}"):
                left.unlink()
            yield
    except OSError as error:
        raise BackupFailed(
            f"{error.filename or folder}: {error.strerror}; make room, or name another folder with {option}"
        ) from None


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupFailed(f"{folder}: another copy is being written there; wait until it is done") from None


def _named_after(now: int, folder: Path) -> Path:
    began = f"journal-{datetime.fromtimestamp(now // _SECOND, UTC):%Y%m%dT%H%M%SZ}"
    names = chain([began], (f"{began}-{number}" for number in count(2)))
    paths = (folder / f"{name}{_SUFFIX}" for name in names)
    return next(path for path in paths if not path.exists() and not _beside(path).exists())


def _beside(copy: Path) -> Path:
    """Where the manifest of *copy* is."""
    return copy.with_name(f"{copy.name}{_MANIFEST}")


def _log_of(journal: Path) -> Path:
    """Where SQLite keeps what was committed last."""
    return journal.with_name(f"{journal.name}-wal")


def _half_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{_HALF}")


def _refuse_little_room(journal: Path, folder: Path, free: Callable[[Path], int]) -> None:
    """Better refused than found out on the way: where both are on one disk the session needs room too."""
    needed = sum(path.stat().st_size for path in (journal, _log_of(journal)) if path.exists())
    if journal.stat().st_dev == folder.stat().st_dev:
        needed += _RESERVE
    found = free(folder)
    if found < needed:
        raise BackupFailed(
            f"{folder} has {found / 1e6:,.1f} MB free, and the copy needs {needed / 1e6:,.1f} MB; "
            "make room, or name another folder with --to"
        )


def _copied(journal: Path, path: Path, now: int) -> Manifest:
    half, half_manifest = _half_of(path), _half_of(_beside(path))
    with _gone_afterwards(half, half_manifest):
        _copy(journal, half)
        runs = _verified(half, journal).runs
        manifest = Manifest(
            made_at=now,
            nicegold=version("nicegold"),
            journal=str(journal.absolute()),
            bytes=half.stat().st_size,
            sha256=_sha256(half),
            runs=runs,
        )
        half_manifest.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        _sync(half_manifest)
        # In this order: what has the name of a copy has its manifest.
        half_manifest.replace(_beside(path))
        half.replace(path)
        _sync(path.parent)
    return manifest


@contextmanager
def _gone_afterwards(*halves: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for half in halves:
            with suppress(OSError):
                half.unlink()


def _copy(journal: Path, half: Path) -> None:
    """All that is committed to *journal*, in a file that is on the disk."""
    half.touch(_OURS)
    try:
        with closing(_connected(journal)) as source, closing(sqlite3.connect(half)) as copy:
            _refuse_unreadable(source, journal)
            # Nobody reads it before it is whole, so it is brought to the disk once, at its end.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            # In one step, which sees one state: in several, a busy session would make it begin again.
            source.backup(copy)
    # SQLite's message is not text where it quotes what is damaged.
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _DAMAGE:
            raise DataError(f"{journal} cannot be copied: {error}; restore it from an older copy") from None
        raise BackupFailed(
            f"{half.parent}: the copy of {journal} failed: {error}; "
            "make room, or name another folder with --to"
        ) from None
    shutil.copymode(journal, half)
    _sync(half)


def _refuse_unreadable(source: sqlite3.Connection, journal: Path) -> None:
    """So that a journal that cannot be opened is not taken for a copy that cannot be written."""
    try:
        source.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{journal} cannot be read: {error}; if its disk is read-only, copy {journal.name}* to one "
            "that is not and name that folder with --state"
        ) from None


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    """The bytes of the copy *path*. Raises DataError when they cannot be read."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


# Keeping few.


def _thinned(folder: Path, made: Path, keep: int) -> tuple[list[Path], list[Path]]:
    """Remove all but *keep* copies; answers what is gone, and what was spared.

    Only what *made*, which was verified just now, holds too can go: a journal that began anew does
    not push out the copies of the one that was lost.
    """
    older = [(path, _manifest_or_none(path)) for path in _copies(folder) if path != made]
    known = [(path, manifest) for path, manifest in older if manifest is not None and path.exists()]
    known.sort(key=lambda each: each[1].made_at, reverse=True)
    with _readable(made) as store:
        held = [path for path, manifest in known if _holds(store, manifest.runs)]
    removed = held[keep - 1 :]
    for path in removed:
        path.unlink()
        _beside(path).unlink()
    return removed, [path for path, _ in known if path not in held]


def _holds(store: sa.Engine, runs: list[Copied]) -> bool:
    """Whether the chains of *store* are those of *runs*, or go on from where those end."""
    return all(each.head == digest_at(store, each.run, each.last_sequence) for each in runs)


# What copies there are.


def _copies(folder: Path) -> list[Path]:
    """The copies in *folder*, also those of which only the manifest is left."""
    manifests = (path.with_suffix("") for path in folder.glob(f"*{_SUFFIX}{_MANIFEST}"))
    return sorted({*folder.glob(f"*{_SUFFIX}"), *manifests})


def _looked_at(path: Path) -> Listed:
    manifest = None
    try:
        manifest = _manifest_of(path)
        _refuse_other_bytes(path, _sha256(path), manifest)
    except DataError as error:
        return Listed(path, manifest, str(error))
    return Listed(path, manifest, "")


def _manifest_or_none(copy: Path) -> Manifest | None:
    try:
        return _manifest_of(copy)
    except DataError:
        return None


class _Maker(msgspec.Struct):
    """All that is read of a manifest before it is known that it can be."""

    nicegold: str


def _manifest_of(copy: Path) -> Manifest:
    """Raises DataError when there is none, or none that this version can read."""
    path = _beside(copy)
    try:
        said = path.read_bytes()
        _refuse_newer(copy, msgspec.json.decode(said, type=_Maker).nicegold)
        return msgspec.json.decode(said, type=Manifest)
    except OSError as error:
        raise DataError(
            f"{copy} has no manifest that can be read: {path}: {error.strerror}; "
            "bring it from where the copy was made"
        ) from None
    # Text that is no UTF-8 is no MsgspecError.
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a manifest: {error}; bring it from where the copy was made") from None


def _refuse_newer(copy: Path, maker: str) -> None:
    ours = version("nicegold")
    if _release(maker) > _release(ours):
        raise DataError(
            f"{copy} was made by nicegold {maker}, which is newer than this {ours}; "
            f'pip install "nicegold>={maker}"'
        )


def _release(name: str) -> list[int]:
    """The numbers with which a version begins."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", name)
    return [int(number) for number in found[0].split(".")] if found else []


# Putting one back.


def _refuse_journal(journal: Path) -> None:
    for path in (journal, *(journal.with_name(journal.name + suffix) for suffix in _BESIDE)):
        if path.exists():
            raise ConfigurationError(
                f"{path} is there already; name an empty folder with --state, "
                f"or move {journal.name} and all {journal.name}-* away together"
            )


def _put_back(copy: Path, journal: Path, manifest: Manifest) -> Committed | None:
    half = _half_of(journal)
    with _gone_afterwards(half):
        sha256 = _duplicated(copy, half)
        try:
            _refuse_other_bytes(copy, sha256, manifest)
        except DataError as error:
            raise _placed(error, half, copy) from None
        proof = _verified(half, copy)
        _refuse_other_runs(copy, proof.runs, manifest)
        half.replace(journal)
        _sync(journal.parent)
    return proof.last_order


def _duplicated(copy: Path, half: Path) -> str:
    """The SHA-256 of what was copied from *copy* to *half*, which is on the disk."""
    digest = hashlib.sha256()
    half.touch(_OURS)
    with half.open("wb") as target:
        for piece in _pieces(copy):
            digest.update(piece)
            target.write(piece)
    # A copy may be there to be read alone; a journal is written.
    half.chmod(copy.stat().st_mode & 0o777 | _OURS)
    _sync(half)
    return digest.hexdigest()


def _refuse_other_bytes(copy: Path, sha256: str, manifest: Manifest) -> None:
    found = copy.stat().st_size
    if found != manifest.bytes:
        raise DataError(f"{copy} has {found:,} bytes, and its manifest says {manifest.bytes:,}")
    if sha256 != manifest.sha256:
        raise DataError(
            f"{copy} has SHA-256 {sha256[:_SHOWN]}…, and its manifest says {manifest.sha256[:_SHOWN]}…"
        )


def _placed(mismatch: DataError, half: Path, copy: Path) -> DataError:
    """*mismatch*, with the block that was changed where that can be told."""
    try:
        _verified(half, copy)
        where = "every block in it is sound, so what was changed is outside of them or is the manifest"
    except DataError as error:
        where = str(error).removeprefix(str(copy)).lstrip(": ")
    return DataError(f"{mismatch}: {where}; restore another: nicegold backup --list --to {copy.parent}")


def _refuse_other_runs(copy: Path, runs: list[Copied], manifest: Manifest) -> None:
    if runs == manifest.runs:
        return
    said = {each.run: each for each in manifest.runs}
    other = next((each.run for each in runs if said.get(each.run) != each), None)
    what = f"run {other} in it is not the one that" if other else "it has fewer runs than"
    raise DataError(
        f"{copy} does not match {_beside(copy)}: {what} the manifest says; "
        f"restore another: nicegold backup --list --to {copy.parent}"
    )


def _behind(old: Path, restored: Path, manifest: Manifest) -> tuple[Behind | None, str]:
    """How far the copy is behind the journal *old*, or why that cannot be told."""
    try:
        return _compared(old, restored, manifest), ""
    except DataError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{old}: {error.strerror}"


def _compared(old: Path, restored: Path, manifest: Manifest) -> Behind:
    if old.samefile(restored):
        raise DataError(f"{old} is what was restored; name the folder of the old one with --old")
    written = max(path.stat().st_mtime_ns for path in (old, _log_of(old)) if path.exists())
    with _readable(old, still=False) as store:
        if not _holds(store, manifest.runs):
            raise DataError(f"{old} is another journal")
        found = proven(store)
    events, orders = found.events - manifest.events, found.orders - manifest.orders
    seconds = max(0, written - manifest.made_at) / 1e9 if events else 0.0
    return Behind(old, len(found.runs) - len(manifest.runs), events, orders, seconds)


# Reading a file without leaving a trace.


def _verified(path: Path, named: Path) -> Proven:
    """What the copy *path* holds. Raises DataError, which calls the copy *named*."""
    with _readable(path, named) as store:
        # First, since it can name the block.
        proof = proven(store)
        found = asked(store, "PRAGMA integrity_check(1)")
        if found != "ok":
            # Above what is wrong SQLite says in which database.
            raise DataError(f"{named} is damaged: {str(found).splitlines()[-1]}")
        return proof


@contextmanager
def _readable(path: Path, named: Path | None = None, *, still: bool = True) -> Iterator[sa.Engine]:
    """*path*, to be read and not written; errors call it *named*. *still*: nobody else has it open."""
    store = sa.create_engine(
        sa.URL.create("sqlite", database=str(named or path)),
        creator=lambda: _connected(path, still=still),
    )
    try:
        yield store
    finally:
        store.dispose()


def _connected(path: Path, *, still: bool = False) -> sqlite3.Connection:
    options = "mode=ro&immutable=1" if still else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{options}", uri=True)
