"""SQLite's file layer over a simulated disk: a VFS in the very library that Python's `sqlite3` uses.

https://www.sqlite.org/c3ref/vfs.html and https://www.sqlite.org/c3ref/io_methods.html tell what is
asked of each function. No exception leaves one: it becomes SQLite's code for it, and is kept.
"""

from __future__ import annotations

import ctypes
import itertools
import sqlite3
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegold_ops.errors import NicegoldError
from nicegold_ops.simulate.sharing import NONE, Sharing

if TYPE_CHECKING:
    from nicegold_ops.simulate.disk import Disk
    from nicegold_ops.simulate.file import File

#: Of https://www.sqlite.org/c3ref/c_open_autoproxy.html
_READONLY, _CREATE, _DELETE_ON_CLOSE, _EXCLUSIVE = 0x1, 0x4, 0x8, 0x10
_JOURNALS = 0x800 | 0x4000 | 0x80000
#: Of https://www.sqlite.org/c3ref/c_shm_exclusive.html
_SHM_UNLOCK, _SHM_SHARED = 1, 4
_POWERSAFE_OVERWRITE = 0x1000
_LONGEST_NAME = 512
#: ms from noon in Greenwich on November 24, 4714 B.C., from when SQLite counts, to 1970.
_EPOCH = 210_866_760_000_000
_Answer: TypeAlias = int | None


class VfsUnavailable(NicegoldError):
    """SQLite cannot be given another file layer here."""


class Refused(Exception):
    """What the disk does not do; *code* is SQLite's for it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        *(
            (name, c_void_p)
            for name in (
                "xOpen",
                "xDelete",
                "xAccess",
                "xFullPathname",
                "xDlOpen",
                "xDlError",
                "xDlSym",
                "xDlClose",
                "xRandomness",
                "xSleep",
                "xCurrentTime",
                "xGetLastError",
                "xCurrentTimeInt64",
            )
        ),
    )


_BORROWED = ("xDlOpen", "xDlError", "xDlSym", "xDlClose")


class _OpenFile(ctypes.Structure):
    _fields_ = (("pMethods", c_void_p),)


class Mount:
    """A disk under a name of its own, from its start to its crash.

    *draw* gives the random bytes that SQLite asks for.
    """

    _numbers = itertools.count(1)

    def __init__(self, disk: Disk, draw: Callable[[int], bytes]) -> None:
        self.disk = disk
        self.draw = draw
        self.is_alive = True
        #: Why it is not.
        self.reason = ""
        #: What went wrong in a function of ours, for the caller to raise.
        self.error: BaseException | None = None
        self.name = f"nicegold-disk-{next(self._numbers)}"
        self.open_files = 0
        self._sharing: dict[File, Sharing] = {}
        self._register()

    def _register(self) -> None:
        library = _library()
        default = library.sqlite3_vfs_find(None)
        self._vfs = _Vfs(2, ctypes.sizeof(_OpenFile), _LONGEST_NAME, zName=self.name.encode())
        for name, function in _VFS_FUNCTIONS.items():
            setattr(self._vfs, name, ctypes.cast(function, c_void_p))
        for name in _BORROWED:
            setattr(self._vfs, name, getattr(default.contents, name))
        with _LOCK:
            _sweep()
            _mounts[ctypes.addressof(self._vfs)] = self
        self._seed(library, default)
        self._probe()

    def _seed(self, library: ctypes.CDLL, default: Any) -> None:
        # SQLite has one generator in a process, and seeds it from the default VFS when it is next asked.
        library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        library.sqlite3_randomness(0, None)
        library.sqlite3_randomness(1, ctypes.create_string_buffer(1))
        library.sqlite3_vfs_register(default, 1)

    def _probe(self) -> None:
        try:
            sqlite3.connect(f"file::memory:?vfs={self.name}", uri=True).close()
        except sqlite3.OperationalError as error:
            self.unmount("it could not be used")
            raise VfsUnavailable(f"Python's sqlite3 uses another SQLite than {_library()}: {error}") from None

    def share(self, file: File) -> Sharing:
        """What those who have *file* open share."""
        sharing = self._sharing.setdefault(file, Sharing())
        sharing.users += 1
        return sharing

    def leave(self, file: File) -> None:
        """One of those who share *file* closed it."""
        sharing = self._sharing[file]
        sharing.users -= 1
        if not sharing.users:
            del self._sharing[file]

    def unmount(self, reason: str) -> None:
        """Nobody can open a file by it any more, and each open one answers with an error."""
        with _LOCK:
            if self.is_alive:
                self.is_alive = False
                self.reason = reason
                # Its files are large: so they go with it, and not when somebody looks for cycles.
                del self.disk
                _library().sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def close(self) -> None:
        """Unmount it for good: where it was the last one, SQLite draws what nobody can guess again."""
        self.unmount("it was closed")
        with _LOCK:
            is_last = not any(each.is_alive for each in _mounts.values())
        if is_last:
            _library().sqlite3_randomness(0, None)


class _Handle:
    """A file that is open by a *mount*. *name* is None for a temporary one."""

    def __init__(self, mount: Mount, file: File, name: str | None, *, syncs_directory: bool) -> None:
        self.mount = mount
        self.disk = mount.disk
        self.file = file
        self.name = name
        #: Whether the next sync makes names durable too.
        self.syncs_directory = syncs_directory
        self.sharing = mount.share(file)


#: SQLite knows no more of a mount and an open file than their addresses.
_mounts: dict[int, Mount] = {}
_handles: dict[int, _Handle] = {}
#: Connections of several threads come here; a collected connection comes while another is here.
_LOCK = RLock()


def _sweep() -> None:
    """Forget the mounts that are gone, and to which no open connection points."""
    for address, mount in list(_mounts.items()):
        if not mount.is_alive and not mount.open_files:
            del _mounts[address]


@cache
def _library() -> ctypes.CDLL:
    """The SQLite of Python's `sqlite3`. Raises VfsUnavailable where it cannot be reached."""
    import _sqlite3

    # A symbol is looked for in what the module itself is linked with; None is the program.
    place = getattr(_sqlite3, "__file__", None)
    try:
        library = ctypes.CDLL(place)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = (c_char_p,)
        library.sqlite3_vfs_register.argtypes = (c_void_p, c_int)
        library.sqlite3_vfs_unregister.argtypes = (c_void_p,)
        library.sqlite3_randomness.argtypes = (c_int, c_void_p)
    except (OSError, AttributeError) as error:
        raise VfsUnavailable(
            f"the SQLite of {place or 'this Python'} gives no access to its file layer ({error}); "
            "use a Python whose sqlite3 is linked with libsqlite3, as those of Debian and pyenv are"
        ) from None
    return library


# Functions of an open file.


def _close(handle: _Handle) -> _Answer:
    handle.sharing.unlock(handle, NONE)
    handle.sharing.unmap(handle)
    return None


def _read(handle: _Handle, target: int, size: int, offset: int) -> _Answer:
    data = handle.disk.read(handle.name, handle.file, offset, size)
    ctypes.memmove(target, data, len(data))
    if len(data) < size:
        ctypes.memset(target + len(data), 0, size - len(data))
        return sqlite3.SQLITE_IOERR_SHORT_READ
    return None


def _write(handle: _Handle, source: int, size: int, offset: int) -> _Answer:
    handle.disk.write(handle.name, handle.file, offset, ctypes.string_at(source, size))
    return None


def _truncate(handle: _Handle, size: int) -> _Answer:
    handle.disk.truncate(handle.name, handle.file, size)
    return None


def _sync(handle: _Handle, flags: int) -> _Answer:
    handle.disk.sync(handle.name, handle.file)
    if handle.syncs_directory and handle.name is not None:
        handle.disk.sync_directory(handle.name)
        handle.syncs_directory = False
    return None


def _file_size(handle: _Handle, size: int) -> _Answer:
    c_int64.from_address(size).value = len(handle.file.content)
    return None


def _lock(handle: _Handle, level: int) -> _Answer:
    return None if handle.sharing.lock(handle, level) else sqlite3.SQLITE_BUSY


def _unlock(handle: _Handle, level: int) -> _Answer:
    handle.sharing.unlock(handle, level)
    return None


def _check_reserved_lock(handle: _Handle, reserved: int) -> _Answer:
    c_int.from_address(reserved).value = handle.sharing.is_reserved()
    return None


def _file_control(handle: _Handle, operation: int, argument: int) -> _Answer:
    return sqlite3.SQLITE_NOTFOUND


def _sector_size(handle: _Handle) -> _Answer:
    return handle.disk.sector_size


def _characteristics(handle: _Handle) -> _Answer:
    return _POWERSAFE_OVERWRITE


def _shm_map(handle: _Handle, number: int, size: int, extend: int, region: int) -> _Answer:
    c_void_p.from_address(region).value = handle.sharing.region(handle, number, size, extend=bool(extend))
    return None


def _shm_lock(handle: _Handle, offset: int, count: int, flags: int) -> _Answer:
    slots = range(offset, offset + count)
    if flags & _SHM_UNLOCK:
        handle.sharing.release(handle, slots)
        return None
    take = handle.sharing.share if flags & _SHM_SHARED else handle.sharing.exclude
    return None if take(handle, slots) else sqlite3.SQLITE_BUSY


def _shm_barrier(handle: _Handle) -> _Answer:
    return None  # whoever comes here holds the lock of us all


def _shm_unmap(handle: _Handle, delete: int) -> _Answer:
    handle.sharing.unmap(handle)
    return None


# Functions of a mount.


def _open(mount: Mount, name: bytes | None, place: int, flags: int, given: int | None) -> _Answer:
    said = name.decode() if name is not None else None
    # SQLite asks for no close of a file that has no methods.
    opened = _OpenFile.from_address(place)
    opened.pMethods = None
    is_lasting = said is not None and not flags & _DELETE_ON_CLOSE
    file = mount.disk.open(
        said if is_lasting else None, create=bool(flags & _CREATE), exclusive=bool(flags & _EXCLUSIVE)
    )
    syncs_directory = bool(flags & _JOURNALS and flags & _CREATE)
    _handles[place] = _Handle(mount, file, said if is_lasting else None, syncs_directory=syncs_directory)
    mount.open_files += 1
    opened.pMethods = ctypes.addressof(_METHODS)
    if given:
        c_int.from_address(given).value = flags
    return None


def _delete(mount: Mount, name: bytes, sync: int) -> _Answer:
    mount.disk.delete(name.decode())
    if sync:
        mount.disk.sync_directory(name.decode())
    return None


def _access(mount: Mount, name: bytes, flags: int, answer: int) -> _Answer:
    c_int.from_address(answer).value = mount.disk.exists(name.decode())
    return None


def _full_path(mount: Mount, name: bytes, room: int, target: int) -> _Answer:
    if len(name) >= room:
        return sqlite3.SQLITE_CANTOPEN
    ctypes.memmove(target, name + b"\0", len(name) + 1)
    return None


def _randomness(mount: Mount, size: int, target: int) -> _Answer:
    ctypes.memmove(target, mount.draw(size), size)
    return size


def _sleep(mount: Mount, microseconds: int) -> _Answer:
    mount.disk.wait(microseconds / 1e6)
    return microseconds


def _milliseconds(mount: Mount) -> int:
    return _EPOCH + mount.disk.clock() // 1_000_000


def _current_time(mount: Mount, days: int) -> _Answer:
    ctypes.c_double.from_address(days).value = _milliseconds(mount) / 86_400_000
    return None


def _current_milliseconds(mount: Mount, milliseconds: int) -> _Answer:
    c_int64.from_address(milliseconds).value = _milliseconds(mount)
    return None


def _guarded(mount: Mount, function: Callable[..., _Answer], *arguments: Any) -> int:
    try:
        return function(*arguments) or sqlite3.SQLITE_OK
    except Refused as refused:
        return refused.code
    except BaseException as error:
        mount.error = mount.error or error
        return sqlite3.SQLITE_IOERR


def _of_file(function: Callable[..., _Answer]) -> Callable[..., int]:
    def call(place: int, *arguments: Any) -> int:
        with _LOCK:
            handle = _handles[place]
            if not handle.mount.is_alive:
                return sqlite3.SQLITE_IOERR
            return _guarded(handle.mount, function, handle, *arguments)

    return call


def _of_mount(function: Callable[..., _Answer]) -> Callable[..., int]:
    def call(address: int, *arguments: Any) -> int:
        with _LOCK:
            mount = _mounts[address]
            if not mount.is_alive:
                return sqlite3.SQLITE_IOERR
            return _guarded(mount, function, mount, *arguments)

    return call


def _closing(place: int) -> int:
    """A file is closed also after the crash: whoever has it open lets go of it."""
    with _LOCK:
        handle = _handles.pop(place)
        handle.mount.open_files -= 1
        code = _guarded(handle.mount, _close, handle)
        handle.mount.leave(handle.file)
        return code


def _function(call: Callable[..., int], *arguments: Any) -> Any:
    return CFUNCTYPE(c_int, c_void_p, *arguments)(call)


_VFS_FUNCTIONS = {
    "xOpen": _function(_of_mount(_open), c_char_p, c_void_p, c_int, c_void_p),
    "xDelete": _function(_of_mount(_delete), c_char_p, c_int),
    "xAccess": _function(_of_mount(_access), c_char_p, c_int, c_void_p),
    "xFullPathname": _function(_of_mount(_full_path), c_char_p, c_int, c_void_p),
    "xRandomness": _function(_of_mount(_randomness), c_int, c_void_p),
    "xSleep": _function(_of_mount(_sleep), c_int),
    "xCurrentTime": _function(_of_mount(_current_time), c_void_p),
    "xCurrentTimeInt64": _function(_of_mount(_current_milliseconds), c_void_p),
}
#: In the order of sqlite3_io_methods, version 2.
_FILE_FUNCTIONS = (
    _function(_closing),
    _function(_of_file(_read), c_void_p, c_int, c_int64),
    _function(_of_file(_write), c_void_p, c_int, c_int64),
    _function(_of_file(_truncate), c_int64),
    _function(_of_file(_sync), c_int),
    _function(_of_file(_file_size), c_void_p),
    _function(_of_file(_lock), c_int),
    _function(_of_file(_unlock), c_int),
    _function(_of_file(_check_reserved_lock), c_void_p),
    _function(_of_file(_file_control), c_int, c_void_p),
    _function(_of_file(_sector_size)),
    _function(_of_file(_characteristics)),
    _function(_of_file(_shm_map), c_int, c_int, c_int, c_void_p),
    _function(_of_file(_shm_lock), c_int, c_int, c_int),
    CFUNCTYPE(None, c_void_p)(_of_file(_shm_barrier)),
    _function(_of_file(_shm_unmap), c_int),
)


class _Methods(ctypes.Structure):
    _fields_ = (("iVersion", c_int), ("functions", c_void_p * len(_FILE_FUNCTIONS)))


_METHODS = _Methods(2, tuple(ctypes.cast(each, c_void_p).value for each in _FILE_FUNCTIONS))
