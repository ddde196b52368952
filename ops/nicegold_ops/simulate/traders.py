"""Who trades in a simulation: strategies that always want something, a limit, a plugin that only fails.

What they want follows from the seed and the time of the bar: a strategy that starts again after a crash
knows nothing of what it wanted before, as a real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from random import Random
from typing import Any

from nicegold import (
    Bar,
    Cancel,
    Event,
    Fill,
    Order,
    OrderType,
    Portfolio,
    Replace,
    Request,
    Side,
    hookimpl,
    plugin,
)

#: Lots that may be held of each instrument, in either direction.
LIMIT = Decimal("1.00")
_LOT = Decimal("0.10")
_DEEDS = ("market", "market", "limit", "stop", "pair", "exit", "cancel", "replace", "nothing", "nothing")


@plugin
class Restless:
    """Orders of every kind, cancels and replaces, until the time *until* (ns UTC).

    It rests on that part *rest* of the bars.
    """

    seed: int
    until: int
    rest: float = 0.0
    name: str = ""

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Request] | None:
        chance = self._chance(bar.time)
        if bar.time > self.until or chance.random() < self.rest:
            return None
        return self._wanted(chance, bar, portfolio)

    @hookimpl
    def on_fill(self, fill: Fill, portfolio: Portfolio) -> list[Request] | None:
        chance = self._chance(fill.trade_id)
        if fill.strategy != self.name or portfolio.time > self.until or chance.random() < 0.7:
            return None
        side = Side.SELL if fill.side is Side.BUY else Side.BUY
        return [Order(symbol=fill.symbol, side=side, quantity=fill.quantity)]

    def _chance(self, about: object) -> Random:
        return Random(f"{self.name} {self.seed} {about}")  # noqa: S311  # repeated, not guarded

    def _wanted(self, chance: Random, bar: Bar, portfolio: Portfolio) -> list[Request] | None:
        side = chance.choice((Side.BUY, Side.SELL))
        quantity = _LOT * chance.randint(1, 5)
        resting = [each.order for each in portfolio.working(bar.symbol, self.name)]
        deed = chance.choice(_DEEDS)
        match deed:
            case "market":
                return [Order(symbol=bar.symbol, side=side, quantity=quantity)]
            case "limit" | "stop":
                return [_resting(bar, side, quantity, deed, chance)]
            case "pair":
                other = Order(symbol=bar.symbol, side=side, quantity=_LOT)
                return [_resting(bar, side, quantity, "limit", chance), other]
            case "exit" if held := portfolio.position(bar.symbol, self.name).quantity:
                side = Side.SELL if held > 0 else Side.BUY
                return [Order(symbol=bar.symbol, side=side, quantity=abs(held), reduce_only=True)]
            case "cancel" if resting:
                return [Cancel(order_id=chance.choice(resting).id)]
            case "replace" if resting:
                return [Replace(order_id=chance.choice(resting).id, quantity=quantity)]
            case _:
                return None


def _resting(bar: Bar, side: Side, quantity: Decimal, kind: str, chance: Random) -> Order:
    """An order a little away from the price: a limit on the better side, a stop on the worse."""
    away = -side.sign if kind == "limit" else side.sign
    price = Decimal(f"{bar.close * (1 + away * chance.uniform(-0.0002, 0.002)):.2f}")
    prices = {"price": price} if kind == "limit" else {"stop_price": price}
    return Order(symbol=bar.symbol, side=side, quantity=quantity, order_type=OrderType(kind), **prices)  # type: ignore[arg-type]


@plugin
class Guard:
    """No more than `LIMIT`, whatever happens; asks for a halt at the times *halts* (ns UTC).

    *allowed* is told of each order that it lets pass.
    """

    halts: Collection[int]
    allowed: Callable[[Order], None]

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        if abs(after) > LIMIT:
            return f"would hold {after} of {order.symbol}"
        self.allowed(order)
        return None

    @hookimpl
    def check_portfolio(self, portfolio: Portfolio) -> str | None:
        return "it is time for one" if portfolio.time in self.halts else None


@plugin
class Fool:
    """Fails, each time in another way; nobody else may notice."""

    seed: int

    @hookimpl
    def on_event(self, event: Event) -> None:
        if type(event) is Bar and event.time % 3 == 0:
            raise RuntimeError("a fool has looked at a bar")

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Any:
        chance = Random(f"fool {self.seed} {bar.time}")  # noqa: S311
        match chance.randrange(5):
            case 0:
                raise SystemExit(1)
            case 1:
                return [object()]
            case 2:
                return [Order(symbol=bar.symbol, side=Side.BUY, quantity=Decimal("NaN"))]
            case 3:
                return [Cancel(order_id=each) for each in portfolio.orders]
            case _:
                return "nonsense"
