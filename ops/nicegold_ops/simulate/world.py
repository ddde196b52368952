"""A simulated world: one account, its exchange, and engines that live and die one after another.

Everything is the engine that trades live, its journal on the crash disk, its recovery and its reconciler.
What is not real is time, chance, the disk, the network and the process: they follow from the plan. Only
threads are left out: the world calls, in the order of its schedule, what threads would.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from nicegold import (
    Accepted,
    Bar,
    Cancel,
    Event,
    Execution,
    Order,
    OrderStatus,
    Replace,
    Side,
    Statement,
)
from nicegold.host import Observe
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Run, all_runs, open_journal, payloads
from nicegold_ops.simulate.disk import Crashed, Disk, Fault, Kind
from nicegold_ops.simulate.exchange import Exchange
from nicegold_ops.simulate.invariants import Checks
from nicegold_ops.simulate.life import ACCOUNT, INSTRUMENTS, START, Life, Unstarted
from nicegold_ops.simulate.line import Line
from nicegold_ops.simulate.plan import SECOND, Plan, Trouble, Where
from nicegold_ops.simulate.story import Story, words
from nicegold_ops.simulate.traders import Fool, Guard, Restless
from nicegold_ops.store.place import StoreFailed

_MILLISECOND = SECOND // 1000
_LOTS = {symbol: each.lot_size for symbol, each in INSTRUMENTS.items()}
#: The longest time (ns) between two bars.
_PACES = (SECOND // 10, SECOND // 2, SECOND, 3 * SECOND)
_PRICES = {"XAUUSD": 2000.0, "XAGUSD": 25.0}
_COMMISSION = Decimal(7)
_UNEXPLAINED = Decimal(250)
#: Silence (ns) after which a session writes what waits; and how long all may take to settle, in calm.
_IDLE, _PATIENCE = SECOND // 4, 120 * SECOND
_BROKER = "exchange"
_JOURNAL = "journal.sqlite"
#: What moves positions at the exchange besides our orders.
_MOVES = frozenset({"foreign", "bust", "adjust"})
_IN_DOUBT = frozenset({OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW})
#: What the disk does of a plan's words.
_EFFECTS: dict[str, Any] = {"power": "crash", "full": "full", "error": "error", "short": "short"}
_Action: TypeAlias = Callable[[], object]


class _Statements(dict[Any, Any]):
    """Compiled statements for all lives: SQLAlchemy's keys begin with a dialect, and each has its own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


_COMPILED = _Statements()


class Tick(NamedTuple):
    """*size* lots of *symbol* trade at *price* from *time* on."""

    time: int
    symbol: str
    price: float
    size: Decimal


class World:
    """What *plan* says, lived through by `run`. *observe* is the port of the hosts in it."""

    def __init__(self, plan: Plan, observe: Observe | None = None) -> None:
        self.plan = plan
        self.now = START
        self.story = Story(START)
        moved = {each.what for each in plan.troubles} & _MOVES
        self.checks = Checks(ACCOUNT.cash, _LOTS, is_bounded=not moved)
        self.exchange = Exchange(
            ACCOUNT.cash, _LOTS, _COMMISSION, self.their_clock, self._hear, counts=plan.seed % 2 == 0
        )
        #: When the risk check asks for a halt, by the time of the bar.
        self.halts: set[int] = set()
        self.unheard: list[Accepted] = []
        self.lives = 0
        #: Lives that ended without wanting to.
        self.crashes = 0
        #: Of all that was recorded and told, at the end.
        self.digest = ""
        #: Operations of the disk in each life, and how often each kind of trouble struck.
        self.operations: list[int] = []
        self.struck: Counter[tuple[Where, str]] = Counter()
        self._observe = observe or _unwatched
        self._chance = Random(f"world {plan.seed}")  # noqa: S311  # repeated, not guarded
        self._ticks = _ticks(Random(f"market {plan.seed}"), plan)  # noqa: S311
        self._market = deque(next(self._ticks) for _ in range(plan.bars))
        #: When all troubles end, and strategies want nothing more.
        self.calm_at = self._market[-1].time
        self._troubles: dict[tuple[Where, int], Trouble] = {
            (each.where, each.at): each for each in plan.troubles if each.where != "disk"
        }
        #: How many of each there were.
        self.counts: Counter[Where] = Counter()
        #: Time, place in line, the life that it is for (0 is out there), and what is done.
        self._schedule: list[tuple[int, int, int, _Action]] = []
        self._numbers = count(1)
        self._our_offset = self._their_offset = 0
        self._outage_until = self._told_at = self._answered_at = self._delay = self._asked = 0
        #: Executions that the engine will hear of.
        self._under_way = 0
        #: When the last statement that was compared was made.
        self._compared_at = 0
        self._is_withdrawing = False
        self._operations_before = 0
        #: How the process ended, until it is started again; and the files that it left, if not the disk.
        self._fallen = ""
        self._left: dict[str, bytes] | None = None
        self._disk = self._new_disk({})
        self._life: Life | None = None

    def run(self) -> None:
        """Live through the plan. Raises Violated."""
        self.later(self._market[0].time - START, self._tick)
        try:
            while not self._live():
                self._recover()
            self._count_disk()
        finally:
            self._disk.close()

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self.now >= self.calm_at

    def our_clock(self) -> int:
        return self.now + self._our_offset

    def their_clock(self) -> int:
        return self.now + self._their_offset

    # Lives.

    def _live(self) -> bool:
        """One engine's life; answers whether it reached the end of the plan."""
        self.lives += 1
        self._inject()
        try:
            with self._opened() as store:
                self._begin(store)
                self._go_on()
                self._finish(store)
                return True
        except Crashed as crash:
            self.crashes += 1
            self._look()
            self._say("world", self._fallen or f"the power goes: {crash}")
        except Unstarted as failure:
            self._say("engine", f"ends: {failure}")
            self._leave_files()
        except (StoreFailed, DataError) as failure:
            self.crashes += 1
            self._look()
            is_told = isinstance(failure, StoreFailed) or any(each.fault for each in self._disk.log)
            self.checks.hold("I9", is_told, f"the journal cannot be gone on from: {failure}")
            self._stop(failure)
        return False

    @contextmanager
    def _opened(self) -> Iterator[sa.Engine]:
        disk = self._disk
        store = open_journal(
            Path(_JOURNAL), connect=lambda: disk.connect(_JOURNAL, check_same_thread=False)
        ).execution_options(compiled_cache=_COMPILED)
        try:
            yield store
        finally:
            _let_go(store)

    def _begin(self, store: sa.Engine) -> None:
        run = Run(f"life-{self.lives:03}", "live", self.our_clock())
        life = self._life = Life(store, run, self._plugins(), self._observe, self._record)
        self.checks.begin(run.run, life.known)
        self._say("engine", f"{run.run} starts; {sum(map(len, life.known.values()))} events are on record")
        life.start(self._answered, lambda: self._asked)
        self._after(life)
        self._ours(0, self._ask)

    def _plugins(self) -> dict[str, object]:
        seed = self.plan.seed
        fool: dict[str, object] = {"fool": Fool(seed=seed)} if self.plan.fool else {}
        traders = {
            name: Restless(seed=seed, until=self.calm_at, rest=self.plan.rest, name=name)
            for name in ("alice", "bob")
        }
        guard = Guard(halts=self.halts, allowed=self.checks.allow)
        return {**fool, **traders, "guard": guard, _BROKER: Line(world=self)}

    def _go_on(self) -> None:
        while not self._is_settled():
            at, _, life, action = heapq.heappop(self._schedule)
            if life not in (0, self.lives):
                continue
            self.now = max(self.now, at)
            action()
            self._look()
            if self._fallen:
                raise Crashed(self._fallen)

    def _look(self) -> None:
        """Plugins' errors go no further than the host: what was found in them is raised here."""
        if self.checks.found is not None:
            raise self.checks.found

    def _is_settled(self) -> bool:
        """Whether in calm the books agree and nothing is under way. It must come to that."""
        life = self._life
        if life is None or not self.is_calm:
            return False
        portfolio = life.portfolio
        doubts = [
            f"{key}: {each.status.value}"
            for key, each in portfolio.orders.items()
            if each.status in _IN_DOUBT or each.unanswered
        ]
        settled = _BROKER in portfolio.reconciled and not portfolio.breaks and not doubts
        is_compared = self._compared_at > self.calm_at + 6 * SECOND
        is_quiet = is_compared and not self._under_way and self._outage_until < self.now
        if self.now > self.calm_at + _PATIENCE:
            why = f"in doubt: {doubts}; breaks: {list(portfolio.breaks.values())}"
            self.checks.hold(
                "I14", settled, f"not settled {_PATIENCE // SECOND} s after the last trouble; {why}"
            )
        return settled and is_quiet

    def _finish(self, store: sa.Engine) -> None:
        life = self._living
        self.checks.settled(life.portfolio, self.exchange)
        life.engine.finish("the plan ends")
        life.journal.flush()
        self.checks.end(store, life, self._plugins())
        self.digest = _digest(store, self.story)
        self._say("world", "our books and the exchange's agree")

    def _stop(self, failure: Exception) -> None:
        """What a session does whose journal has failed, before it ends."""
        self._say("engine", f"ends: {failure}")
        if self._life is not None:
            self._is_withdrawing = True
            with suppress(Crashed):
                self._life.engine.withdraw()
            self._is_withdrawing = False
            self._look()
        self._leave_files()

    def _recover(self) -> None:
        """Let time pass until the process is started again, on what is left of the disk."""
        self._life = None
        self._under_way = 0
        self.unheard.clear()
        self._count_disk()
        if self._left is None:
            self._disk.restart()
        else:
            self._disk, self._left = self._new_disk(self._left), None
            self._operations_before = 0
        self._fallen = ""
        self.pass_time(self._chance.randint(SECOND // 2, 8 * SECOND))

    def _count_disk(self) -> None:
        """Note what the disk did in this life, and what befell it."""
        self.operations.append(self._disk.operations - self._operations_before)
        self._operations_before = self._disk.operations
        for each in self.plan.troubles:
            if each.where == "disk" and each.life == self.lives and each.at <= self.operations[-1]:
                self._strike(each)

    def _leave_files(self) -> None:
        """The process is gone and its machine runs on: files are as programs saw them."""
        self._left = self._disk.files()
        self._disk.close()

    def _new_disk(self, files: dict[str, bytes]) -> Disk:
        plan = self.plan
        return Disk((plan.seed * 1000 + plan.luck) * 1000 + self.lives, files=files, clock=self.our_clock)

    def _inject(self) -> None:
        """Let this life's troubles befall the disk."""
        self._disk.heal()
        for each in self.plan.troubles:
            if each.where == "disk" and each.life == self.lives and not self.is_calm:
                kind: Kind | None = "write" if each.what == "short" else None
                lasting = each.what == "full"
                self._disk.inject(Fault(effect=_EFFECTS[each.what], at=each.at, kind=kind, lasting=lasting))

    # Time.

    def later(self, ns: int, action: _Action) -> None:
        """Do *action* out there after so many ns, whatever becomes of the engine."""
        heapq.heappush(self._schedule, (self.now + ns, next(self._numbers), 0, action))

    def _ours(self, ns: int, action: _Action) -> None:
        """Let the engine in hand do *action* after so many ns, if it still lives then."""
        heapq.heappush(self._schedule, (self.now + ns, next(self._numbers), self.lives, action))

    def pass_time(self, ns: int = 0) -> None:
        """Let time pass while the engine waits, or is not there: so many ns, or what an answer takes."""
        until, waiting = self.now + (ns or self._soon()), []
        while self._schedule and self._schedule[0][0] <= until:
            entry = heapq.heappop(self._schedule)
            if entry[2]:
                waiting.append(entry)
            else:
                self.now = max(self.now, entry[0])
                entry[3]()
        self.now = max(self.now, until)
        for entry in waiting:
            heapq.heappush(self._schedule, entry)

    def _soon(self) -> int:
        return self._chance.randint(_MILLISECOND, 20 * _MILLISECOND)

    # Trouble.

    def befall(self, where: Where) -> Trouble | None:
        """The trouble of the next *where*, if any; none once all is calm."""
        self.counts[where] += 1
        trouble = self._troubles.get((where, self.counts[where]))
        if trouble is None or self.is_calm:
            return None
        self._strike(trouble)
        return trouble

    def _strike(self, trouble: Trouble) -> None:
        self.struck[trouble.where, trouble.what] += 1
        self._say("trouble", str(trouble))

    def is_cut_off(self) -> bool:
        """Whether the exchange cannot be reached now."""
        return self.now < self._outage_until

    def lose_power(self) -> None:
        """Raises Crashed: nothing of the process is left, and what was not synced may be lost."""
        self._disk.crash()
        self._fall("the power has gone")

    def kill(self) -> None:
        """Raises Crashed: nothing of the process is left; the machine runs on."""
        self._leave_files()
        self._fall("the process was killed")

    def _fall(self, how: str) -> None:
        self._fallen = how
        raise Crashed(how)

    def _suffer(self, trouble: Trouble, tick: Tick) -> None:
        """What a step's trouble does."""
        side = self._chance.choice((Side.BUY, Side.SELL))
        match trouble.what:
            case "outage":
                self._outage_until = self.now + trouble.amount
            case "foreign":
                self.exchange.trade_elsewhere(tick.symbol, side, Decimal("0.20"))
            case "bust" if self.exchange.fills and self._life is not None:
                trade_id = list(self.exchange.fills)[-1]
                if trade_id not in self.exchange.busted:
                    self.exchange.bust(trade_id)
            case "adjust":
                self.exchange.adjust(_UNEXPLAINED)
                self.later(trouble.amount, lambda: self.exchange.adjust(-_UNEXPLAINED))
            case "our clock":
                self._our_offset += trouble.amount
            case "their clock":
                self._their_offset += trouble.amount
            case "halt":
                self.halts.add(self._bar(tick).time)
            case "garbage":
                self._feed(Bar(tick.symbol, tick.time, tick.time, *(float("nan"),) * 4))
            case "backwards":
                self._feed(self._bar(tick._replace(time=tick.time - 60 * SECOND)))
            case "power" if self._life is not None:
                self.lose_power()
            case "kill" if self._life is not None:
                self.kill()

    # The market.

    def _tick(self) -> None:
        """The next price, at the exchange and then on the feed."""
        tick = self._market.popleft() if self._market else next(self._ticks)
        if not self._market:
            self._market.append(next(self._ticks))
        self.later(max(self._market[0].time - self.now, 0), self._tick)
        trouble = self.befall("step")
        self.exchange.quote(tick.symbol, Decimal(f"{tick.price:.2f}"), tick.size)
        self._feed(self._bar(tick))
        if trouble is not None:
            self._suffer(trouble, tick)

    def _bar(self, tick: Tick) -> Bar:
        return Bar(tick.symbol, tick.time, tick.time, *(tick.price,) * 4)

    def _feed(self, bar: Bar) -> None:
        self._ours(_MILLISECOND, lambda: self._take(bar, "feed"))

    # The exchange.

    def _hear(self, execution: Execution) -> None:
        """The exchange has done something. That it has an order, its answer says."""
        self._say("exchange", words(execution))
        if isinstance(execution, Accepted):
            self.unheard.append(execution)
            self.checks.arrived(self.exchange)
        else:
            self._tell(execution)

    def deliver(self) -> None:
        """Tell what no answer has told."""
        unheard, self.unheard = self.unheard, []
        for execution in unheard:
            self._tell(execution)

    def delay(self, ns: int) -> None:
        """Let the answer to this question take so much longer."""
        self._delay = ns

    def _tell(self, execution: Execution) -> None:
        """Send *execution* to the engine, in the order in which things happened unless that goes wrong."""
        trouble = self.befall("execution")
        what = trouble.what if trouble is not None else ""
        if trouble is not None and what == "late":
            self._send(trouble.amount, execution)
        elif what != "lose":
            self._told_at = max(self._told_at, self.now + self._soon(), self._outage_until)
            for _ in range(2 if what == "double" else 1):
                self._send(self._told_at - self.now, execution)
        if what == "kill" and self._life is not None:
            self.kill()

    def _send(self, ns: int, execution: Execution) -> None:
        """Let *execution* be on its way to the engine, if one lives."""
        if self._life is not None:
            self._under_way += 1
            self._ours(ns, lambda: self._arrive(execution))

    def _arrive(self, execution: Execution) -> None:
        self._under_way -= 1
        self._take(execution, _BROKER)

    # The engine.

    @property
    def _living(self) -> Life:
        if self._life is None:
            raise RuntimeError("no engine lives")
        return self._life

    def _take(self, event: Event | Statement, origin: str) -> None:
        life = self._living
        life.engine.handle(event, origin)
        self._after(life)

    def _after(self, life: Life) -> None:
        """What a session does after an input, and what has to hold then."""
        self.checks.step(life)
        life.snapshot()
        if not self._schedule or self._schedule[0][0] > self.now + _IDLE:
            life.journal.flush()

    def _record(self, event: Event) -> None:
        self.checks.attempt(event)
        self._living.journal.record(event)
        self.checks.record(event)
        if not isinstance(event, Bar):
            self._say("engine", words(event))

    def leaving(self, request: Order | Cancel | Replace) -> None:
        """Look whether *request* may leave."""
        self.checks.leave(request, self._living.portfolio, is_journaled=not self._is_withdrawing)

    def _ask(self) -> None:
        """The reconciler's thread wakes; what it asks arrives a little later."""
        self._asked = self._living.engine.sequence
        self._ours(self._soon(), self._ask_now)

    def _ask_now(self) -> None:
        self._delay = 0
        life = self._living
        life.reconciler.ask()
        self._ours(int(life.reconciler.pause() * SECOND), self._ask)

    def _answered(self, event: Event | Statement, broker: str) -> None:
        self._answered_at = max(self._answered_at, self.now + self._soon() + self._delay)
        asked_at = self.now
        self._ours(self._answered_at - self.now, lambda: self._take_answer(event, broker, asked_at))

    def _take_answer(self, event: Event | Statement, broker: str, asked_at: int) -> None:
        self._take(event, broker)
        if isinstance(event, Statement):
            self._compared_at = asked_at

    def _say(self, who: str, text: str) -> None:
        self.story.tell(self.now, who, text)


def _ticks(chance: Random, plan: Plan) -> Iterator[Tick]:
    """A market without an end: the plan's bars at its pace, then a slow one."""
    prices, time, pace = dict(_PRICES), START, chance.choice(_PACES)
    for number in count():
        drawn = chance.randint(_MILLISECOND, pace)
        time += (plan.pace or drawn) if number < plan.bars else 3 * SECOND
        symbol = chance.choice(list(prices))
        prices[symbol] *= 1 + chance.gauss(0, 0.0005)
        size = chance.choice(("0.10", "0.30", "1.00", "5.00"))
        yield Tick(time, symbol, round(prices[symbol], 2), Decimal(size))


def _digest(store: sa.Engine, story: Story) -> str:
    digest = hashlib.sha256(str(story).encode())
    for run in all_runs(store):
        digest.update(payloads(store, run.run))
    return digest.hexdigest()


def _let_go(store: sa.Engine) -> None:
    """Close what can be closed: after a crash the pool complains of each connection."""
    log = logging.getLogger("sqlalchemy.pool")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with suppress(Crashed):
            store.dispose()
    finally:
        log.setLevel(before)


def _unwatched(hook: str, plugin: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The observe port, where nobody looks."""
    return call
