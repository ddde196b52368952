"""A live session as a process of its own: `python -m tests.live.trader FOLDER PORT NUMBER [URL]`.

It buys and sells a lot in turn on each bar, as fast as answers come, until it is killed or told to end
by a signal. What it knows is in the journal in FOLDER, or in the PostgreSQL at URL; NUMBER is the run's.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from nicegold import Bar, Order, Portfolio, Side, hookimpl, plugin
from nicegold.testing import ACCOUNT, GOLD, bar
from nicegold_ops import reconciler, session
from nicegold_ops.app import bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.journal import Run
from nicegold_plugins.brokers.venue import TcpVenue

LOT = Decimal("1.00")


@plugin
class Pace:
    """A bar every few milliseconds."""

    first: int

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        number = self.first
        while True:
            number += 1
            yield bar(number=number)
            time.sleep(0.004)


@plugin
class Turns:
    """Long, flat, long: whatever the books say is turned over, unless an order is on its way."""

    name: str = ""

    @hookimpl
    def on_bar(self, portfolio: Portfolio) -> list[Order] | None:
        if portfolio.working(strategy=self.name):
            return None
        side = Side.SELL if portfolio.position("XAUUSD").quantity > 0 else Side.BUY
        return [Order(symbol="XAUUSD", side=side, quantity=LOT)]


@plugin
class Few:
    """No more than a lot, whatever happens."""

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        return None if abs(after) <= LOT else f"would hold {after}"


def settings_of(folder: Path, port: int, first: int, store: str | None = None) -> Settings:
    chosen: dict[str, tuple[type, dict[str, Any]]] = {
        "pace": (Pace, {"first": first}),
        "turns": (Turns, {}),
        "few": (Few, {}),
        "venue": (TcpVenue, {"account": "demo", "port": port, "timeout": 0.3}),
    }
    return Settings(
        run=RunSettings(mode="live", cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder, store=store),
        instruments={GOLD.symbol: GOLD},
        plugins=tuple(
            PluginSettings(name=name, use=name, values=values, place="", plugin=each)
            for name, (each, values) in chosen.items()
        ),
        text="",
    )


def main() -> None:
    folder, port, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    # The same loop as a person's, in a hurry.
    reconciler.EVERY = reconciler.SOON = 0.05
    run = Run(f"live-{number}", "live", number)
    (folder / "runs" / run.run).mkdir(parents=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store = sys.argv[4] if len(sys.argv) > 4 else None
    app = bootstrap(settings_of(folder, port, number * 10_000, store), run)
    print("trades", flush=True)
    session.paper(app, stop=stop)
    app.close()


if __name__ == "__main__":
    main()
