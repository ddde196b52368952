"""A PostgreSQL server on this machine: what it archives and how, and one started to look at its files."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from nicegold_ops.backup.owner import Owner
from nicegold_ops.backup.pgbackrest import STANZA
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.store.place import StoreFailed, location, place_of, said

_SETTINGS = sa.text(
    "SELECT name, setting FROM pg_settings WHERE name IN ('data_directory', 'port', "
    "'unix_socket_directories', 'archive_mode', 'archive_command', 'archive_timeout', 'wal_segment_size')"
)
#: Where Debian and Red Hat keep a version's programs; elsewhere they are on the path.
_PROGRAMS = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin")
#: Of the server's own file on its state, the line that says that it takes connections.
_STATE_LINE = 7
_READY = "ready"
_PAUSE = 0.05
_FATAL = re.compile(r"FATAL:  (.*)")
_PORT = 5432


class Server(msgspec.Struct, frozen=True):
    """What a server says: its folder, how it is reached on this machine, what it archives and how.

    *archive_timeout* is the seconds after which it archives what it has; with 0 it waits for a whole segment.
    """

    data: Path
    port: int
    socket: str
    archive_mode: str
    archive_command: str
    archive_timeout: int
    segment_bytes: int


def asked(store: str) -> Server:
    """What the server of the database *store* says. Raises StoreFailed when it cannot be reached.

    Raises ConfigurationError when the user may not know, or the server is not on this machine.
    """
    engine = sa.create_engine(location(store))
    try:
        with engine.connect() as connection:
            found = {row.name: row.setting for row in connection.execute(_SETTINGS)}
    except sa.exc.DBAPIError as error:
        raise StoreFailed(f"{place_of(engine)}: the server cannot be asked: {said(error)}") from None
    finally:
        engine.dispose()
    if "data_directory" not in found:
        user = engine.url.username or "USER"
        raise ConfigurationError(
            f"{place_of(engine)}: {user} may not see where the server's files are; "
            f"GRANT pg_read_all_settings TO {user}"
        )
    return _here(found, place_of(engine))


def archiving(settings: Path) -> str:
    """The archive_command with which a server sends its WAL to the repository of *settings*."""
    return f"pgbackrest --config={shlex.quote(str(settings))} --stanza={STANZA} archive-push %p"


def refuse_unarchived(server: Server, settings: Path) -> None:
    """Raise ConfigurationError that says what to set, unless the server archives into that repository."""
    command, wrong = archiving(settings), []
    if server.archive_mode == "off":
        wrong.append("ALTER SYSTEM SET archive_mode = 'on'")
    if command.removeprefix("pgbackrest ") not in server.archive_command:
        quoted = command.replace("'", "''")
        wrong.append(f"ALTER SYSTEM SET archive_command = '{quoted}'")
    if not wrong:
        return
    if server.archive_timeout == 0:
        wrong.append("ALTER SYSTEM SET archive_timeout = '60s'")
    then = "restart it" if server.archive_mode == "off" else "SELECT pg_reload_conf()"
    raise ConfigurationError(
        f"the server in {server.data} does not archive into the repository of {settings}; "
        f"{'; '.join(wrong)}; then {then}, and try again"
    )


@contextmanager
def started(data: Path, owner: Owner, pause: Callable[[float], None] = time.sleep) -> Iterator[sa.URL]:
    """The server of *data* when it has played back all that it was told to; it is stopped at the end.

    Only who may enter its temporary folder reaches it, and it archives nothing. Raises DataError with what
    the server says when it ends instead.
    """
    program = _program(data)
    with tempfile.TemporaryDirectory(prefix="nicegold-restore-") as name:
        folder = Path(name)
        owner.give(folder)
        log = folder / "log"
        command = [str(program), *_options(data, folder)]
        with (
            log.open("wb") as output,
            # A program of PostgreSQL, and options that are all ours.
            subprocess.Popen(  # noqa: S603
                command, stdout=output, stderr=output, **owner.becoming()
            ) as server,
        ):
            try:
                while not _is_ready(data):
                    if server.poll() is not None:
                        raise DataError(f"{data}: the server ended: {_last_words(log)}")
                    pause(_PAUSE)
                yield sa.URL.create("postgresql+psycopg", query={"host": name, "port": str(_PORT)})
            finally:
                server.send_signal(signal.SIGINT)


def _here(found: dict[str, str], place: str) -> Server:
    data = Path(found["data_directory"])
    if not data.is_dir():
        raise ConfigurationError(
            f"{place}: the server's folder {data} is not on this machine; run this where the server runs"
        )
    return Server(
        data=data,
        port=int(found["port"]),
        socket=found["unix_socket_directories"].split(",")[0].strip(),
        archive_mode=found["archive_mode"],
        archive_command=found["archive_command"],
        archive_timeout=int(found["archive_timeout"]),
        segment_bytes=int(found["wal_segment_size"]),
    )


def _program(data: Path) -> Path:
    version = (data / "PG_VERSION").read_text().strip()
    places = [Path(place.format(version)) / "postgres" for place in _PROGRAMS]
    found = [place for place in places if place.is_file()]
    on_path = shutil.which("postgres")
    if not found and on_path is None:
        raise ConfigurationError(
            f"{data} needs PostgreSQL {version}, which is not installed; "
            f"apt-get install postgresql-{version}, or put the folder of its program postgres on the PATH"
        )
    return found[0] if found else Path(on_path or "")


def _options(data: Path, folder: Path) -> list[str]:
    """As few of *data*'s own settings as can be: certificates, logs and ports were elsewhere."""
    rules = folder / "hba"
    rules.write_text("local all all trust\n")
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": folder,
        "unix_socket_permissions": "0700",
        "hba_file": rules,
        "external_pid_file": "",
        "logging_collector": "off",
        "log_destination": "stderr",
        "lc_messages": "C",
        "ssl": "off",
        "archive_mode": "off",
        # So that it need not have as many connections as the one whose files these are.
        "hot_standby": "off",
    }
    if not (data / "postgresql.conf").exists():
        # Debian keeps it elsewhere.
        settings["config_file"] = folder / "postgresql.conf"
        (folder / "postgresql.conf").touch()
    return [f"-D{data}", f"-p{_PORT}", *(f"-c{name}={value}" for name, value in settings.items())]


def _is_ready(data: Path) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > _STATE_LINE and lines[_STATE_LINE].strip() == _READY


def _last_words(log: Path) -> str:
    said = log.read_text(errors="replace")
    found = _FATAL.findall(said)
    return found[-1] if found else " ".join(said.splitlines()[-1:])
