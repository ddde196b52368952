from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Journal, Run, all_runs
from nicegold_ops.store.place import StoreFailed, open_store, place_of
from tests.services.postgresql import PostgreSQL

#: Nobody listens there.
NOWHERE = "postgresql+psycopg://trader@127.0.0.1:1/gold"


@pytest.mark.parametrize(("durable", "setting"), [(True, "on"), (False, "off")])
def test_a_commit_to_postgresql_waits_for_the_disk_where_it_is_durable(server, durable, setting):
    store = open_store(server.url(server.new_database()), durable=durable)

    with store.connect() as one, store.connect() as another:
        found = [each.exec_driver_sql("SHOW synchronous_commit").scalar() for each in (one, another)]
    store.dispose()

    assert [setting, setting] == found


@pytest.mark.parametrize(("durable", "setting"), [(True, 2), (False, 0)])
def test_a_commit_to_sqlite_waits_for_the_disk_where_it_is_durable(tmp_path, durable, setting):
    store = open_store(tmp_path / "store.sqlite", durable=durable)

    with store.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")
        ]
    store.dispose()

    assert [setting, "wal"] == found


def test_what_is_in_memory_is_a_store_too():
    store = open_store(None)

    Journal(store, Run("r", "backtest", 1), cause=[0], durable=False, by_reference=False)

    assert [Run("r", "backtest", 1)] == all_runs(store)
    store.dispose()


def test_a_file_can_be_opened_in_another_way(tmp_path):
    opened: list[Path] = []

    def connect() -> sqlite3.Connection:
        opened.append(tmp_path / "elsewhere.sqlite")
        return sqlite3.connect(opened[-1])

    store = open_store(tmp_path / "named.sqlite", connect=connect)
    Journal(store, Run("r", "backtest", 1), cause=[0], durable=False, by_reference=False)
    store.dispose()

    assert opened
    assert not (tmp_path / "named.sqlite").exists()
    assert str(tmp_path / "named.sqlite") == place_of(store)


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(StoreFailed) as failed:
        open_store(NOWHERE)

    said = str(failed.value)
    assert said.startswith("postgresql+psycopg://trader@127.0.0.1:1/gold: the journal cannot be opened: ")
    assert ("refused" in said, "\n" in said) == (True, False)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://trader:hunter2@127.0.0.1:1/gold",
        "postgresql+psycopg://trader@127.0.0.1:1/gold?password=hunter2",
        "postgresql+psycopg://trader@127.0.0.1:1/gold?sslpassword=hunter2",
    ],
)
def test_a_url_with_a_password_is_refused_with_where_to_put_it(url):
    with pytest.raises(ConfigurationError, match=r"holds a password.*\.pgpass, in PGPASSWORD") as refused:
        open_store(url)

    assert "hunter2" not in str(refused.value)


@pytest.fixture(scope="module")
def guarded(server: PostgreSQL) -> str:
    """The URL of a database that asks for a password, which is hunter2."""
    database = server.new_database()
    server.guard("trader", "hunter2", database)
    return server.url(database).replace("nicegold@", "trader@")


def passfile(folder: Path) -> Path:
    path = folder / "pgpass"
    path.write_text("*:*:*:trader:hunter2\n")
    path.chmod(0o600)
    return path


def test_without_its_password_a_database_is_not_opened(guarded):
    with pytest.raises(StoreFailed, match=r"the journal cannot be opened: .*no password supplied"):
        open_store(guarded)


@pytest.mark.parametrize("variable", ["PGPASSWORD", "PGPASSFILE"])
def test_a_password_comes_from_the_environment_or_from_a_file(guarded, variable, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, "hunter2" if variable == "PGPASSWORD" else str(passfile(tmp_path)))

    store = open_store(guarded)

    assert [] == all_runs(store)
    store.dispose()


def test_a_service_may_say_all_of_it(guarded, tmp_path, monkeypatch):
    parts = sa.make_url(guarded)
    (tmp_path / "services").write_text(
        f"[gold]\nhost={parts.host}\nport={parts.port}\ndbname={parts.database}\nuser=trader\npassword=hunter2\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))

    store = open_store("postgresql+psycopg:///?service=gold")

    assert [] == all_runs(store)
    store.dispose()


def test_the_url_can_say_how_long_to_wait_for_the_server(server):
    impatient = open_store(server.url(server.new_database()) + "?connect_timeout=3&tcp_user_timeout=2000")
    with impatient.connect() as connection:
        driver: Any = connection.connection.driver_connection
        found = driver.info.get_parameters()
    impatient.dispose()

    assert ("3", "2000", "5") == tuple(
        found[name] for name in ("connect_timeout", "tcp_user_timeout", "keepalives_idle")
    )


def test_a_client_that_is_gone_is_noticed_by_the_server_within_ten_seconds(server):
    store = open_store(server.url(server.new_database()))
    with store.connect() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in (
                "tcp_keepalives_idle",
                "tcp_keepalives_interval",
                "tcp_keepalives_count",
                "lock_timeout",
            )
        ]
    store.dispose()

    assert ["5", "1", "5", "10s"] == found


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "store.sqlite").mkdir()

    with pytest.raises(StoreFailed, match=r"store\.sqlite: the journal cannot be opened: unable to open"):
        open_store(tmp_path / "store.sqlite")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("state/journal.sqlite", "the URL of the store cannot be read; one in PostgreSQL is postgresql"),
        (
            "postgresql://trader:hunter2@host/gold",
            r"begins with postgresql://; one in PostgreSQL is postgresql",
        ),
        ("sqlite:///journal.sqlite", "begins with sqlite://; one in PostgreSQL is "),
        ("mysql://trader:hunter2@host/gold", "begins with mysql://; one in PostgreSQL is "),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url, said):
    with pytest.raises(ConfigurationError, match=said) as refused:
        open_store(url)

    assert "hunter2" not in str(refused.value)


def test_the_driver_that_is_missing_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigurationError, match=r'needs psycopg: pip install "nicegold\[postgresql\]"'):
        open_store(NOWHERE)
