"""Kills a live session again and again: `python -m tests.live.campaign --kills 500 --workers 2 --seed 1`.

A life is a real session: its journal is a SQLite file whose commits are synced (or a database, with --store),
its venue an exchange in a process of its own, which misbehaves too. It ends by SIGKILL: at some commit, write
or message of its recovery, its trading or its end, or at any moment. Ten lives trade one account, one after
another. What is on the disk then, and what the books say once the next life has found them to agree, is
compared with what the exchange knows: nothing is lost, nothing doubled, nothing unexplained.

A process that has imported everything forks each life, since to start Python would be most of the time.
The seed decides all but the timing. Exits with 1 if anything was found; the last line is the sum.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa

from nicegold import Absent, Event, Fill, Finished, Order, Side, Snapshot, Unknown
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.journal import Run, all_runs, journal_path, open_journal, read
from nicegold_ops.recovery import last_state
from nicegold_ops.sweep.pool import Died, Pool
from tests.exchange.client import PATIENCE, Exchange
from tests.live.life import ENDS, PLACES, RECOVERS, TRADES, Birth, Plan, live, vfs, warm

#: Kills of one account; then it goes on in a new folder, with an exchange that knows nothing.
KILLS_OF_AN_ACCOUNT = 10
#: The place of who ends it from outside, at any moment.
CLOCK = "at any moment"
#: Seconds that a life trades before it is ended anyway.
_LONGEST = 0.6
_CENT = Decimal("0.01")
#: A run that never is: all others come before it.
_AFTERWARDS = Run("afterwards", "live", 1 << 62)
#: What goes wrong at the exchange, and with which requests.
_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lose_answers", {"of": ["order", "cancel", "replace"]}),
    ("lose_requests", {"of": ["order", "cancel", "replace"]}),
    ("cut", {"of": ["order", "cancel"]}),
    ("garble", {"of": ["order", "statement"]}),
    ("slow", {"ms": 60}),
    ("silent", {}),
    ("double", {}),
    ("lose", {}),
)


class Task(msgspec.Struct, frozen=True):
    """The *number*-th account, with so many *kills*: in *folder*, or beside the database *store*."""

    seed: int
    number: int
    kills: int
    folder: Path
    store: str | None


class Tally(msgspec.Struct, frozen=True):
    """What came of accounts: kills by where they struck, events by their kind, and what does not hold.

    *ready* has the seconds that each life took until its books were found to agree.
    """

    lives: int = 0
    kills: dict[str, int] = {}
    events: dict[str, int] = {}
    ready: tuple[float, ...] = ()
    findings: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.lives + other.lives,
            dict(Counter(self.kills) + Counter(other.kills)),
            dict(Counter(self.events) + Counter(other.events)),
            self.ready + other.ready,
            self.findings + other.findings,
        )


# What a journal knows.


class Known(msgspec.Struct, frozen=True):
    """The *events* of all runs, and the *state* that another run would go on from."""

    events: list[Event]
    state: Snapshot | None

    @property
    def orders(self) -> set[str]:
        return {each.id for each in self.events if isinstance(each, Order)}

    @property
    def fills(self) -> dict[str, Fill]:
        """By trade id: one that was told twice is one."""
        return {each.trade_id: each for each in self.events if isinstance(each, Fill)}


def known_of(store: sa.Engine) -> Known:
    """All of *store*, which is closed then. Raises DataError where a run's chain is not sound."""
    with ExitStack() as after:
        after.callback(store.dispose)
        events = [event for run in all_runs(store) for event in read(store, run.run)]
        return Known(events, last_state(store, _AFTERWARDS, ACCOUNT, {GOLD.symbol: GOLD}))


def lost_or_doubled(known: Known, before: Known, state: Any) -> Iterator[str]:
    """What is wrong with the record of a dead session: *before* was on it once, *state* is the exchange's."""
    theirs = [each["client_order_id"] for each in state["orders"]]
    arrived = state["requests"].get("order", 0)
    if sent := set(theirs) - known.orders:
        yield f"left without a record: {sorted(sent)}"
    if arrived != len(theirs):
        yield f"{arrived} orders have arrived at the exchange, and {len(theirs)} of them were new"
    if lost := (before.orders - known.orders) | (before.fills.keys() - known.fills.keys()):
        yield f"was on record and is not any more: {sorted(lost)}"


def unexplained(known: Known, state: Any) -> Iterator[str]:
    """How the books of a session that is at rest differ from the exchange's."""
    ours = known.state
    if ours is None:
        yield from (f"the exchange has {each}, and nothing is on record" for each in state["orders"])
        return
    traded = _traded(state["fills"])
    held = {each.symbol: each.quantity for each in ours.positions if each.quantity}
    costs = sum((each.cost for each in ours.positions), Decimal(0)) * GOLD.lot_size
    figures: dict[str, tuple[Any, Any]] = {
        "trades": (sorted(known.fills), sorted(each["trade_id"] for each in state["fills"])),
        "lots traded": (
            _lots(map(_signed, known.fills.values())),
            _lots(map(Decimal, state["positions"].values())),
        ),
        "positions": (held, {symbol: Decimal(lots) for symbol, lots in state["positions"].items()}),
        # What closed lots had cost depends on the order of trades; less what open lots cost, it does not.
        "cash less costs": ((ours.cash - costs).quantize(_CENT), (ACCOUNT.cash - traded).quantize(_CENT)),
        "working orders": (sorted(map(_shown, ours.working)), sorted(_working(state["orders"]))),
        "breaks": (ours.breaks, []),
        "halted": (ours.halted, ""),
    }
    if not held:
        figures["cash"] = (ours.cash.quantize(_CENT), Decimal(state["cash"]).quantize(_CENT))
    for what, (here, there) in figures.items():
        if here != there:
            yield f"{what}: we have {here}, the exchange has {there}"


def _traded(fills: list[Any]) -> Decimal:
    """What *fills* of the exchange have cost in all, in account currency."""
    paid = Decimal(0)
    for each in fills:
        value = Decimal(each["quantity"]) * Decimal(each["price"]) * GOLD.lot_size
        paid += (value if each["side"] == "buy" else -value) + Decimal(each["commission"])
    return paid


def _signed(fill: Fill) -> Decimal:
    return fill.quantity if fill.side is Side.BUY else -fill.quantity


def _lots(signed: Iterable[Decimal]) -> Decimal:
    return sum(signed, Decimal(0))


def _shown(state: Any) -> tuple[str, Decimal, Decimal, Decimal]:
    return state.order.id, state.order.quantity, state.filled, state.order.price or Decimal(0)


def _working(orders: list[Any]) -> Iterator[tuple[str, Decimal, Decimal, Decimal]]:
    for each in orders:
        if each["status"] == "working":
            numbers = (Decimal(each[name] or 0) for name in ("quantity", "filled", "price"))
            yield (each["client_order_id"], *numbers)


# An account, life after life.


class Unsound(Exception):
    """What does not hold."""


class Process:
    """A life, forked from this process. It talks on a line: see `live`."""

    def __init__(self, birth: Birth, plan: Plan) -> None:
        self._line, theirs = socket.socketpair()
        self.is_killed = False
        self._id = os.fork()
        if not self._id:
            self._line.close()
            _be(birth, plan, theirs.fileno())
        theirs.close()

    def hear(self, seconds: float) -> bytes | None:
        """What it says: nothing when it is gone, None when it is silent for so long."""
        if not select.select([self._line], [], [], seconds)[0]:
            return None
        try:
            return self._line.recv(1)
        except ConnectionResetError:  # it has not even read what we said
            return b""

    def let_trade(self) -> None:
        # It may have struck meanwhile.
        with suppress(BrokenPipeError):
            self._line.send(b".")

    def end(self) -> None:
        os.kill(self._id, signal.SIGTERM)

    def kill(self) -> None:
        self.is_killed = True
        os.kill(self._id, signal.SIGKILL)

    def ended(self) -> int:
        """Its exit code; negative for a signal."""
        _, status = os.waitpid(self._id, 0)
        self._line.close()
        return os.waitstatus_to_exitcode(status)


def _be(birth: Birth, plan: Plan, line: int) -> NoReturn:
    """In the child: live, and never come back to what the parent was doing."""
    code = 70
    try:
        said = os.open(_said(birth.folder, birth.number), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(said, 2)
        live(birth, plan, line)
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _said(folder: Path, number: int) -> Path:
    """What the life of that number has written to its standard error."""
    return folder / f"{number}.err"


class Account:
    """What *task* asks for."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._random = self._of("plans", 0)
        # How often it is asked is a matter of time.
        self._prices = self._of("prices", 0)
        self._places = [each for each in PLACES if _is_there(each, task.store)]
        self._store = _new_database(task) if task.store else None
        self._known = Known([], None)
        self._lives = 0
        self._kills: Counter[str] = Counter()
        self._ready: list[float] = []
        task.folder.mkdir(parents=True)
        self._exchange = Exchange()

    def _of(self, what: str, life: int) -> Random:
        """Chance, of its own for each: what one draws is not the others' to change."""
        return Random(f"{what} {self._task.seed} {self._task.number} {life}")

    def close(self) -> None:
        if self._exchange.process.poll() is None:
            self._exchange.kill()

    def live(self) -> None:
        """Kill it as often as was asked for, then let it end. Raises Unsound."""
        self._exchange.tell("symbol", symbol=GOLD.symbol, lot_size=f"{GOLD.lot_size}", commission="7")
        self._quote()
        while self._kills.total() < self._task.kills:
            self._random = self._of("plans", self._lives + 1)
            self._live(self._plan())
        self._exchange.tell("clear")
        self._live(Plan(ENDS, "", 0))
        if not isinstance(last := self._known.events[-1], Finished):
            raise Unsound(f"its last event is {last}")

    @property
    def tally(self) -> Tally:
        known = self._known
        events = {
            "orders": len(known.orders),
            "trades": len(known.fills),
            "orders in doubt": sum(isinstance(each, Unknown) for each in known.events),
            "orders sent again": sum(isinstance(each, Absent) for each in known.events),
        }
        return Tally(self._lives, dict(self._kills), events, tuple(self._ready))

    # One life.

    def _plan(self) -> Plan:
        (when,) = self._random.choices((RECOVERS, TRADES, ENDS), (3, 6, 1))
        place = self._random.choice((*self._places, CLOCK))
        for kind, terms in self._random.sample(_FAULTS, self._random.choice((0, 0, 1, 2))):
            self._exchange.fault(kind, next=self._random.randint(1, 3), **terms)
        return Plan(when, place, self._random.randint(1, PLACES.get(place, 1)))

    def _live(self, plan: Plan) -> None:
        self._lives += 1
        seed = f"{self._task.seed} {self._task.number}"
        birth = Birth(self._lives, seed, self._task.folder, self._exchange.port, self._store)
        process = Process(birth, plan)
        try:
            when = self._accompany(process, plan)
        except BaseException:
            process.kill()
            process.ended()
            raise
        code = process.ended()
        if code not in (0, -signal.SIGKILL):
            said = _said(self._task.folder, self._lives).read_text(encoding="utf-8")
            raise Unsound(f"it has ended with {code} {when}:\n{said}")
        if code:
            self._kills[f"{CLOCK if process.is_killed else plan.place} {when}"] += 1
        self._look()
        # What rests may trade while nobody is there.
        self._quote()

    def _accompany(self, process: Process, plan: Plan) -> str:
        """Be with it until it has ended; in which part of its life it has."""
        began, seconds = time.monotonic(), self._seconds(plan)
        said = process.hear(seconds[RECOVERS])
        if said != b".":
            self._strike(process, plan, RECOVERS, is_silent=said is None)
            return RECOVERS
        self._ready.append(time.monotonic() - began)
        self._agree(process)
        process.let_trade()
        if self._trade(process, seconds[TRADES]):
            return TRADES
        if plan.when != ENDS:
            process.kill()
            return TRADES
        process.end()
        self._strike(process, plan, ENDS, is_silent=process.hear(seconds[ENDS]) is None)
        return ENDS

    def _seconds(self, plan: Plan) -> dict[str, float]:
        """How long each part of a life may take; where the plan says a place, it ends itself before."""
        seconds = {RECOVERS: PATIENCE, TRADES: _LONGEST, ENDS: PATIENCE}
        if plan.when == ENDS:
            seconds[TRADES] = self._random.uniform(0, 0.2)
        if plan.place == CLOCK:
            most = {RECOVERS: 0.15, TRADES: 0.3, ENDS: 0.03}
            seconds[plan.when] = self._random.uniform(0, most[plan.when])
        return seconds

    def _strike(self, process: Process, plan: Plan, when: str, *, is_silent: bool) -> None:
        """Kill it if it is silent. Raises Unsound where that was not the plan."""
        if not is_silent:
            return
        process.kill()
        if (plan.place, plan.when) != (CLOCK, when):
            found = "\n".join(self._differences())
            raise Unsound(f"nothing has happened for {PATIENCE:g} s {when}:\n{found}")

    def _trade(self, process: Process, seconds: float) -> bool:
        """Let it trade for so long at prices that change; whether it has ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.hear(0.02) is not None:
                return True
            self._quote()
        return False

    def _quote(self) -> None:
        bid = Decimal(self._prices.randint(199_600, 200_300)) / 100
        sizes = (f"{self._prices.randint(1, 5)}" for _ in range(2))
        self._exchange.quote(f"{bid}", f"{bid + 1}", *sizes)

    # What holds.

    def _look(self) -> None:
        """See what a dead session has left. Raises Unsound when something was lost or doubled."""
        before, self._known = self._known, known_of(self._left())
        if found := list(lost_or_doubled(self._known, before, self._exchange.state())):
            raise Unsound("\n".join(found))

    def _agree(self, process: Process) -> None:
        """Wait until both know the same of a session that is at rest. Raises Unsound when they never do."""
        deadline = time.monotonic() + PATIENCE
        while found := list(self._differences()):
            if process.hear(0.01) is not None:
                return  # it was killed; the next one has to agree
            if time.monotonic() > deadline:
                raise Unsound("\n".join(found))

    def _differences(self) -> Iterator[str]:
        known = known_of(self._living())
        yield from unexplained(known, self._exchange.state())

    def _living(self) -> sa.Engine:
        """The journal as it is; who only reads does not do the recovery that is the next life's."""
        if self._store is not None:
            return open_journal(self._store)
        path = journal_path(self._task.folder)
        return open_journal(path, connect=lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True))

    def _left(self) -> sa.Engine:
        """A copy of a dead session's journal: to recover the file itself is the next life's."""
        if self._store is not None:
            return open_journal(self._store)
        path, copy = journal_path(self._task.folder), self._task.folder / "copy.sqlite"
        for suffix in ("", "-wal"):
            copied = Path(f"{copy}{suffix}")
            copied.unlink(missing_ok=True)
            if (original := Path(f"{path}{suffix}")).exists():
                shutil.copyfile(original, copied)
        store = open_journal(copy)
        with store.connect() as connection:
            said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if said != ["ok"]:
            raise Unsound(f"integrity_check: {said}")
        return store


def _is_there(place: str, store: str | None) -> bool:
    """Whether a life can end itself at *place*."""
    return "write" not in place or (store is None and vfs() is not None)


def _new_database(task: Task) -> str:
    """The URL of a new database beside that of *task*'s store."""
    assert task.store is not None
    url = sa.make_url(task.store).set(database=f"kills_{task.seed}_{task.number}")
    _on_server(task.store, f"CREATE DATABASE {url.database}")
    return url.render_as_string(hide_password=False)


def _on_server(store: str, statement: str) -> None:
    engine = sa.create_engine(store, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


# The campaign.


def lived(task: Task) -> Tally:
    """What comes of one account; its files are kept where something does not hold."""
    warm()
    account = Account(task)
    try:
        account.live()
    except Exception as error:
        text = str(error) if isinstance(error, Unsound) else traceback.format_exc()
        return account.tally + Tally(findings=(_explained(task, account.tally.lives, text),))
    finally:
        account.close()
    shutil.rmtree(task.folder)
    if task.store is not None:
        _on_server(task.store, f"DROP DATABASE kills_{task.seed}_{task.number}")
    return account.tally


def _explained(task: Task, life: int, text: str) -> str:
    """*text*, where its files are, and how to see it again."""
    store = f" --store {task.store}" if task.store else ""
    return (
        f"account {task.number}, life {life}: {text}\n"
        f"  kept: {task.folder}\n"
        f"  again: python -m tests.live.campaign --seed {task.seed} --account {task.number} "
        f"--kills {task.kills}{store}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    began, accounts, tally = time.monotonic(), 0, Tally()
    folder = Path(tempfile.mkdtemp(prefix="nicegold-kills-", dir=options.folder))
    with stop_on_signals() as stop, Pool(lived, options.workers) as pool:
        tasks = _until(began + options.seconds, stop, _tasks(options, folder))
        # What has begun is let go on to its end: it has processes of its own.
        for task, answer in pool.run(tasks, threading.Event()):
            accounts += 1
            tally += answer if isinstance(answer, Tally) else _of_none(task, answer)
    if not tally.findings:
        folder.rmdir()
    print(*_lines(tally), sep="\n")
    print(
        f"{sum(tally.kills.values()):,} of {options.kills:,} kills of {accounts:,} accounts: "
        f"{len(tally.findings)} findings; {tally.lives:,} lives, {time.monotonic() - began:,.0f} s, "
        f"seed {options.seed}"
    )
    return 1 if tally.findings else 0


def _of_none(task: Task, died: Died) -> Tally:
    """A worker's own end is a finding too."""
    return Tally(findings=(_explained(task, 0, str(died)),))


def _tasks(options: argparse.Namespace, folder: Path) -> Iterator[Task]:
    """The accounts that make up so many kills, or the one that was asked for."""
    first = options.account or 1
    for number, done in enumerate(range(0, options.kills, KILLS_OF_AN_ACCOUNT), first):
        kills = min(KILLS_OF_AN_ACCOUNT, options.kills - done)
        yield Task(options.seed, number, kills, folder / f"{number}", options.store)
        if options.account:
            return


def _until(deadline: float, stop: threading.Event, tasks: Iterator[Task]) -> Iterator[Task]:
    for task in tasks:
        if stop.is_set() or time.monotonic() > deadline:
            return
        yield task


def _lines(tally: Tally) -> Iterator[str]:
    """What was found, and how much there was of everything."""
    yield from tally.findings
    for place, kills in sorted(tally.kills.items()):
        yield f"{kills:>7,} {place}"
    for what, number in tally.events.items():
        yield f"{number:>7,} {what}"
    if ready := sorted(tally.ready):
        p50, last = ready[len(ready) // 2], ready[-1]
        yield f"{len(ready):>7,} recoveries, ready after {p50:.2f} s (median), {last:.2f} s (longest)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.live.campaign",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2, help="how many accounts at once")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin with no other account after so many"
    )
    parser.add_argument(
        "--folder", type=Path, help="on the disk that is to be used; of temporary files if not"
    )
    parser.add_argument("--account", type=int, help="only this one; its number is where a finding is told")
    parser.add_argument(
        "--store", metavar="URL", help="a database on the PostgreSQL where each account gets one of its own"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
