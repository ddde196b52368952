"""`nicegold run --adopt`: an account that somebody else has traded on, taken over as the exchange has it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nicegold import Adopted, Event, Reconciled
from nicegold_ops.journal import all_runs, journal_path, open_journal, read
from tests.exchange.client import Exchange, exchange
from tests.ops.commandline import Shell, market_in, spawn, wait_until

#: The fixture.
__all__ = ["exchange"]

#: So slow that what waits to be written is, between two bars.
LIVE = ("--set", "run.mode=live", "--set", "run.pace=2")


@pytest.fixture
def shell(
    tmp_path: Path, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """In a folder whose strategy waits for longer than any test, and whose broker trades at *exchange*."""
    monkeypatch.chdir(tmp_path)
    path = market_in(tmp_path)
    venue = f'[plugins.venue]\nuse = "venue"\naccount = "demo"\nport = {exchange.port}\n'
    path.write_text(
        path.read_text().replace("slow = 8", "slow = 399").partition("[plugins.venue]")[0] + venue
    )
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999.00", "2001.00")
    return Shell(tmp_path, capsys)


def events(shell: Shell) -> list[Event]:
    """All that is on record."""
    path = journal_path(shell.folder / "state")
    if not path.exists():
        return []
    store = open_journal(path)
    try:
        return [event for run in all_runs(store) for event in read(store, run.run)]
    finally:
        store.dispose()


def until(shell: Shell, kind: type[Event], *more: str) -> None:
    """Trade live until there is one more *kind* on record."""
    before = sum(isinstance(each, kind) for each in events(shell))
    with spawn(shell.folder, "run", *LIVE, *more) as process:
        wait_until(lambda: sum(isinstance(each, kind) for each in events(shell)) > before, process)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(60), process.communicate()


def test_an_account_is_taken_over_as_the_exchange_has_it(shell, exchange):
    exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="1.50")
    assert 0 == shell("approve", *LIVE, "--by", "ana", "--why", "the first time").code

    until(shell, Reconciled, "--adopt", "opened by hand on Monday")

    replay = shell("replay")
    assert 0 == replay.code, replay.err
    assert "position XAUUSD: 0 became 1.50, opened by hand on Monday" in " ".join(replay.out.split())
    until(shell, Reconciled)
    assert 1 == sum(isinstance(each, Adopted) for each in events(shell))
