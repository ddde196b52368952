"""A29: two engines on one account, whose journal is in PostgreSQL. One trades; the other cannot send."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nicegold import Event, Order, Vetoed
from nicegold_ops.journal import read
from nicegold_ops.store.place import open_store
from tests.exchange.client import ROOT, until
from tests.services.postgresql import PostgreSQL
from tests.services.prometheus import PATIENCE


class Account:
    """Where the engines trade."""

    def __init__(self, folder: Path, server: PostgreSQL) -> None:
        self.folder, self.server = folder, server
        self.database = server.new_database()
        self.url = server.url(self.database)
        self._ticks: Counter[int] = Counter()

    @contextmanager
    def rival(self, number: int) -> Iterator[subprocess.Popen[str]]:
        """A process that trades, or is about to say why it does not."""
        command = [sys.executable, "-m", "tests.live.rival", str(self.folder), self.url, str(number)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                yield process
            finally:
                process.kill()

    def sent(self, number: int) -> list[str]:
        """The ids of the orders of an engine that have left."""
        path = self.folder / "sent"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [each.split()[1] for each in lines if each.split()[0] == f"{number}"]

    def recorded(self, number: int) -> list[Event]:
        """What an engine has on record."""
        store = open_store(self.url)
        events = [*read(store, f"live-{number}")]
        store.dispose()
        return events

    def orders(self, number: int) -> list[str]:
        """The ids of the orders that an engine has on record."""
        return [each.id for each in self.recorded(number) if isinstance(each, Order)]

    def tick(self, process: subprocess.Popen[str], number: int, bars: int = 1) -> None:
        """Have it ask for so many orders."""
        assert process.stdin is not None
        process.stdin.write("\n" * bars)
        process.stdin.flush()
        self._ticks[number] += bars

    def trades(self, process: subprocess.Popen[str], number: int, orders: int = 3) -> None:
        """Let it trade until so many more orders have left."""
        wanted = len(self.sent(number)) + orders

        def have_left() -> bool:
            self.tick(process, number)
            return len(self.sent(number)) >= wanted

        until(have_left, f"engine {number} does not trade: {process.poll()}")

    def waits_for(self, number: int, orders: int) -> None:
        """Return once so many orders of an engine have left."""
        until(lambda: len(self.sent(number)) >= orders, f"engine {number} does not trade")

    def is_quiet(self, number: int) -> bool:
        """Whether each order that was asked for has left, or was vetoed before the first did."""
        asked = [each for each in self.recorded(number) if isinstance(each, Order | Vetoed)]
        return len(asked) == self._ticks[number] and self.sent(number) == self.orders(number)


def end_of(process: subprocess.Popen[str]) -> str:
    """What it says at its end, which is no success."""
    code = process.wait(PATIENCE)
    assert process.stderr is not None
    said = process.stderr.read()
    assert 1 == code, said
    return said


@pytest.fixture
def account(server: PostgreSQL, tmp_path: Path) -> Account:
    return Account(tmp_path, server)


def test_the_second_engine_on_an_account_is_refused_and_the_first_trades_on(account):
    with account.rival(1) as first:
        account.trades(first, 1)
        with account.rival(2) as second:
            said = end_of(second)
        account.trades(first, 1)

    assert said.startswith(
        f"ConfigurationError: {account.url}: another engine (nicegold, process {first.pid} at "
    )
    assert [] == account.recorded(2)


def test_the_next_engine_trades_when_the_first_was_killed(account):
    with account.rival(1) as first:
        account.trades(first, 1)
        first.kill()
        first.wait()
    with account.rival(2) as second:
        account.trades(second, 2)

    assert {*account.sent(1)}.isdisjoint(account.sent(2))


def test_a_paused_engine_keeps_its_place(account):
    with account.rival(1) as first:
        account.trades(first, 1)
        first.send_signal(signal.SIGSTOP)
        with account.rival(2) as second:
            said = end_of(second)

    assert "trades this account live" in said


def test_an_engine_that_was_paused_while_another_took_over_cannot_send(account):
    with account.rival(1) as first:
        account.trades(first, 1)
        until(lambda: account.is_quiet(1), "it goes on sending")
        before = account.sent(1)
        first.send_signal(signal.SIGSTOP)
        account.server.unlock(account.database)
        with account.rival(2) as second:
            account.trades(second, 2)
            account.tick(first, 1, 10)
            first.send_signal(signal.SIGCONT)
            said = end_of(first)
            account.trades(second, 2)

    assert "Fenced: " in said
    assert "another engine has taken over this account (its token is 2, ours 1)" in said
    assert before == account.sent(1) == account.orders(1)


def test_an_engine_that_was_cut_off_while_another_took_over_cannot_send(account):
    with account.rival(1) as first:
        account.trades(first, 1)
        until(lambda: account.is_quiet(1), "it goes on sending")
        before = account.sent(1)
        account.server.unlock(account.database)
        with account.rival(2) as second:
            account.trades(second, 2)
            account.tick(first, 1)
            said = end_of(first)

    assert "Fenced: " in said
    assert before == account.sent(1) == account.orders(1)


def test_what_an_engine_sends_that_is_paused_at_any_moment_is_on_record_before_the_next_begins(account):
    """Also in the middle of a block, or between it and its order, which may leave then and is known of."""
    for number, orders in ((1, 3), (3, 20), (5, 31)):
        with account.rival(number) as first:
            account.trades(first, number, 1)
            account.tick(first, number, 500)
            account.waits_for(number, orders)
            first.send_signal(signal.SIGSTOP)
            account.server.unlock(account.database)
            with account.rival(number + 1) as second:
                account.trades(second, number + 1)
                known = account.orders(number)
                first.send_signal(signal.SIGCONT)
                # The server may have ended it in the middle of a block.
                assert re.search(r"(Fenced|JournalFailed): ", end_of(first))

        assert known == account.orders(number)
        assert {*account.sent(number)} <= {*known}
