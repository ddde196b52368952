"""Stores for tests, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold_ops.store.place import open_store
from tests.services.postgresql import PostgreSQL, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """One server for all tests; each has a database of its own."""
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where there is nothing yet, and a store can be made."""
    if request.param == "sqlite":
        return tmp_path / "store.sqlite"
    running: PostgreSQL = request.getfixturevalue("server")
    return running.url(running.new_database())


@pytest.fixture
def store(place: Path | str) -> Iterator[sa.Engine]:
    """A new store."""
    engine = open_store(place, durable=False)
    yield engine
    engine.dispose()
