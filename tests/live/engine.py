"""A live engine on a store in PostgreSQL, in this process: the test hands it the bars and plays the venue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nicegold import Absent, Bar, Order, Rejected, Statement, hookimpl, plugin
from nicegold.testing import ACCOUNT, GOLD, bar, market_order
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.journal import Run, all_runs, read


@plugin
class Silent:
    """A feed that is never read."""

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        return iter(())


@plugin
class Buys:
    """Asks for a lot on each bar."""

    @hookimpl
    def on_bar(self) -> list[Order]:
        return [market_order(quantity="1.00")]


@plugin
class Free:
    """Objects to nothing."""

    @hookimpl
    def check_order(self) -> str | None:
        return None


@plugin
class Desk:
    """Has closed, and says so to each order; *sent* are the ids of those that came."""

    sent: list[str] = field(default_factory=list)

    @hookimpl
    def place_order(self, order: Order) -> Rejected:
        self.sent.append(order.id)
        return Rejected(order_id=order.id, time=order.time, reason="closed")

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        return None

    @hookimpl
    def find_order(self, order: Order) -> list[Any] | None:
        return None


def settings_of(folder: Path, url: str) -> Settings:
    chosen: dict[str, tuple[type, dict[str, Any]]] = {
        "silent": (Silent, {}),
        "buys": (Buys, {}),
        "free": (Free, {}),
        "desk": (Desk, {}),
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


class Account:
    """An account with its journal at *url*, which engine after engine trades. *sent* is what has left."""

    def __init__(self, folder: Path, url: str) -> None:
        self.sent: list[str] = []
        self._folder, self._url = folder, url
        self._lives = self._bars = 0

    @contextmanager
    def engine(self, url: str = "") -> Iterator[App]:
        """An engine that goes on where the last one ended; *url* is another way to the same store."""
        self._lives += 1
        run = Run(f"live-{self._lives}", "live", self._lives)
        (self._folder / "runs" / run.run).mkdir(parents=True)
        app = bootstrap(settings_of(self._folder, url or self._url), run)
        desk: Any = app.host.plugins["desk"].plugin
        desk.sent = self.sent
        try:
            app.engine.start(app.started)
            if app.resumed is not None:
                app.engine.handle(app.resumed)
            self._agree(app)
            yield app
        finally:
            app.close()

    def _agree(self, app: App) -> None:
        """The venue says what became of orders in doubt, and that it knows of nothing else."""
        for each in [*app.portfolio.orders]:
            came = each in self.sent
            app.engine.handle(
                Rejected(order_id=each, time=1, reason="closed")
                if came
                else Absent(order_id=each, time=1, asked=app.engine.sequence),
                "desk",
            )
        nothing = Statement(time=1, since=0, orders=[], fills=[], positions={}, asked=app.engine.sequence)
        app.engine.handle(nothing, "desk")

    def trade(self, app: App, bars: int = 1) -> None:
        """Hand over so many bars: each is an order."""
        for _ in range(bars):
            self._bars += 1
            app.engine.handle(bar(number=self._bars), "silent")


def on_record(store: sa.Engine, *runs: Run) -> list[str]:
    """The ids of all orders in the journal, or of those *runs*, in their order; each chain is verified."""
    events = (each for run in runs or all_runs(store) for each in read(store, run.run))
    return [each.id for each in events if isinstance(each, Order)]
