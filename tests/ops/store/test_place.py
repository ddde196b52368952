from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Journal, Run, all_runs
from nicegold_ops.store.place import StoreFailed, open_store, place_of

#: Nobody listens there.
NOWHERE = "postgresql+psycopg://trader:hunter2@127.0.0.1:1/gold"


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


def test_a_server_that_does_not_answer_is_named_without_the_password():
    with pytest.raises(StoreFailed) as failed:
        open_store(NOWHERE)

    said = str(failed.value)
    assert said.startswith("postgresql+psycopg://trader:***@127.0.0.1:1/gold: the journal cannot be opened: ")
    assert "refused" in said
    assert ("hunter2" in said, "\n" in said) == (False, False)


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "store.sqlite").mkdir()

    with pytest.raises(StoreFailed, match=r"store\.sqlite: the journal cannot be opened: unable to open"):
        open_store(tmp_path / "store.sqlite")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("state/journal.sqlite", "the URL of the store cannot be read; one is postgresql"),
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
