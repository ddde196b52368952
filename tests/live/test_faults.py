"""A live session from the command line, on a real disk that fills up, is tampered with, or is told to end."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from nicegold import Event, Fill, Finished, Order, OrderStatus, Snapshot, Unknown
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops.journal import Run, all_runs, journal_path, open_journal, read
from nicegold_ops.recovery import last_state
from tests.exchange.client import PATIENCE, Exchange, exchange, until
from tests.ops.commandline import spawned, wait_until

#: The fixture.
__all__ = ["exchange"]

CONFIGURATION = """
[run]
mode = "live"
cash = "100000"
currency = "USD"
state = "state"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"

[plugins.pace]
use = "market:Pace"

[plugins.trades]
use = "market:{strategy}"

[plugins.few]
use = "max_position"
limit = "6"

[plugins.venue]
use = "venue"
account = "demo"
port = {port}
timeout = 1.0

[plugins.person]
use = "file"
path = "alerts.jsonl"

[plugins.words]
use = "log"
"""
MARKET = '''
import time
from decimal import Decimal
from itertools import count

from nicegold import Order, OrderType, Replace, Side, hookimpl, plugin
from nicegold.testing import START, bar

SOME = {"symbol": "XAUUSD", "quantity": Decimal(1)}


@plugin
class Pace:
    """A bar of a millisecond every few of them, from now on: none is before those of an earlier session."""

    @hookimpl
    def stream_market(self):
        for number in count((time.time_ns() - START) // 1_000_000):
            yield bar(number=number, length=1_000_000)
            time.sleep(0.004)


@plugin
class Burst:
    """Three lots each way on each bar, one after the other."""

    @hookimpl
    def on_bar(self):
        return [Order(side=side, **SOME) for side in (Side.BUY, Side.SELL) * 3]


@plugin
class Rests:
    """Holds a lot, with an order to take it back and one for another, whose price it changes on each bar."""

    name: str = ""

    @hookimpl
    def on_bar(self, bar, portfolio):
        working = portfolio.working(strategy=self.name)
        # One at market has no price, and is about to trade.
        if not all(each.is_resting and each.order.price for each in working):
            return None
        if not portfolio.position("XAUUSD").quantity:
            return [Order(side=Side.BUY, **SOME)]
        if not any(each.order.reduce_only for each in working):
            price = Decimal(2100)
            sell = {"side": Side.SELL, "order_type": OrderType.LIMIT, "reduce_only": True, "price": price}
            return [Order(**SOME, **sell)]
        price = 1900 + Decimal(bar.start // 1_000_000 % 50)
        for each in working:
            if not each.order.reduce_only:
                return [Replace(order_id=each.order.id, price=price)]
        return [Order(side=Side.BUY, order_type=OrderType.LIMIT, price=price, **SOME)]


@plugin
class Turns:
    """Turns a lot over, and over again."""

    name: str = ""

    @hookimpl
    def on_bar(self, portfolio):
        if portfolio.working(strategy=self.name):
            return None
        return [Order(side=Side.SELL if portfolio.position("XAUUSD").quantity else Side.BUY, **SOME)]


@plugin
class Greedy:
    """The same, and asks for a hundred, which is vetoed."""

    name: str = ""

    @hookimpl
    def on_bar(self, portfolio):
        if portfolio.working(strategy=self.name):
            return None
        side = Side.SELL if portfolio.position("XAUUSD").quantity else Side.BUY
        return [Order(side=side, **SOME), Order(symbol="XAUUSD", side=side, quantity=Decimal(100))]
'''
MAIN = "from nicegold_ops.commands import main; main()"


class Desk:
    """Who runs sessions in *folder*, against *exchange*."""

    def __init__(self, folder: Path, exchange: Exchange, strategy: str) -> None:
        self.folder, self.exchange = folder, exchange
        (folder / "nicegold.toml").write_text(CONFIGURATION.format(port=exchange.port, strategy=strategy))
        (folder / "market.py").write_text(MARKET)
        exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
        exchange.quote("1999.00", "2001.00")
        approved = spawned(folder, "approve", "--by", "a test", "--why", "it is looked at")
        assert 0 == approved.code, approved.err

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def said(self) -> str:
        """What the last session has said on its standard error."""
        return (self.folder / "err").read_text()

    @property
    def alerts(self) -> list[str]:
        """The titles of what a person was told."""
        path = self.folder / "alerts.jsonl"
        return [json.loads(each)["title"] for each in path.read_text().splitlines()] if path.exists() else []

    @contextmanager
    def session(self, code: str = MAIN) -> Iterator[subprocess.Popen[str]]:
        """A live session, which does not outlive the test."""
        command = [sys.executable, "-c", code, "run"]
        with (
            (self.folder / "err").open("w") as err,
            subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=err, text=True
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def trades(self, process: subprocess.Popen[str], orders: int = 10) -> None:
        """Wait until so many orders more have reached the exchange."""
        before = self.requests()
        wait_until(lambda: self.requests() >= before + orders, process)
        assert process.poll() is None, self.said

    def requests(self) -> int:
        """What has reached the exchange."""
        taken = self.exchange.state()["requests"]
        return sum(taken.get(each, 0) for each in ("order", "cancel", "replace"))

    def recorded(self) -> list[list[Event]]:
        """The events of each run, whose chains are verified."""
        store = open_journal(journal_path(self.state))
        try:
            return [list(read(store, run.run)) for run in all_runs(store)]
        finally:
            store.dispose()

    def known(self) -> Snapshot:
        """What a session that began now would go on from."""
        store = open_journal(journal_path(self.state))
        try:
            known = last_state(store, Run("afterwards", "live", 1 << 62), ACCOUNT, {GOLD.symbol: GOLD})
        finally:
            store.dispose()
        assert known is not None
        return known

    def agree(self) -> None:
        """Let another session begin and trade: it knows of all that the exchange had before it."""
        before, state = len(self.recorded()), self.exchange.state()
        with self.session() as process:
            self.trades(process)
            process.terminate()
            assert 0 == process.wait(PATIENCE), self.said
        runs = self.recorded()
        assert before + 1 == len(runs)
        events = [each for run in runs for each in run]
        assert {each["client_order_id"] for each in self.exchange.state()["orders"]} <= orders_in(events)
        assert {each["trade_id"] for each in state["fills"]} <= trades_in(events)
        assert [] == self.known().breaks


def orders_in(events: Iterable[Event]) -> set[str]:
    return {each.id for each in events if isinstance(each, Order)}


def trades_in(events: Iterable[Event]) -> set[str]:
    return {each.trade_id for each in events if isinstance(each, Fill)}


def working_in(state: Any) -> list[Any]:
    return [each for each in state["orders"] if each["status"] == "working"]


def in_doubt(known: Snapshot) -> list[str]:
    unclear = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
    return [each.order.id for each in known.working if each.status in unclear]


# A37.


@pytest.mark.parametrize("fault", [None, "lose_answers"])
def test_a_session_that_is_told_to_end_in_a_burst_of_orders_leaves_none_unexplained(
    tmp_path, exchange, fault
):
    """A37."""
    desk = Desk(tmp_path, exchange, "Burst")
    with desk.session() as process:
        desk.trades(process)
        # Each answer takes its time, so that one is waited for when the signal comes.
        exchange.fault("slow", ms=30, of=["order"])
        desk.trades(process, 3)
        if fault:
            exchange.fault(fault, of=["order"], next=1)
            desk.trades(process, 1)
        process.terminate()
        began = time.monotonic()
        exchange.until(lambda state: not state["is_connected"])
        seconds = time.monotonic() - began
        # What remains is to draw its report.
        code = process.wait(PATIENCE)

    assert seconds < 5
    assert 0 == code, desk.said
    (events,) = desk.recorded()
    assert isinstance(events[-1], Finished)
    told = {each.order_id for each in events if isinstance(each, Unknown)}
    assert told == {*in_doubt(desk.known())}
    assert len(told) == (1 if fault else 0)
    exchange.tell("clear")
    desk.agree()
    assert told.isdisjoint(in_doubt(desk.known()))


# A05.


class Tmpfs:
    """A disk of its own for *folder*, small enough to be filled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, check=False
        )
        self.is_mounted = done.returncode == 0

    def fill(self, process: subprocess.Popen[str]) -> None:
        with self._ballast.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        subprocess.run(["umount", str(self._folder)], check=False)


class Limit:
    """Files that may not grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, process: subprocess.Popen[str]) -> None:
        size = Path(f"{journal_path(self._folder)}-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))

    def free(self) -> None:
        """It was the process's, and the next has none."""


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tmpfs | Limit]:
    """The disk below the state folder."""
    if request.param == "limit":
        yield Limit(tmp_path / "state")
        return
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    tmpfs = Tmpfs(tmp_path / "state")
    if not tmpfs.is_mounted:
        pytest.skip("no disk can be mounted here")
    try:
        yield tmpfs
    finally:
        tmpfs.close()


def test_on_a_full_disk_nothing_new_leaves_and_what_adds_risk_is_taken_back(disk, tmp_path, exchange):
    """A05: and a person is told within five seconds; with room again it goes on."""
    desk = Desk(tmp_path, exchange, "Rests")
    with desk.session() as process:
        desk.trades(process)
        exchange.until(lambda state: 2 == len(working_in(state)))
        began = time.monotonic()
        disk.fill(process)
        until(lambda: "Journal failed" in desk.alerts, "nobody is told")
        told = time.monotonic() - began
        code = process.wait(PATIENCE)
    state = exchange.state()

    assert told < 5
    assert 1 == code
    # What only reduces still works.
    assert [("sell", "2100")] == [(each["side"], each["price"]) for each in working_in(state)]
    assert "the journal cannot be written" in desk.said
    assert "Traceback" not in desk.said
    disk.free()
    with closing(sqlite3.connect(journal_path(desk.state))) as journal:
        assert [("ok",)] == journal.execute("PRAGMA integrity_check").fetchall()
    (events,) = desk.recorded()
    assert {each["client_order_id"] for each in state["orders"]} <= orders_in(events)
    desk.agree()


# A06.

LOG_ON_A_FULL_DISK = f"from nicegold_ops.commands import _logs; _logs.LOG = '/dev/full'; {MAIN}"


def test_a_log_that_cannot_be_written_stops_no_trading_and_silences_no_other_notifier(tmp_path, exchange):
    """A06."""
    desk = Desk(tmp_path, exchange, "Greedy")
    with desk.session(LOG_ON_A_FULL_DISK) as process:
        desk.trades(process)
        before = len(desk.alerts)
        desk.trades(process)

    assert len(desk.alerts) > before


def test_what_the_log_could_not_write_is_counted_and_the_session_ends_well(tmp_path, exchange):
    """A06."""
    desk = Desk(tmp_path, exchange, "Greedy")
    with desk.session(LOG_ON_A_FULL_DISK) as process:
        desk.trades(process)
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        # The session has just said what it is, and that it is on this machine.
        with urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310
            metrics = answer.read().decode()
        process.terminate()
        code = process.wait(PATIENCE)

    dropped = r'nicegold_telemetry_dropped_total\{reason="unwritable",signal="log"\} [1-9]'
    assert re.search(dropped, metrics)
    assert 0 == code, desk.said
    assert "Traceback" not in desk.said


# A08 and A09.


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with two runs on its journal, of which it keeps a copy."""
    running = Exchange()
    desk = Desk(tmp_path_factory.mktemp("traded"), running, "Turns")
    for _ in range(2):
        with desk.session() as process:
            desk.trades(process, 20)
            process.terminate()
            assert 0 == process.wait(PATIENCE), desk.said
    shutil.copy(journal_path(desk.state), desk.folder / "sound.sqlite")
    yield desk
    running.kill()


@pytest.fixture
def desk(traded: Desk) -> Desk:
    """The same, with a sound journal and nobody told anything."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{journal_path(traded.state)}{suffix}").unlink(missing_ok=True)
    shutil.copy(traded.folder / "sound.sqlite", journal_path(traded.state))
    (traded.folder / "alerts.jsonl").write_text("")
    return traded


class Blocks:
    """The blocks of a run of *desk*, the last for -1, to be damaged."""

    def __init__(self, desk: Desk, run: int) -> None:
        self.path = journal_path(desk.state)
        self.run = self.ask("SELECT run FROM runs ORDER BY started_at")[run][0]
        orders = "SELECT number FROM blocks WHERE run = :run AND instr(payload, :what) ORDER BY number"
        #: One with an order, in the middle: there are others before it and after it.
        numbers = [number for (number,) in self.ask(orders, what=b'"event":"Order"')]
        self.middle = numbers[len(numbers) // 2]

    def ask(self, statement: str, **given: Any) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as journal, journal:
            return journal.execute(statement, {**vars(self), **given}).fetchall()

    def payload(self) -> bytes:
        [(payload,)] = self.ask("SELECT payload FROM blocks WHERE run = :run AND number = :middle")
        assert isinstance(payload, bytes)
        return payload

    def rot(self) -> None:
        """One bit of the file is another one."""
        content = bytearray(self.path.read_bytes())
        at = content.index(self.payload()) + 30
        content[at] ^= 1
        self.path.write_bytes(content)

    def edit(self) -> None:
        """Somebody has made two lots of one."""
        edited = self.payload().replace(b'"quantity":"1"', b'"quantity":"2"')
        assert edited != self.payload()
        self.ask("UPDATE blocks SET payload = :edited WHERE run = :run AND number = :middle", edited=edited)

    def swap(self) -> None:
        """Two blocks, with their digests, stand in each other's place."""
        for number, becomes in ((self.middle, -1), (self.middle + 1, self.middle), (-1, self.middle + 1)):
            self.ask(
                "UPDATE blocks SET number = :becomes WHERE run = :run AND number = :number",
                number=number,
                becomes=becomes,
            )

    def remove(self) -> None:
        self.ask("DELETE FROM blocks WHERE run = :run AND number = :middle")

    def cut(self) -> None:
        """All after the middle are gone."""
        self.ask("DELETE FROM blocks WHERE run = :run AND number > :middle")


@pytest.mark.parametrize(
    ("how", "run"),
    [
        pytest.param(Blocks.rot, -1, id="a bit of the last run"),
        pytest.param(Blocks.edit, -1, id="a field"),
        pytest.param(Blocks.swap, -1, id="two blocks"),
        pytest.param(Blocks.remove, -1, id="a block"),
        pytest.param(Blocks.rot, 0, id="a bit of an older run"),
    ],
)
def test_on_a_damaged_journal_nothing_trades_and_the_block_is_named(desk, how, run):
    """A08, A09."""
    blocks = Blocks(desk, run)
    how(blocks)
    before = desk.requests()

    answer = spawned(desk.folder, "run", "--seconds", "1")

    assert 3 == answer.code
    assert f"block {blocks.middle} of run {blocks.run} is missing or was changed" in answer.err
    assert before == desk.requests()


def test_a_tail_that_was_cut_off_is_missed_since_the_tables_know_of_it(desk):
    """A09."""
    blocks = Blocks(desk, -1)
    blocks.cut()
    before = desk.requests()

    answer = spawned(desk.folder, "run", "--seconds", "1")

    assert 3 == answer.code
    assert f"the end of run {blocks.run} is missing: its record ends at event " in answer.err
    assert before == desk.requests()


def test_one_that_was_cut_off_with_its_tables_is_not_but_the_venue_tells_of_what_was_in_it(desk):
    """A09: what is left agrees, and nothing outside the journal says how far it went."""
    blocks = Blocks(desk, -1)
    blocks.cut()
    blocks.ask("DELETE FROM cursors WHERE run = :run")

    answer = spawned(desk.folder, "run", "--seconds", "3")

    assert 0 == answer.code
    assert "Trade of nobody's order" in desk.alerts
