"""One of two engines on one account, as a process: `python -m tests.live.rival FOLDER URL NUMBER`.

It asks for an order for each line on its standard input. A line in FOLDER/sent, with NUMBER, is an order that
has left: the venue has closed, and says so. What is on record is in the PostgreSQL at URL.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nicegold import Bar, Order, Rejected, Statement, hookimpl, plugin
from nicegold.testing import ACCOUNT, GOLD, bar
from nicegold_ops import reconciler, session
from nicegold_ops.app import bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.errors import NicegoldError
from nicegold_ops.journal import Run
from tests.live.engine import Buys, Free


@plugin
class Lines:
    """A bar for each line that is read."""

    first: int

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        for number, _ in enumerate(sys.stdin, self.first):
            yield bar(number=number)


@plugin
class Closed:
    """A venue that refuses what comes, and notes that it came."""

    path: Path
    number: int

    @hookimpl
    def place_order(self, order: Order) -> Rejected:
        with self.path.open("a", encoding="ascii") as sent:
            sent.write(f"{self.number} {order.id}\n")
        return Rejected(order_id=order.id, time=order.time, reason="closed")

    @hookimpl
    def fetch_statement(self, since: int) -> Statement:
        return Statement(time=time.time_ns(), since=since, orders=[], fills=[], positions={})

    @hookimpl
    def find_order(self, order: Order) -> list[Rejected]:
        return [Rejected(order_id=order.id, time=order.time, reason="closed")]


def settings_of(folder: Path, url: str, number: int) -> Settings:
    chosen: dict[str, tuple[type, dict[str, object]]] = {
        "lines": (Lines, {"first": number * 10_000}),
        "buys": (Buys, {}),
        "free": (Free, {}),
        "closed": (Closed, {"path": folder / "sent", "number": number}),
    }
    return Settings(
        run=RunSettings(mode="live", cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder, store=url),
        instruments={GOLD.symbol: GOLD},
        plugins=tuple(
            PluginSettings(name=name, use=name, values=values, place="", plugin=each)
            for name, (each, values) in chosen.items()
        ),
        text="",
    )


def trade(folder: Path, url: str, number: int) -> None:
    reconciler.EVERY = reconciler.SOON = 0.05
    run = Run(f"live-{number}", "live", number)
    (folder / "runs" / run.run).mkdir(parents=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app = bootstrap(settings_of(folder, url, number), run)
    print("trades", flush=True)
    try:
        session.paper(app, stop=stop)
    finally:
        app.close()


if __name__ == "__main__":
    try:
        trade(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except NicegoldError as error:
        sys.exit(f"{type(error).__name__}: {error}")
