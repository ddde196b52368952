"""One life of a live session, in a process that ends itself as it was planned: see campaign.py.

It trades a few lots back and forth, some at a limit that rests, and is killed at the n-th commit, write,
send or receive. What counts these is put in here, in the process that is to die: nothing else knows of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import sqlalchemy as sa

from nicegold import Bar, Cancel, Order, OrderType, Portfolio, Replace, Side, hookimpl, plugin
from nicegold.testing import ACCOUNT, GOLD, bar
from nicegold_ops import reconciler, session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Run
from nicegold_plugins.brokers.venue import TcpVenue
from nicegold_plugins.risk.max_position import MaxPosition
from tests.exchange.client import PATIENCE

#: Where it can end itself, and how often it may come there before.
PLACES = {
    "before a commit": 12,
    "before a write": 120,
    "in a write": 120,
    "after a write": 120,
    "before a send": 15,
    "after a send": 15,
    "after a receive": 25,
}
#: From when on that is counted.
RECOVERS, TRADES, ENDS = "while it recovers", "while it trades", "while it ends"


class Plan(msgspec.Struct, frozen=True):
    """It ends at the *nth* time of *place*, one of `PLACES`, counted from *when* on."""

    when: str
    place: str
    nth: int


class Strike:
    """Ends this process by SIGKILL, as *plan* says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = 0
        self.begin(RECOVERS)

    def begin(self, when: str) -> None:
        if when == self._plan.when:
            self._left = self._plan.nth

    def is_due(self, place: str) -> bool:
        """Whether the process should end now that it is at *place*."""
        if place == self._plan.place:
            self._left -= 1
        return place == self._plan.place and self._left == 0

    def at(self, place: str) -> None:
        if self.is_due(place):
            now()


def now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(strike: Strike) -> None:
    """Have *strike* asked at each of `PLACES`."""
    sendall, receive = socket.socket.sendall, socket.socket.recv

    def counted_send(self: socket.socket, *given: Any) -> None:
        strike.at("before a send")
        sendall(self, *given)
        strike.at("after a send")

    def counted_receive(self: socket.socket, *given: Any) -> bytes:
        received = receive(self, *given)
        strike.at("after a receive")
        return received

    socket.socket.sendall = counted_send  # type: ignore[method-assign, assignment]
    socket.socket.recv = counted_receive  # type: ignore[method-assign, assignment]
    sa.event.listen(sa.Engine, "commit", lambda _: strike.at("before a commit"))
    if vfs() is not None:
        _arm_writes(strike)


# SQLite's writes.

_SET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
_PWRITE = b"pwrite64"
#: SQLite calls these until the process ends.
_armed: list[Any] = []


class Vfs(ctypes.Structure):
    """SQLite's way to the system, as far as it matters here: https://sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("numbers", ctypes.c_int * 3),
        ("others", ctypes.c_void_p * 16),
        ("set_system_call", _SET),
        ("get_system_call", _GET),
    )


def vfs() -> Any:
    """A pointer to what Python's SQLite uses; None where that is in no library, or writes otherwise."""
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    library = next((each for each in mapped if "libsqlite3" in each), None)
    if library is None:
        return None
    find = ctypes.CDLL(library).sqlite3_vfs_find
    find.restype = ctypes.POINTER(Vfs)
    found = find(None)
    return found if found.contents.get_system_call(found, _PWRITE) else None


def _arm_writes(strike: Strike) -> None:
    found = vfs()
    write = _WRITE(found.contents.get_system_call(found, _PWRITE))

    @_WRITE
    def counted(file: int, content: int, size: int, place: int) -> int:
        strike.at("before a write")
        if strike.is_due("in a write"):
            write(file, content, size // 2, place)
            now()
        written: int = write(file, content, size, place)
        strike.at("after a write")
        return written

    _armed.append(counted)
    found.contents.set_system_call(found, _PWRITE, counted)


# The session.


@plugin
class Market:
    """Bars, once the books agree and whoever is at the other end of *line* has looked at them."""

    first: int

    def __post_init__(self) -> None:
        self.portfolio: Any = None
        self.strike: Any = None
        self.line = -1

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        while not _agrees(self.portfolio):
            time.sleep(0.002)
        os.write(self.line, b".")
        if not os.read(self.line, 1):
            now()  # nobody is there any more
        self.strike.begin(TRADES)
        for number in count(self.first):
            yield bar(number=number)
            time.sleep(0.002)


def _agrees(portfolio: Portfolio) -> bool:
    is_settled = all(each.is_resting for each in list(portfolio.orders.values()))
    return "venue" in portfolio.reconciled and not portfolio.breaks and is_settled


@plugin
class Trades:
    """Buys and sells a few lots, at market or at a limit that may rest, and changes its mind about it."""

    seed: str
    name: str = ""

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    @hookimpl
    def on_bar(self, portfolio: Portfolio) -> list[Order | Cancel | Replace] | None:
        working = portfolio.working(strategy=self.name)
        if not all(each.is_resting for each in working):
            return None
        if working and self._random.random() < 0.2 * len(working):
            return [self._change(self._random.choice(working).order.id)]
        return [self._order()]

    def _change(self, order_id: str) -> Cancel | Replace:
        if self._random.random() < 0.5:
            return Cancel(order_id=order_id)
        return Replace(order_id=order_id, price=self._price())

    def _order(self) -> Order:
        side, lots = self._random.choice(list(Side)), Decimal(self._random.randint(1, 3))
        if self._random.random() < 0.5:
            return Order(symbol=GOLD.symbol, side=side, quantity=lots)
        price = self._price()
        return Order(symbol=GOLD.symbol, side=side, quantity=lots, order_type=OrderType.LIMIT, price=price)

    def _price(self) -> Decimal:
        return Decimal(self._random.randint(199_500, 200_500)) / 100


class Birth(msgspec.Struct, frozen=True):
    """The *number*-th life of an account: its exchange is at *port*, its journal in *folder* or *store*."""

    number: int
    seed: str
    folder: Path
    port: int
    store: str | None

    @property
    def settings(self) -> Settings:
        """What it is configured with."""
        chosen: dict[str, tuple[type, dict[str, Any]]] = {
            "market": (Market, {"first": self.number * 10_000}),
            "trades": (Trades, {"seed": f"{self.seed} {self.number}"}),
            "few": (MaxPosition, {"limit": Decimal(6)}),
            "venue": (TcpVenue, {"account": "demo", "port": self.port, "timeout": 0.1}),
        }
        return Settings(
            run=RunSettings(
                mode="live",
                cash=ACCOUNT.cash,
                currency=ACCOUNT.currency,
                state=self.folder,
                store=self.store,
            ),
            instruments={GOLD.symbol: GOLD},
            plugins=tuple(
                PluginSettings(name=name, use=name, values=values, place="", plugin=each)
                for name, (each, values) in chosen.items()
            ),
            text="",
        )


@cache
def warm() -> None:
    """Build a session, for all that is imported and compiled with the first: a fork has it then."""
    with TemporaryDirectory() as folder:
        _built(Birth(0, "", Path(folder), 1, None)).close()


def live(birth: Birth, plan: Plan, line: int) -> None:
    """Trade until SIGTERM, or until *plan* strikes.

    On *line*, a socket, a "." leaves when the books agree, and trading begins when a byte comes.
    """
    # The same loops as a person's, in a hurry.
    reconciler.EVERY, reconciler.SOON, session._IDLE_SECONDS = 0.05, 0.02, 0.01
    strike, stop = Strike(plan), threading.Event()

    def end(*_: Any) -> None:
        strike.begin(ENDS)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    arm(strike)
    app = _built(birth)
    market: Any = app.host.plugins["market"].plugin
    market.portfolio, market.strike, market.line = app.portfolio, strike, line
    session.paper(app, stop=stop)
    app.close()


def _built(birth: Birth) -> App:
    run = Run(f"live-{birth.number}", "live", birth.number)
    (birth.folder / "runs" / run.run).mkdir(parents=True)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return bootstrap(birth.settings, run)
        except ConfigurationError:
            # A server may need a moment to see that the last one is dead, whose lock it keeps until then.
            if birth.store is None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
