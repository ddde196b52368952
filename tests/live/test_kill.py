"""A live engine, killed again and again, and an exchange that misbehaves: what both know at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nicegold import Fill, Order
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops.journal import Run, all_runs, journal_path, open_journal, read
from nicegold_ops.recovery import last_state
from tests.exchange.client import PATIENCE, ROOT, Exchange, exchange
from tests.services.postgresql import PostgreSQL

#: The fixture.
__all__ = ["exchange"]

AFTERWARDS = Run("afterwards", "live", 99)


@contextmanager
def trader(
    folder: Path, exchange: Exchange, number: int, store: str | None
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.live.trader", str(folder), str(exchange.port), str(number)]
    command += [store] if store else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "trades\n" == process.stdout.readline()
        yield process
        if process.poll() is None:
            process.kill()


def orders_at(exchange: Exchange) -> int:
    return len(exchange.state()["orders"])


def trades(exchange: Exchange, more: int) -> None:
    """Wait until the exchange has *more* orders than now."""
    before = orders_at(exchange)
    exchange.until(lambda state: len(state["orders"]) >= before + more)


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("lose_answers", {"next": 2, "of": ["order"]}),
    ("lose_requests", {"next": 2, "of": ["order"]}),
    ("double", {"next": 5}),
    ("slow", {"next": 3, "ms": 400}),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str | None:
    """The URL of the store; None where the journal is in the folder."""
    if request.param == "sqlite":
        return None
    server: PostgreSQL = request.getfixturevalue("server")
    return server.url(server.new_database())


def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path, exchange: Exchange, store: str | None):
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999.00", "2001.00")
    for number, (fault, terms) in enumerate(FAULTS, 1):
        with trader(tmp_path, exchange, number, store) as process:
            trades(exchange, 4)
            exchange.fault(fault, **terms)
            trades(exchange, 4)
            process.kill()
    exchange.tell("clear")
    with trader(tmp_path, exchange, len(FAULTS) + 1, store) as process:
        trades(exchange, 4)
        # It asks for another order only once it knows what became of the last.
        exchange.fault("reject", reason="the day is over")
        exchange.until(lambda state: any(each["status"] == "rejected" for each in state["orders"]))
        process.terminate()
        assert 0 == process.wait(PATIENCE)

    journal = open_journal(store or journal_path(tmp_path))
    events = [event for run in all_runs(journal) for event in read(journal, run.run)]
    known = last_state(journal, AFTERWARDS, ACCOUNT, {GOLD.symbol: GOLD})
    state = exchange.state()
    journal.dispose()
    ours = {event.id for event in events if isinstance(event, Order)}
    theirs = [each["client_order_id"] for each in state["orders"]]
    assert known is not None
    assert sorted(set(theirs)) == sorted(theirs)
    assert set(theirs) <= ours
    assert {each["trade_id"] for each in state["fills"]} == {
        e.trade_id for e in events if isinstance(e, Fill)
    }
    held = {each.symbol: each.quantity for each in known.positions if each.quantity}
    assert {symbol: Decimal(lots) for symbol, lots in state["positions"].items() if Decimal(lots)} == held
    assert [] == known.breaks
