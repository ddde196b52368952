"""A real PostgreSQL, started for tests on a free port of this machine, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.services.prometheus import PATIENCE, until
from tests.services.required import missing

#: The server refuses root; this is whom Debian makes for it.
_ROOTS_SERVANT = "postgres"
_OWNER = "nicegold"


class PostgreSQL:
    """A server on loopback that trusts everybody. It can be stopped, killed and started again."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.port = free_port()
        self._folder, self._programs = folder, programs
        self._numbers = count(1)
        self._server: subprocess.Popen[bytes] | None = None
        done = subprocess.run(
            [
                str(programs / "initdb"),
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                f"--username={_OWNER}",
                f"--pgdata={self.data}",
            ],
            capture_output=True,
            text=True,
            check=False,
            **_as_servant(),
        )
        assert done.returncode == 0, done.stderr

    @property
    def data(self) -> Path:
        """The server's files."""
        return self._folder / "data"

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """What `open_store` takes; another *port* leads through a proxy."""
        return f"postgresql+psycopg://{_OWNER}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The name of a database that nobody has used."""
        name = f"store_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def guard(self, user: str, password: str, database: str) -> None:
        """Make *user*, who owns *database* and is trusted only with the *password*."""
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
            connection.execute(f"ALTER DATABASE {database} OWNER TO {user}")
            connection.execute("SELECT pg_reload_conf()")
        until(lambda: not self._answers(user), "PostgreSQL goes on trusting everybody")

    def unlock(self, database: str) -> None:
        """End the session that holds the lock of the account in *database*, as an operator may."""
        with self.connect(database) as connection:
            [(ended,)] = connection.execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks JOIN pg_stat_activity USING (pid) "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )
        assert ended

    def connect(self, database: str = "postgres", *, user: str = _OWNER) -> closing[psycopg.Connection[Any]]:
        """A connection past SQLAlchemy, each statement by itself."""
        connection = psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, dbname=database, autocommit=True, connect_timeout=5
        )
        return closing(connection)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    f"-D{self.data}",
                    f"-p{self.port}",
                    "-clisten_addresses=127.0.0.1",
                    f"-cunix_socket_directories={self._folder}",
                ],
                stdout=output,
                stderr=output,
                **_as_servant(),
            )
        until(lambda: self._answers() or self._has_ended(), "PostgreSQL is not ready")
        assert not self._has_ended(), f"PostgreSQL has ended:\n{log.read_text()}"

    def stop(self) -> None:
        """Shut down in order: connections are cut, what was committed is on the disk."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End at once, as a machine does that loses its processes; starting again recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(PATIENCE)
            self._server = None

    def _has_ended(self) -> bool:
        return self._server is None or self._server.poll() is not None

    def _answers(self, user: str = _OWNER) -> bool:
        try:
            with self.connect(user=user):
                return True
        except psycopg.OperationalError:
            return False


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A running server, whose files are gone afterwards; the test skips where PostgreSQL is not installed."""
    programs = _required_programs()
    # Not in pytest's folder, which only root may enter where root runs the tests.
    folder = Path(tempfile.mkdtemp(prefix="nicegold-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _ROOTS_SERVANT, _ROOTS_SERVANT)
        server = PostgreSQL(folder, programs)
        server.start()
        try:
            yield server
        finally:
            # What it would write on a shutdown in order is removed anyway.
            server.kill()
    finally:
        shutil.rmtree(folder)


def _required_programs() -> Path:
    """The folder of the server's programs; the test skips where it is not, unless services are required."""
    config = shutil.which("pg_config")
    if config is not None:
        folder = Path(subprocess.check_output([config, "--bindir"], text=True).strip())
        if (folder / "initdb").is_file():
            return folder
    missing("PostgreSQL's server is not installed; on Debian: apt-get install postgresql")


def _as_servant() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    # It may not enter the folder that the tests are run in.
    return {"user": _ROOTS_SERVANT, "group": _ROOTS_SERVANT, "extra_groups": [], "cwd": "/"}


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
