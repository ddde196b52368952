"""One live engine an account: whoever holds the state folder's lock, or its database's.

On a machine of its own the kernel holds the lock for the process and lets go of it when the process ends,
however that is. An engine that is paused holds it too, so nobody can have taken its place when it wakes.

A database's lock can be lost while its engine lives: it was cut off, or somebody ended its session. So each
engine also gets a token, higher than all before it, and whose token is not the last writes nothing any more.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

import sqlalchemy as sa

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import JournalFailed
from nicegold_ops.store.place import StoreFailed, place_of, said
from nicegold_ops.store.tables import fences, insert_into

FILE = "live.lock"
#: Any two numbers: whoever trades an account live holds the lock of this name in its database.
_LOCK = {"one": 0x6E696365, "two": 0x676F6C64}
_TAKE = sa.text("SELECT pg_try_advisory_lock(:one, :two)")
_GIVE = sa.text("SELECT pg_advisory_unlock(:one, :two)")
_SAY = sa.text("SELECT set_config('application_name', :name, false)")
_HOLDER = sa.text(
    "SELECT application_name, client_addr, pid FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (:one, :two, 2) "
    "AND datname = current_database()"
)
_NAME = "live"
#: From here to the end of its transaction nobody takes over. It is the last of its statements: who is paused
#: after it is waited for until the server undoes the transaction, in five seconds. That works after a single
#: statement and not after many sent at once, as what psycopg sends behind them stops the server's clock.
_HELD = (
    sa.select(fences.c.token, sa.func.set_config("idle_in_transaction_session_timeout", "5000", sa.true()))
    .where(fences.c.name == _NAME)
    .with_for_update(read=True)
)


class Fenced(JournalFailed):
    """Another engine has taken over the account; nothing may leave, not even a cancel."""


class FileFence:
    """The lock of *state*, held until `close`. Raises ConfigurationError while another engine has it."""

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._path = state / FILE
        self._file: IO[str] = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self._file.close()
            raise ConfigurationError(
                f"{self._path}: another engine{holder} trades this account live; "
                "stop it first, or name another folder in [run] state for another account"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def check(self, connection: sa.Connection) -> None:
        """Whose lock it is cannot change while this lives."""

    def close(self) -> None:
        """Let another engine trade. The file stays: one that is removed could be locked twice."""
        self._file.close()

    def _holder(self) -> str:
        self._file.seek(0)
        pid = self._file.read().strip()
        return f" (process {pid})" if pid.isdecimal() else ""


class ServerFence:
    """The lock of the database *store*, held until `close`, and this engine's token.

    Raises ConfigurationError while another engine has the lock, StoreFailed where it cannot be asked for.
    """

    def __init__(self, store: sa.Engine) -> None:
        self._place = place_of(store)
        try:
            with ExitStack() as undo:
                self._connection = undo.enter_context(store.connect())
                self._connection.execution_options(isolation_level="AUTOCOMMIT")
                # Nobody else gets the connection, and the lock goes when it does.
                self._connection.detach()
                self._take()
                undo.pop_all()
        except sa.exc.DBAPIError as error:
            raise StoreFailed(f"{self._place}: the account cannot be locked: {said(error)}") from None

    def _take(self) -> None:
        if not self._connection.execute(_TAKE, _LOCK).scalar():
            raise ConfigurationError(
                f"{self._place}: another engine{self._holder()} trades this account live; "
                "stop it first, or name another database in [run] store for another account"
            )
        self._connection.execute(_SAY, {"name": f"nicegold, process {os.getpid()}"})
        first = insert_into(fences, "postgresql").values(name=_NAME, token=1)
        higher = first.on_conflict_do_update(
            index_elements=[fences.c.name], set_={"token": fences.c.token + 1}
        )
        self._token: int = self._connection.execute(higher.returning(fences.c.token)).scalar_one()

    def check(self, connection: sa.Connection) -> None:
        """Raise Fenced where another has taken over. None does before *connection*'s transaction ends."""
        last: Any = connection.execute(_HELD).scalar()
        if last != self._token:
            raise Fenced(
                f"{self._place}: another engine has taken over this account (its token is {last}, ours "
                f"{self._token}); this one records and sends nothing more"
            )

    def close(self) -> None:
        """Let another engine trade."""
        # A server lets go a moment after a connection is closed, and who comes next must not meet that.
        with suppress(sa.exc.DBAPIError):
            self._connection.execute(_GIVE, _LOCK)
        self._connection.close()

    def _holder(self) -> str:
        found = self._connection.execute(_HOLDER, _LOCK).first()
        if found is None:
            return ""
        where = f" at {found.client_addr}" if found.client_addr else ""
        return f" ({found.application_name}{where}, process {found.pid} of the server)"


Fence: TypeAlias = FileFence | ServerFence


def fence_of(store: sa.Engine, state: Path) -> Fence:
    """The fence of the account whose journal is *store*: its server's, or the one in the folder *state*."""
    return ServerFence(store) if store.dialect.name == "postgresql" else FileFence(state)
