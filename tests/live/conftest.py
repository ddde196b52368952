"""Servers for live engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.postgresql import PostgreSQL, postgresql
from tests.services.toxiproxy import Proxy, toxiproxy

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here takes its time."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """One server for the tests of a module; each has a database of its own."""
    with postgresql() as running:
        yield running


@pytest.fixture
def proxy(server: PostgreSQL) -> Iterator[Proxy]:
    """A way to it that can be cut."""
    with toxiproxy(server.port) as running:
        yield running
