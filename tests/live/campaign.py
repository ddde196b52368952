"""Kills real live sessions with SIGKILL, again and again, and looks what is left of their orders.

`python -m tests.live.campaign --kills 500`: accounts of some lives each, on an exchange in a process of its
own that misbehaves, with the journal in a file that is synced. A life ends at an operation that chance
chooses: just before or just after a commit of the journal or a message to the exchange. The last life of an
account is left alone, told to end, and must know what the exchange knows: nothing lost, nothing doubled,
nothing unexplained.

Exits with 1 where it does not, and says how to do that account again.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from nicegold import Fill, Order
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops import reconciler, session
from nicegold_ops.app import bootstrap
from nicegold_ops.journal import Journal, Run, all_runs, journal_path, open_journal, read
from nicegold_ops.recovery import last_state
from nicegold_plugins.brokers import venue
from tests.exchange.client import Exchange
from tests.live.trader import settings_of

#: Lives of an account that are killed; the operations in which one is; and seconds after which it is anyway.
LIVES, REACH, PATIENCE = 10, 60, 3.0
AFTERWARDS = Run("afterwards", "live", 1 << 62)
_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lose_answers", {"next": 1, "of": ["order"]}),
    ("lose_requests", {"next": 1, "of": ["order"]}),
    ("double", {"next": 5}),
    ("lose", {"next": 2}),
    ("cut", {"next": 1, "of": ["order"]}),
    ("slow", {"next": 3, "ms": 400}),
)


class Account(NamedTuple):
    """What became of one: how often it was killed and where, and what was found."""

    seed: int
    kills: Counter[str]
    orders: int
    findings: list[str]


def killed(seed: int) -> Account:
    """One account from its first life to its last."""
    random, folder = Random(seed), Path(tempfile.mkdtemp(prefix="nicegold-kills-"))
    kills: Counter[str] = Counter()
    with exchange() as market:
        for number in range(1, LIVES + 1):
            if random.random() < 0.5:
                market.fault(*(each := random.choice(_FAULTS))[:1], **each[1])
            _end(_forked(folder, market.port, number, random.randint(1, REACH)))
            kills[_struck(folder)] += 1
        market.tell("clear")
        findings = [*_left_alone(folder, market), *_compared(folder, market.state())]
        orders = len(market.state()["orders"])
    if not findings:
        shutil.rmtree(folder)
    return Account(seed, kills, orders, [f"{each} (in {folder})" for each in findings])


@contextmanager
def exchange() -> Iterator[Exchange]:
    market = Exchange()
    try:
        market.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
        market.quote("1999.00", "2001.00")
        yield market
    finally:
        market.kill()


# One life, in a process that was forked from this one: to start Python anew would take most of the time.


def _forked(folder: Path, port: int, number: int, last: int) -> int:
    """Its process id. It is killed at its operation *last*; never, where that is 0."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _live(folder, port, number, last)
        code = 0
    finally:
        os._exit(code)


def _live(folder: Path, port: int, number: int, last: int) -> None:
    gc.freeze()
    os.dup2(os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    if last:
        _die_at(last, folder / "struck")
    reconciler.EVERY = reconciler.SOON = 0.05
    run = Run(f"live-{number}", "live", number)
    (folder / "runs" / run.run).mkdir(parents=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app = bootstrap(settings_of(folder, port, number * 10_000), run)
    session.paper(app, stop=stop)
    app.close()


def _die_at(last: int, struck: Path) -> None:
    """Let SIGKILL strike at the operation *last* of this process, and say on which."""
    left = [last]
    lock = threading.Lock()

    def pass_by(where: str) -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                struck.write_text(where)
                os.kill(os.getpid(), signal.SIGKILL)

    _guard(Journal, "_commit", "a commit", pass_by)
    _guard(venue._Session, "_send", "a message", pass_by)


def _guard(owner: type, name: str, what: str, pass_by: Callable[[str], None]) -> None:
    original = getattr(owner, name)

    def guarded(self: Any, *given: Any, **named: Any) -> Any:
        pass_by(f"before {what}")
        done = original(self, *given, **named)
        pass_by(f"after {what}")
        return done

    setattr(owner, name, guarded)


def _end(child: int) -> None:
    """Wait for it to be killed, for a while."""
    ended = time.monotonic() + PATIENCE
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.002)


def _struck(folder: Path) -> str:
    """Where the last kill struck."""
    note = folder / "struck"
    if not note.exists():
        return "while it waited"
    where = note.read_text()
    note.unlink()
    return where


# What is left.


def _left_alone(folder: Path, market: Exchange) -> list[str]:
    """The last life: it trades on, and ends when it is told to."""
    before = len(market.state()["orders"])
    child = _forked(folder, market.port, LIVES + 1, 0)
    try:
        market.until(lambda state: len(state["orders"]) >= before + 3)
        # It asks for another order only once it knows what became of the last.
        market.fault("reject", reason="the day is over")
        market.until(lambda state: any(each["status"] == "rejected" for each in state["orders"]))
    except AssertionError as stuck:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [f"it does not trade again: {stuck}; {(folder / 'output').read_text()[-500:]}"]
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return [f"told to end, it ended with {code}: {(folder / 'output').read_text()[-500:]}"] if code else []


def _compared(folder: Path, state: Any) -> Iterator[str]:
    """Where the journal and the exchange do not say the same."""
    path = journal_path(folder)
    with closing(sqlite3.connect(path)) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    if sound != "ok":
        yield f"the file is broken: {sound}"
    store = open_journal(path)
    events = [event for run in all_runs(store) for event in read(store, run.run)]
    known = last_state(store, AFTERWARDS, ACCOUNT, {GOLD.symbol: GOLD})
    store.dispose()
    if known is None:
        yield "nothing is known any more"
        return
    ours = {event.id for event in events if isinstance(event, Order)}
    theirs = Counter(each["client_order_id"] for each in state["orders"])
    if lost := theirs.keys() - ours:
        yield f"orders at the exchange that are not on record: {sorted(lost)}"
    if doubled := [order_id for order_id, times in theirs.items() if times > 1]:
        yield f"orders that are there twice: {doubled}"
    fills = {event.trade_id for event in events if isinstance(event, Fill)}
    if fills != (there := {each["trade_id"] for each in state["fills"]}):
        yield f"trades: {sorted(fills ^ there)} are known to one side only"
    held = {each.symbol: each.quantity for each in known.positions if each.quantity}
    if held != (
        lots := {symbol: Decimal(each) for symbol, each in state["positions"].items() if Decimal(each)}
    ):
        yield f"we hold {held}, the exchange says {lots}"
    if abs(known.cash - Decimal(state["cash"])) >= Decimal("0.01") and not held:
        yield f"cash is {known.cash}, the exchange says {state['cash']}"
    if known.breaks:
        yield f"breaks: {known.breaks}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of the first account")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no account after so many")
    chosen = parser.parse_args()
    began, kills, orders, findings = time.monotonic(), Counter[str](), 0, list[str]()
    seeds = iter(range(chosen.seed, chosen.seed - (-chosen.kills // LIVES)))
    # Forked, and before there is any thread: what was imported is there.
    with get_context("fork").Pool(chosen.workers) as pool:
        while time.monotonic() - began < chosen.seconds and (
            batch := list(islice(seeds, 4 * chosen.workers))
        ):
            for account in pool.imap_unordered(killed, batch):
                kills += account.kills
                orders += account.orders
                again = f"python -m tests.live.campaign --kills {LIVES} --seed {account.seed}"
                findings += [f"{each}: {again}" for each in account.findings]
    print(*findings, sep="\n")
    struck = ", ".join(f"{times:,} {where}" for where, times in kills.most_common())
    print(f"{kills.total()} kills ({struck}), {orders:,} orders, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
