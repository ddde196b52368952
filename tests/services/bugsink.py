"""A real Bugsink on a free port of this machine: it takes what sentry-sdk sends, and makes issues of it.

`python -m tests.services.bugsink` installs it, with an empty database. It digests an event before it answers.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.services import wheels
from tests.services.asking import answers
from tests.services.cache import kept, making, run
from tests.services.postgresql import free_port
from tests.services.process import Process, running
from tests.services.required import missing

_HOW = "python -m tests.services.bugsink"
_KEY = "0123456789abcdef0123456789abcdef"

_SETTINGS = """
import os

from bugsink.settings.default import *

SECRET_KEY = "known to everybody"
# There is no process beside it that would digest later.
SNAPPEA = {"TASK_ALWAYS_EAGER": True}
BUGSINK = {
    "BASE_URL": os.environ["BUGSINK_URL"],
    "INGEST_STORE_BASE_DIR": os.environ["BUGSINK_FOLDER"] + "/ingestion",
    "PHONEHOME": False,
}
"""

_EMPTY = f"""
import django

django.setup()

from django.core.management import call_command
from projects.models import Project
from teams.models import Team

call_command("migrate", verbosity=0)
call_command("migrate", verbosity=0, database="snappea")
team = Team.objects.create(name="gold")
project = Project.objects.create(id=1, name="gold", team=team, sentry_key="{_KEY}")
"""

_ISSUES = "SELECT id, calculated_type, calculated_value FROM issues_issue ORDER BY digest_order"
_EVENTS = "SELECT id, data FROM events_event WHERE issue_id = ? ORDER BY digest_order"
_TAGS = (
    "SELECT key, value FROM tags_eventtag JOIN tags_tagvalue ON value_id = tags_tagvalue.id "
    "JOIN tags_tagkey ON key_id = tags_tagkey.id WHERE event_id = ?"
)


class Event(NamedTuple):
    """One of an issue: its tags, those among them that Bugsink made itself, and all that was sent."""

    tags: dict[str, str]
    data: dict[str, Any]


class Issue(NamedTuple):
    """What Bugsink takes for one cause: the exception's type and text, and its events, oldest first."""

    type: str
    value: str
    events: list[Event]


class Bugsink(Process):
    """A server with one project. It can be stopped, killed and started again, and keeps what it has."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._database = folder / "db.sqlite3"
        #: Where sentry-sdk sends to.
        self.dsn = f"http://{_KEY}@127.0.0.1:{self.port}/1"
        # It takes no other packages than its own.
        gunicorn = [sys.executable, "-S", "-m", "gunicorn", "--no-control-socket"]
        super().__init__(
            [*gunicorn, f"--bind=127.0.0.1:{self.port}", "bugsink.wsgi"],
            folder / "log",
            lambda: answers(self.port, "/health/ready"),
            _environment(folder, f"http://127.0.0.1:{self.port}"),
        )

    def issues(self) -> list[Issue]:
        """What it has digested, oldest first."""
        with closing(sqlite3.connect(self._database)) as database:
            return [
                Issue(kind, value, [_event(database, *event) for event in database.execute(_EVENTS, (id,))])
                for id, kind, value in database.execute(_ISSUES).fetchall()
            ]


@contextmanager
def bugsink() -> Iterator[Bugsink]:
    """A running server, whose files are gone afterwards; the test skips where it was not installed."""
    wheels.required("bugsink", _HOW)
    if not _empty().exists():
        missing(f"Bugsink has no database: {_HOW}")
    with tempfile.TemporaryDirectory(prefix="nicegold-bugsink-") as folder:
        shutil.copytree(_empty(), folder, dirs_exist_ok=True)
        with running(Bugsink(Path(folder))) as server:
            yield server


def fetch() -> Path:
    """The folder of an empty database, made unless it was, as what reads it is installed."""
    wheels.install("bugsink")
    place = _empty()
    if not place.exists():
        with making(place) as half:
            half.mkdir()
            (half / "bugsink_conf.py").write_text(_SETTINGS)
            environment = {**os.environ, **_environment(half, "http://127.0.0.1")}
            run([sys.executable, "-S", "-c", _EMPTY], "Bugsink makes no database", env=environment)
    return place


def _empty() -> Path:
    return kept("bugsink-database", *wheels.pins("bugsink"), _SETTINGS.encode(), _EMPTY.encode())


def _environment(folder: Path, url: str) -> dict[str, str]:
    """Where Bugsink finds its packages, its settings and its databases, which are in *folder*."""
    return {
        "PYTHONPATH": f"{wheels.folder('bugsink')}:{folder}",
        "DJANGO_SETTINGS_MODULE": "bugsink_conf",
        "BUGSINK_URL": url,
        "BUGSINK_FOLDER": str(folder),
        "DATABASE_PATH": str(folder / "db.sqlite3"),
        "SNAPPEA_DATABASE_PATH": str(folder / "snappea.sqlite3"),
    }


def _event(database: sqlite3.Connection, id: str, data: str) -> Event:
    return Event(dict(database.execute(_TAGS, (id,)).fetchall()), json.loads(data))


if __name__ == "__main__":
    print(fetch())
