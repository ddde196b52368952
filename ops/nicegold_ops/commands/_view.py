"""A paper session as it goes: on a terminal a picture, elsewhere a line every few seconds.

The view reads from a thread of its own what the trading thread writes. Every value that it reads
is frozen, so it is never half of something; a collection caught while it changes is looked at
again at the next refresh.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import cast

from msgspec.structs import replace
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from nicegold import Bar, Event, Fill, NoRate, Order, Position, Quote, Vetoed, hookimpl, plugin
from nicegold_ops.app import App
from nicegold_ops.commands._output import facts, micros, moment, money, table
from nicegold_ops.config import PluginSettings, Settings
from nicegold_ops.errors import ConfigurationError

#: Under this name the view watches the events; a configured plugin cannot have it.
VIEW = "view"
_REFRESHES_A_SECOND = 4
_SECONDS_BETWEEN_LINES = 5.0
_SHOWN, _VETOES_SHOWN = 6, 3
#: What a collection that changes says, and what equity says before a currency has a rate.
_CHANGING = (RuntimeError, KeyError, NoRate)


@plugin
class Watcher:
    """Remember the last orders, fills and vetoes, and how many there were."""

    seen: Counter[type[Event]] = field(init=False, default_factory=Counter)
    trading: deque[Order | Fill] = field(init=False, default_factory=lambda: deque(maxlen=_SHOWN))
    vetoes: deque[Vetoed] = field(init=False, default_factory=lambda: deque(maxlen=_VETOES_SHOWN))
    heard: float | None = field(init=False, default=None)

    @hookimpl
    def on_event(self, event: Event) -> None:
        match event:
            case Bar() | Quote():
                self.heard = time.monotonic()
            case Order() | Fill():
                self.seen[type(event)] += 1
                self.trading.append(event)
            case Vetoed():
                self.seen[Vetoed] += 1
                self.vetoes.append(event)


def watched(settings: Settings) -> Settings:
    """*settings* with a `Watcher`, which is not the user's and so stays out of their text."""
    if any(each.name == VIEW for each in settings.plugins):
        raise ConfigurationError(f"[plugins.{VIEW}]: this name is taken by nicegold's own; choose another")
    mine = PluginSettings(name=VIEW, use=VIEW, values={}, place=f"[plugins.{VIEW}]", plugin=Watcher)
    return replace(settings, plugins=(*settings.plugins, mine))


class View:
    """What there is to see of *app*, whose metrics are at *url*."""

    def __init__(self, app: App, url: str) -> None:
        self._app = app
        self._url = url
        self._picture: RenderableType = ""
        self._line = ""

    def picture(self) -> RenderableType:
        """All of it, for a terminal."""
        with suppress(*_CHANGING):
            self._picture = self._drawn()
        return self._picture

    def line(self) -> str:
        """The gist of it."""
        with suppress(*_CHANGING):
            self._line = self._said()
        return self._line

    def _said(self) -> str:
        portfolio, seen = self._app.portfolio, self._watcher.seen
        held = [f"{each.quantity} {symbol}" for symbol, each in self._held()]
        return "; ".join(
            [
                f"{moment(portfolio.time)} UTC",
                *self._prices(),
                f"holds {', '.join(held) or 'nothing'}",
                f"equity {money(portfolio.equity, portfolio.currency)}",
                _counts(seen),
                *([f"halted: {portfolio.halted}"] if portfolio.halted else []),
            ]
        )

    def _drawn(self) -> RenderableType:
        parts = [self._state(), *self._working(), *self._happened(), self._calls()]
        return Panel(Group(*parts), title=f"nicegold {self._app.run.mode}, run {self._app.run.run}")

    # What we hold.

    def _state(self) -> RenderableType:
        portfolio, seen = self._app.portfolio, self._watcher.seen
        halted = [("halted", Text(portfolio.halted, "bold red"))] if portfolio.halted else []
        return facts(
            *halted,
            ("market", f"{', '.join(self._prices()) or 'no price yet'} at {moment(portfolio.time)} UTC"),
            ("feed", self._age()),
            ("holds", ", ".join(self._positions()) or "nothing"),
            ("equity", self._worth()),
            ("so far", _counts(seen)),
            ("metrics", self._url),
        )

    def _prices(self) -> list[str]:
        portfolio = self._app.portfolio
        prices = {symbol: portfolio.price(symbol) for symbol in portfolio.instruments}
        return [f"{symbol} {price:,.2f}" for symbol, price in prices.items() if price == price]

    def _held(self) -> list[tuple[str, Position]]:
        return [(symbol, each) for symbol, each in self._app.portfolio.positions.items() if each.quantity]

    def _positions(self) -> list[str]:
        return [f"{each.quantity} {symbol} from {each.average_price:,.2f}" for symbol, each in self._held()]

    def _worth(self) -> str:
        portfolio = self._app.portfolio
        cash = money(portfolio.cash, portfolio.currency)
        return f"{money(portfolio.equity, portfolio.currency)}, of it {cash} cash"

    def _age(self) -> str:
        heard = self._watcher.heard
        return "nothing yet" if heard is None else f"last heard {time.monotonic() - heard:.1f} s ago"

    # What is asked for, and what came of it.

    def _working(self) -> list[RenderableType]:
        states = self._app.portfolio.working()[-_SHOWN:]
        lines = [Text(f"working  {_order(each.order)}, {each.status.value}", "cyan") for each in states]
        return [Text(), *lines] if lines else []

    def _happened(self) -> list[RenderableType]:
        events = [*list(self._watcher.trading), *list(self._watcher.vetoes)]
        lines = [_happening(event) for event in events]
        return [Text(), *lines] if lines else []

    def _calls(self) -> RenderableType:
        numbers = ("calls", "errors", "p50", "p99")
        made = table("hook", "plugin", *numbers, right=numbers)
        for each in self._app.telemetry.summary():
            if each.calls and each.plugin != VIEW:
                made.add_row(
                    each.hook,
                    each.plugin,
                    f"{each.calls:,}",
                    Text(f"{each.errors:,}", "red" if each.errors else ""),
                    micros(each.p50),
                    micros(each.p99),
                )
        return made

    @property
    def _watcher(self) -> Watcher:
        return cast(Watcher, self._app.host.plugins[VIEW].plugin)


def _counts(seen: Counter[type[Event]]) -> str:
    return f"orders {seen[Order]:,}, fills {seen[Fill]:,}, vetoes {seen[Vetoed]:,}"


def _order(order: Order) -> str:
    prices = [f"{price}" for price in (order.price, order.stop_price, order.trail) if price is not None]
    kind = " ".join([order.order_type.value, *prices])
    return f"{order.side.value} {order.quantity} {order.symbol} {kind}, {order.strategy}"


def _happening(event: Order | Fill | Vetoed) -> Text:
    at = moment(event.time)
    match event:
        case Order():
            return Text(f"{at}  order  {_order(event)}")
        case Fill():
            what = f"{event.side.value} {event.quantity} {event.symbol} at {event.price}"
            return Text(f"{at}  fill   {what}, {event.strategy}", "green")
        case Vetoed():
            why = "; ".join(f"{each.plugin}: {each.reason}" for each in event.objections)
            return Text(f"{at}  veto   {_order(event.order)}: {why}", "red")


@contextmanager
def shown(view: View, out: Console) -> Iterator[None]:
    """Show *view* on *out* while the session goes on."""
    if out.quiet:
        yield
    elif out.is_terminal:
        with Live(
            get_renderable=view.picture, console=out, refresh_per_second=_REFRESHES_A_SECOND, transient=True
        ):
            yield
    else:
        with _lines(view, out):
            yield


@contextmanager
def _lines(view: View, out: Console) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while not over.wait(_SECONDS_BETWEEN_LINES):
            out.print(view.line(), soft_wrap=True)

    thread = threading.Thread(target=work, name=VIEW, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
