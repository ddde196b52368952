"""A disk in memory, for SQLite, that loses what was not synced, and that fails when it is told to.

Files follow `file.py`. Names follow POSIX: that a file was created or deleted survives a crash once its
directory is synced, and may or may not before. SQLite syncs the directory as its own VFS for Unix does:
with the first sync of a journal or write-ahead log that it opened, and after a deletion when it is asked
to (`synchronous = EXTRA`). test6.c keeps names at once, and so cannot see a journal that comes back.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from posixpath import dirname
from random import Random
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

import msgspec

from nicegold_ops.simulate.connection import Connection
from nicegold_ops.simulate.file import File
from nicegold_ops.simulate.vfs import Mount, Refused

Kind: TypeAlias = Literal["open", "write", "sync", "truncate", "delete", "sync directory", "read"]
Effect: TypeAlias = Literal["crash", "full", "error", "short", "slow"]

_CODES: dict[Kind, int] = {
    "open": sqlite3.SQLITE_CANTOPEN,
    "write": sqlite3.SQLITE_IOERR_WRITE,
    "sync": sqlite3.SQLITE_IOERR_FSYNC,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
    "delete": sqlite3.SQLITE_IOERR_DELETE,
    "sync directory": sqlite3.SQLITE_IOERR_DIR_FSYNC,
    "read": sqlite3.SQLITE_IOERR_READ,
}
#: Operations that the log goes back.
LOG_LENGTH = 10_000


class Crashed(BaseException):
    """The process is gone with its machine; nothing after this happens. No handler of errors catches it."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """*effect* befalls the *at*-th operation from now on (1 is the next), of that *kind* on that *name*.

    Without them it is any operation but a read. *lasting* is whether all that follow are befallen too;
    *seconds* is how long a slow one takes. "error" is the I/O error of the kind, "short" a write of which
    a part is done. The name of "sync directory" is the folder, "." where files have none.
    """

    effect: Effect
    at: int = 1
    kind: Kind | None = None
    name: str | None = None
    lasting: bool = False
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.at < 1:
            raise ValueError(f"at must be 1, the next operation, or more: it is {self.at}")
        if self.effect == "short" and self.kind != "write":
            raise ValueError(f'"short" befalls a write only: kind must be "write", it is {self.kind}')

    def befalls(self, kind: Kind, name: str | None) -> bool:
        """Whether it waits for such an operation."""
        is_kind = kind == self.kind if self.kind else kind != "read"
        return is_kind and self.name in (None, name)


class _Awaited(msgspec.Struct, eq=False):
    """A fault, and how many operations are left until its turn."""

    fault: Fault
    left: int


class Operation(msgspec.Struct, frozen=True):
    """What was asked of the disk, and which fault befell it. *offset* and *size* are bytes."""

    number: int
    kind: Kind
    name: str | None
    offset: int = 0
    size: int = 0
    fault: Effect | None = None

    def __str__(self) -> str:
        what = {
            "write": f"  {self.size} bytes at {self.offset}",
            "read": f"  {self.size} bytes at {self.offset}",
            "truncate": f"  to {self.size} bytes",
        }.get(self.kind, "")
        fault = f"  -> {self.fault}" if self.fault else ""
        return f"{self.number:6}  {self.kind:14}  {self.name or '(temporary)'}{what}{fault}"


class Disk:
    """Files by name, all synced when it starts with *files*.

    *seed* decides what SQLite draws, and what becomes of unsynced writes where nobody says. *capacity*
    is bytes for all files, None for no end. *clock* gives ns UTC to SQLite, and *wait* is told how many
    seconds something took; nothing sleeps. VfsUnavailable where this Python's SQLite takes no file layer.
    """

    def __init__(
        self,
        seed: int,
        *,
        files: Mapping[str, bytes] | None = None,
        sector_size: Literal[512, 4096] = 4096,
        capacity: int | None = None,
        clock: Callable[[], int] = lambda: 0,
        wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.sector_size = sector_size
        self.capacity = capacity
        self.clock = clock
        self.wait = wait
        #: Those of all generations, without reads.
        self.operations = 0
        #: The last ones, and reads that a fault befell; print them to see what happened.
        self.log: deque[Operation] = deque(maxlen=LOG_LENGTH)
        # Repeated, not guarded: each use has its own, so that one more draw here changes nothing there.
        self._damage = Random(f"damage {seed}")  # noqa: S311
        self._draw = Random(f"draw {seed}")  # noqa: S311
        self._faults: list[_Awaited] = []
        self._survivors: dict[str, bytes] | None = None
        self._start(files or {})

    def _start(self, files: Mapping[str, bytes]) -> None:
        self._names = {name: File(content) for name, content in files.items()}
        self._synced_names = dict(self._names)
        #: Names made and deleted (None) since the last sync of their directory.
        self._pending_names: list[tuple[str, File | None]] = []
        self._mount = Mount(self, self._draw.randbytes)

    # For who uses it.

    def uri(self, name: str) -> str:
        """What `sqlite3.connect(..., uri=True)` opens the database *name* by, until the next crash."""
        return f"file:{quote(name)}?vfs={self._mount.name}"

    def connect(self, name: str, **options: Any) -> Connection:
        """A connection to the database *name* that raises Crashed; *options* are sqlite3.connect's."""
        mount = self._mount
        self._check(mount)
        try:
            connection: Connection = sqlite3.connect(self.uri(name), uri=True, factory=Connection, **options)
        finally:
            self._check(mount)
        connection.check = partial(self._check, mount)
        connection.is_mounted = lambda: mount.is_alive
        return connection

    def inject(self, fault: Fault) -> None:
        """Let *fault* befall what comes."""
        self._faults.append(_Awaited(fault, fault.at))

    def heal(self) -> None:
        """No fault is left."""
        self._faults.clear()

    def crash(self, random: Random | None = None) -> None:
        """Cut the power: each open file is dead, and *random* decides what is left of unsynced writes.

        Where a fault crashed the disk before, it decides that of then.
        """
        self._mount.unmount(f"its power was cut after operation {self.operations}")
        self._survivors = self.image(random or self._damage)

    def restart(self) -> None:
        """Start again with what survived. Raises RuntimeError if the disk has not crashed."""
        if self._mount.is_alive:
            raise RuntimeError("the disk has not crashed: call crash() before restart()")
        if self._survivors is None:
            self.crash()
        survivors, self._survivors = self._survivors or {}, None
        self._start(survivors)

    def close(self) -> None:
        """Take it out of SQLite; connections that are open are dead."""
        self._mount.close()

    def image(self, random: Random) -> dict[str, bytes]:
        """The files that a crash now would leave, as *random* decides."""
        names = dict(self._synced_names)
        for name, file in self._pending_names:
            if random.getrandbits(1):
                _rename(names, name, file)
        return {name: file.survivor(random, self.sector_size) for name, file in names.items()}

    def files(self) -> dict[str, bytes]:
        """The files as programs see them: what is left when a process is killed and the machine runs on."""
        return {name: bytes(file.content) for name, file in self._names.items()}

    def rot(self, name: str, random: Random) -> int:
        """Flip a bit of what is on the disk of *name*, and say at which byte. Raises KeyError, ValueError."""
        return self._names[name].rot(random)

    def story(self) -> str:
        """The last operations, one a line."""
        return "\n".join(str(each) for each in self.log)

    # For SQLite.

    def open(self, name: str | None, *, create: bool, exclusive: bool) -> File:
        """The file *name*, or a temporary one for None."""
        self._operate("open", name)
        if name is None:
            return File()
        file = self._names.get(name)
        if file is None and create:
            file = File()
            self._name(name, file)
        elif file is None or exclusive:
            raise Refused(sqlite3.SQLITE_CANTOPEN)
        return file

    def exists(self, name: str) -> bool:
        """Whether there is a file *name* that is not empty: SQLite takes an empty one for none."""
        return bool(name in self._names and self._names[name].content)

    def read(self, name: str | None, file: File, offset: int, size: int) -> bytes:
        """What is there of *size* bytes from *offset*."""
        if self._faults:
            self._operate("read", name, offset, size)
        return bytes(memoryview(file.content)[offset : offset + size])

    def write(self, name: str | None, file: File, offset: int, data: bytes) -> None:
        """Write *data*, or what there is room for."""
        fault = self._operate("write", name, offset, len(data))
        room = self._room(file, offset, len(data))
        if fault == "short":
            room = min(room, self._damage.randrange(len(data)))
        if room:
            file.write(offset, data[:room])
        if room < len(data):
            raise Refused(sqlite3.SQLITE_FULL)

    def truncate(self, name: str | None, file: File, size: int) -> None:
        self._operate("truncate", name, 0, size)
        file.truncate(size)

    def sync(self, name: str | None, file: File) -> None:
        """What was written to *file* is on the disk, or nobody knows how much of it is."""
        try:
            self._operate("sync", name)
        except Refused:
            if self._mount.is_alive:
                file.fail_sync(self._damage, self.sector_size)
            raise
        file.sync()

    def sync_directory(self, name: str) -> None:
        """What was made and deleted beside *name* is on the disk."""
        folder = dirname(name)
        self._operate("sync directory", folder or ".")
        for each, file in self._pending_names:
            if dirname(each) == folder:
                _rename(self._synced_names, each, file)
        self._pending_names = [each for each in self._pending_names if dirname(each[0]) != folder]

    def delete(self, name: str) -> None:
        self._operate("delete", name)
        if name not in self._names:
            raise Refused(sqlite3.SQLITE_IOERR_DELETE_NOENT)
        self._name(name, None)

    # Inside.

    def _name(self, name: str, file: File | None) -> None:
        self._pending_names.append((name, file))
        _rename(self._names, name, file)

    def _room(self, file: File, offset: int, size: int) -> int:
        """How many of *size* bytes can be written."""
        if self.capacity is None:
            return size
        growth = max(0, offset + size - len(file.content))
        free = self.capacity - sum(len(each.content) for each in self._names.values())
        return size if growth <= free else max(0, size - growth + max(0, free))

    def _operate(self, kind: Kind, name: str | None, offset: int = 0, size: int = 0) -> Effect | None:
        """Count what is about to happen. Raises Refused when a fault keeps it from that."""
        effect = self._befall(kind, name) if self._faults else None
        if kind != "read":
            self.operations += 1
        if kind != "read" or effect:
            self.log.append(Operation(self.operations, kind, name, offset, size, effect))
        match effect:
            case "crash":
                self._mount.unmount(f"its power was cut at operation {str(self.log[-1]).strip()}")
                raise Refused(sqlite3.SQLITE_IOERR)
            case "full":
                raise Refused(sqlite3.SQLITE_FULL)
            case "error":
                raise Refused(_CODES[kind])
        return effect

    def _befall(self, kind: Kind, name: str | None) -> Effect | None:
        """The fault whose turn it is; of several the one that was injected first, and all that slow down."""
        effect: Effect | None = None
        for awaited in [each for each in self._faults if each.fault.befalls(kind, name)]:
            awaited.left -= 1
            if awaited.left > 0:
                continue
            fault = awaited.fault
            if not fault.lasting:
                self._faults.remove(awaited)
            if fault.effect == "slow":
                self.wait(fault.seconds)
            effect = fault.effect if effect in (None, "slow") else effect
        return effect

    def _check(self, mount: Mount) -> None:
        if mount.error is not None:
            error, mount.error = mount.error, None
            raise error
        if not mount.is_alive:
            raise Crashed(f"{mount.name} is gone: {mount.reason}")


def _rename(names: dict[str, File], name: str, file: File | None) -> None:
    """Let *name* be that of *file*, or of nothing."""
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file
