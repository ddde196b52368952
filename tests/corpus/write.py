"""A journal for the corpus, as this build writes it: `python -m tests.corpus.write FILE.sqlite.xz`.

A backtest, a session on paper, and three live runs at the real exchange: an order whose answer was lost, one
that never arrived, a trade of somebody else, one that was taken back, a position that differs for a
while, a halt that the next run lifts, and one that differs for good, of which a person says that it is so.
What is in the corpus is never written again: a later build adds a file.
"""

from __future__ import annotations

import lzma
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegold_ops import reconciler, session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run, journal_path, open_journal
from nicegold_ops.people import people_of
from nicegold_ops.secrets import Local, Secrets
from tests.exchange.client import PATIENCE, Exchange, until

CONFIGURATION = """
[run]
mode = "{mode}"
cash = "100000"
seed = 7
state = "state"
pace = {pace}

[audit]
signing_key = "env:SIGNING"
mac_key = "env:MAC"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"
margin_rate = "0.05"
sessions = "gold"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"
bars = {bars}

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
timeframe = "M1"
fast = 2
slow = 3
quantity = "0.10"

[plugins.limit]
use = "max_position"
limit = "0.15"

[plugins.drawdown]
use = "max_drawdown"
percent = "5"

[plugins.venue]
{venue}
"""
#: The key of its codes, known to everybody.
MAC = "the key of the corpus, which is no secret"
PAPER = 'use = "paper"\ncommission = "7.00"'
MANY = 100_000


def built(folder: Path, run: Run, venue: str = PAPER, pace: int = 0, bars: int = 150) -> App:
    path = folder / "nicegold.toml"
    path.write_text(CONFIGURATION.format(mode=run.mode, venue=venue, pace=pace, bars=bars))
    return bootstrap(load(path), run)


def trade_alone(folder: Path) -> None:
    """A backtest, and the same on paper."""
    for number, mode in enumerate(("backtest", "paper"), 1):
        app = built(folder, Run(mode, mode, number))
        if mode == "backtest":
            session.backtest(app)
        else:
            session.paper(app, stop=threading.Event())
        app.close()


@contextmanager
def live(folder: Path, exchange: Exchange, run: Run, **said: str) -> Iterator[App]:
    """A live run at *exchange*, while the block lasts; *said* is what a person says at its start."""
    venue = f'use = "venue"\naccount = "demo"\nport = {exchange.port}\ntimeout = 0.3'
    app = built(folder, run, venue, pace=50, bars=MANY)
    stop = threading.Event()
    thread = threading.Thread(target=session.paper, args=(app,), kwargs={"stop": stop, **said})
    thread.start()
    try:
        yield app
    finally:
        stop.set()
        thread.join(PATIENCE)
        app.close()


def trade_live(folder: Path, exchange: Exchange) -> None:
    def wait(holds: Callable[[], bool]) -> None:
        until(holds, f"it does not happen: {app.portfolio.breaks}, {exchange.state()}")

    def fills(more: int) -> None:
        before = app.portfolio.fills
        wait(lambda: app.portfolio.fills >= before + more)

    with live(folder, exchange, Run("live-1", "live", 3)) as app:
        fills(2)
        exchange.fault("lose_answers", next=1, of=["order"])
        fills(2)
        exchange.fault("lose_requests", next=1, of=["order"])
        fills(2)
        last = exchange.state()["fills"][-1]["trade_id"]
        exchange.tell("bust", trade_id=last)
        wait(lambda: bool(app.portfolio._busted))
        exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="5")
        wait(lambda: bool(app.portfolio.breaks))
        exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="-5")
        wait(lambda: not app.portfolio.breaks)
        trade = {"symbol": "XAUUSD", "side": "buy", "quantity": "1", "price": "3300"}
        exchange.tell("foreign", account="demo", **trade)
        wait(lambda: bool(app.portfolio.halted))
    with live(folder, exchange, Run("live-2", "live", 4), lift_halt="seen to") as app:
        wait(lambda: bool(app.portfolio.reconciled))
    exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="2")
    with live(folder, exchange, Run("live-3", "live", 5), adopt="as their screen shows it") as app:
        wait(lambda: bool(app.portfolio.adopted))


def approve(folder: Path) -> None:
    """What a person did, and that their name was erased."""
    settings = load(folder / "nicegold.toml")
    secrets = Secrets(None, Local(os.environ))
    store = open_journal(journal_path(folder / "state"))
    people = people_of(settings, secrets, store)
    people.did("Ana", "approval.granted", reason="the first time")
    people.erase("Ana", by="Bo", why="asked for it")
    store.dispose()


def write(target: Path) -> None:
    """Write the journal, compressed."""
    reconciler.EVERY = reconciler.SOON = 0.2
    os.environ["MAC"] = MAC
    with TemporaryDirectory() as name:
        folder = Path(name)
        trade_alone(folder)
        exchange = Exchange()
        try:
            exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
            exchange.quote("2649.00", "2651.00")
            trade_live(folder, exchange)
        finally:
            exchange.kill()
        approve(folder)
        path = journal_path(folder / "state")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("VACUUM")
        with path.open("rb") as plain, lzma.open(target, "wb") as packed:
            shutil.copyfileobj(plain, packed)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
