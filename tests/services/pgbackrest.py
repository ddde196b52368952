"""A real PostgreSQL that archives with a real pgBackRest, and the folders that both need."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from nicegold import Order, Side
from nicegold_ops.backup.owner import Owner, owner_of
from nicegold_ops.backup.server import archiving
from nicegold_ops.journal import Journal, Run, all_runs, open_journal
from tests.services.postgresql import PostgreSQL, postgresql
from tests.services.prometheus import until
from tests.services.required import program

PASSPHRASE = "nobody guesses so many words in a row"
_ENOUGH = 4 << 30


def order(number: int) -> Order:
    return Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.1"), id=f"gold-{number}", time=number)


class Site:
    """A server, the folder of a repository, and the file that says how pgBackRest finds it."""

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.owner: Owner = owner_of(server.data)
        self.owner.give(folder)
        self.settings = folder / "nicegold.conf"
        self.repository = folder / "repository"
        self._numbers = count(1)
        # As pgBackRest reaches it: as whom it runs.
        self.sql(f'CREATE ROLE "{self.owner.name}" SUPERUSER LOGIN')

    def place(self, first: int, last: int) -> None:
        """A run that records the orders from number *first* to *last*, each in a block of its own."""
        store = open_journal(self.server.url())
        begun = len(all_runs(store)) + 1
        run = Run(f"run-{begun}", "live", begun)
        journal = Journal(store, run, cause=[0], durable=True, by_reference=False)
        for number in range(first, last + 1):
            journal.record(order(number))
        store.dispose()

    def archive(self, timeout: int = 60) -> None:
        """Do what a backup of a server says that does not archive."""
        self.sql("ALTER SYSTEM SET archive_mode = 'on'")
        self.sql(f"ALTER SYSTEM SET archive_command = '{archiving(self.settings)}'")
        self.sql(f"ALTER SYSTEM SET archive_timeout = '{timeout}s'")
        self.server.stop()
        self.server.start()

    def new_folder(self) -> Path:
        """An empty one, which may become a server's."""
        folder = self.folder / f"data-{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        self.owner.give(folder)
        return folder

    def sql(self, statement: str) -> str:
        """The first cell that it answers, if it does."""
        with self.server.connect() as connection:
            cursor = connection.execute(statement)
            found = cursor.fetchone() if cursor.description else None
            return str(found[0]) if found else ""

    def segment(self, name: str) -> Path:
        """Where the archive of a repository in a folder has it."""
        [found] = self.repository.glob(f"archive/*/*/*/{name}-*")
        return found

    def close_segment(self) -> str:
        """Have the server archive all that was committed, and wait for it; answers the segment's name."""
        # A segment in which nothing is stays open.
        self.sql("SELECT pg_logical_emit_message(false, 'test', 'closed')")
        name = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        last = "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver"
        until(lambda: self.sql(last) >= name, f"{name} is not archived")
        return name


@contextmanager
def site() -> Iterator[Site]:
    """A server that does not archive yet; the test skips where pgBackRest is not installed."""
    program("pgbackrest", "pgbackrest")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", _fastest())
        folder = Path(tempfile.mkdtemp(prefix="nicegold-pgbackrest-"))
        # The server and nicegold inherit it, so that this machine's own locks and logs are not touched.
        patched.setenv("PGBACKREST_LOCK_PATH", str(folder / "lock"))
        patched.setenv("PGBACKREST_LOG_LEVEL_FILE", "off")
        try:
            with postgresql() as server:
                yield Site(server, folder)
        finally:
            shutil.rmtree(folder)


def _fastest() -> str:
    """Memory where there is enough: most of the time would go to bringing to a disk what is thrown away."""
    memory = Path("/dev/shm")  # noqa: S108
    if "TMPDIR" not in os.environ and memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH:
        return str(memory)
    return tempfile.gettempdir()
