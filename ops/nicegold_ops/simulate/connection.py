"""A connection that dies with its disk: what comes after a crash is `Crashed`, whatever SQLite made of it.

SQLite tells of a failed operation by an error code, and of some not at all (a checkpoint after a commit).
A process that is gone sees neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _watched(method: _Method) -> _Method:
    """Ask the disk before and after: also when SQLite raises, since a crash is its reason."""

    @wraps(method)
    def call(self: Connection | Cursor, *arguments: Any, **options: Any) -> Any:
        check = (self if isinstance(self, Connection) else self.connection).check
        check()
        try:
            return method(self, *arguments, **options)
        finally:
            check()

    return call  # type: ignore[return-value]  # it is called as *method* is


class Cursor(sqlite3.Cursor):
    """A cursor on a simulated disk."""

    connection: Connection

    execute = _watched(sqlite3.Cursor.execute)
    executemany = _watched(sqlite3.Cursor.executemany)
    executescript = _watched(sqlite3.Cursor.executescript)
    fetchone = _watched(sqlite3.Cursor.fetchone)
    fetchmany = _watched(sqlite3.Cursor.fetchmany)
    fetchall = _watched(sqlite3.Cursor.fetchall)
    __next__ = _watched(sqlite3.Cursor.__next__)


class Connection(sqlite3.Connection):
    """A connection to a database on a simulated disk."""

    #: Raises what the disk has to say to this connection.
    check: Callable[[], None]
    #: Whether the disk it was opened on is still there.
    is_mounted: Callable[[], bool]

    commit = _watched(sqlite3.Connection.commit)
    rollback = _watched(sqlite3.Connection.rollback)
    backup = _watched(sqlite3.Connection.backup)
    __exit__ = _watched(sqlite3.Connection.__exit__)

    # sqlite3's own go past `cursor`.

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self.cursor().executemany(*arguments)

    def executescript(self, *arguments: Any) -> Any:
        return self.cursor().executescript(*arguments)

    def close(self) -> None:
        """Close it: the last one to a database writes its log back, and may crash by that.

        After a crash there is nothing to do, and nothing is said.
        """
        was_mounted = self.is_mounted()
        super().close()
        if was_mounted:
            self.check()
