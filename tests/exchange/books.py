"""The exchange's books: accounts, orders, trades and one top of the book for each symbol.

What is outside hands in commands with their time; the same commands give the same books, so a journal
of commands brings them back. No I/O, no clock. Nothing here is nicegold's: it is the other truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
ZERO = Decimal(0)
_TYPES = {"market": (), "limit": ("price",), "stop": ("stop_price",)}
_TERMS = {"client_order_id", "symbol", "side", "quantity", "type", "price", "stop_price"} | {
    "time_in_force",
    "reduce_only",
}


class Refusal(ValueError):
    """Why a command is not taken."""


class Fenced(Refusal):
    """A login whose token is not higher than those before."""


@dataclass
class Order:
    """*priority* is its place in time; *sign* is +1 for a buy. A *client_order_id* of "" is foreign."""

    venue_order_id: str
    client_order_id: str
    symbol: str
    sign: int
    quantity: Decimal
    type: str
    price: Decimal | None
    stop_price: Decimal | None
    is_ioc: bool
    reduce_only: bool
    priority: int
    filled: Decimal = ZERO
    status: str = "working"
    ended: int = 0

    @property
    def id(self) -> str:
        return self.client_order_id or self.venue_order_id

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    def is_met_by(self, price: Decimal) -> bool:
        """Whether it trades at *price*; a stop that is not triggered does not."""
        if self.type == "limit":
            assert self.price is not None
            return self.sign * (self.price - price) >= 0
        return self.type == "market"

    def is_triggered_by(self, price: Decimal) -> bool:
        return self.stop_price is not None and self.sign * (price - self.stop_price) >= 0

    def shown(self) -> Message:
        return {
            "client_order_id": self.client_order_id,
            "venue_order_id": self.venue_order_id,
            "symbol": self.symbol,
            "side": _side(self.sign),
            "quantity": f"{self.quantity:f}",
            "filled": f"{self.filled:f}",
            "status": self.status,
            "price": _text(self.price),
            "stop_price": _text(self.stop_price),
        }


@dataclass
class Position:
    """Signed lots, and what they cost: price times lots."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass
class Account:
    """*executions* are numbered from 1 on, without a gap, whichever session was there."""

    name: str
    cash: Decimal
    token: int = -1
    orders: dict[str, Order] = field(default_factory=dict)
    first_answers: dict[str, Message] = field(default_factory=dict)
    executions: list[Message] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)

    @property
    def working(self) -> list[Order]:
        return [order for order in self.orders.values() if order.status == "working"]


@dataclass
class Trade:
    account: Account
    order: Order
    fill: Message
    is_busted: bool = False


class Books:
    """All of the exchange. *cash* is what an account begins with, in its currency."""

    def __init__(self, cash: Decimal = Decimal(100_000)) -> None:
        self._cash = cash
        self.accounts: dict[str, Account] = {}
        self._quotes: dict[str, dict[int, list[Decimal]]] = {}
        self._lots: dict[str, tuple[Decimal, Decimal]] = {}
        self._trades: dict[str, Trade] = {}
        self._count = 0
        self._commands: dict[str, Callable[[Message], Message | None]] = {
            "login": self._login,
            "order": self._order,
            "cancel": self._cancel,
            "replace": self._replace,
            "quote": self._quote,
            "symbol": self._symbol,
            "bust": self._bust,
            "foreign": self._foreign,
            "adjust": self._adjust,
        }

    def account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account(name, self._cash))

    def apply(self, command: Message) -> Message:
        """Do what *command* says, at its "time" (ns UTC); answers its first execution, or {}.

        Raises Refusal; nothing has changed then.
        """
        try:
            done = self._commands[command["do"]](command)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            if isinstance(error, Refusal):
                raise
            raise Refusal(f"{command.get('do')} cannot be read: {type(error).__name__}: {error}") from None
        return done or {}

    # Sessions.

    def _login(self, command: Message) -> None:
        account, token = self.account(command["account"]), command["token"]
        if type(token) is not int:
            raise Refusal(f"token must be a whole number: it is {token!r}")
        if token <= account.token:
            raise Fenced(f"token {token} is not higher than {account.token}, which has logged in")
        account.token = token

    # What clients ask.

    def _order(self, command: Message) -> Message:
        account, terms = self.account(command["account"]), command["order"]
        client_order_id = terms["client_order_id"]
        if client_order_id in account.first_answers:
            return account.first_answers[client_order_id]
        order, reason = self._read(terms), command.get("reject", "")
        reason = reason or _objection(terms, order)
        account.orders[client_order_id] = order
        if reason:
            answer = self._end(account, order, "rejected", command["time"], reason=reason)
        else:
            answer = self._tell(account, order, "accepted", command["time"])
        account.first_answers[client_order_id] = answer
        if not reason:
            self._meet(order.symbol, command["time"])
            if order.is_ioc and order.status == "working":
                self._end(account, order, "canceled", command["time"], reason="immediate or cancel")
        return answer

    def _read(self, terms: Message) -> Order:
        client_order_id, symbol = terms["client_order_id"], terms["symbol"]
        if not (isinstance(client_order_id, str) and client_order_id and isinstance(symbol, str)):
            raise Refusal("an order needs a client_order_id and a symbol, both text")
        self._count += 1
        return Order(
            f"X-{self._count}",
            client_order_id,
            symbol,
            _sign(terms["side"]),
            Decimal(terms["quantity"]),
            terms["type"],
            _number(terms.get("price")),
            _number(terms.get("stop_price")),
            terms.get("time_in_force", "gtc") == "ioc",
            bool(terms.get("reduce_only", False)),
            self._count,
        )

    def _cancel(self, command: Message) -> Message:
        account, order, time = *self._found(command), command["time"]
        reason = _not_working(order)
        if order is None or reason:
            return self._refuse_change(account, command, reason)
        return self._end(account, order, "canceled", time, reason=command.get("reason", "asked for"))

    def _replace(self, command: Message) -> Message:
        account, order = self._found(command)
        reason = _not_working(order) or _wrong_terms(order, command)
        if order is None or reason:
            return self._refuse_change(account, command, reason)
        before = (order.quantity, order.price, order.stop_price)
        order.quantity = _number(command.get("quantity")) or order.quantity
        order.price = _number(command.get("price")) or order.price
        order.stop_price = _number(command.get("stop_price")) or order.stop_price
        # Asking for less keeps the place in time, as at most venues.
        if order.quantity > before[0] or (order.price, order.stop_price) != before[1:]:
            self._count += 1
            order.priority = self._count
        terms = {name: order.shown()[name] for name in ("quantity", "price", "stop_price")}
        answer = self._tell(account, order, "replaced", command["time"], **terms)
        self._meet(order.symbol, command["time"])
        return answer

    def _found(self, command: Message) -> tuple[Account, Order | None]:
        account = self.account(command["account"])
        return account, account.orders.get(command["client_order_id"])

    def _refuse_change(self, account: Account, command: Message, reason: str) -> Message:
        about = {"client_order_id": command["client_order_id"], "reason": reason}
        return self._append(account, "cancel_rejected", command["time"], **about)

    # What the control port does.

    def _quote(self, command: Message) -> None:
        """A size of None has no end."""
        side = {1: ("ask", "ask_size"), -1: ("bid", "bid_size")}
        self._quotes[command["symbol"]] = {
            sign: [Decimal(command[price]), Decimal(command.get(size) or "Infinity")]
            for sign, (price, size) in side.items()
        }
        self._meet(command["symbol"], command["time"])

    def _symbol(self, command: Message) -> None:
        lot_size, commission = command.get("lot_size", "1"), command.get("commission", "0")
        self._lots[command["symbol"]] = (Decimal(lot_size), Decimal(commission))

    def _bust(self, command: Message) -> Message:
        trade = self._trades.get(command["trade_id"])
        if trade is None or trade.is_busted:
            raise Refusal(f"there is no trade {command['trade_id']} to bust")
        trade.is_busted = True
        fill, order = trade.fill, trade.order
        quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
        self._book(trade.account, order.symbol, -order.sign * quantity, price, -Decimal(fill["commission"]))
        order.filled -= quantity
        terms = {"trade_id": command["trade_id"], "reason": command.get("reason", "busted")}
        return self._tell(trade.account, order, "busted", command["time"], **terms)

    def _foreign(self, command: Message) -> Message:
        """A market order of another terminal on the same account, filled at the price that is given."""
        account = self.account(command["account"])
        self._count += 1
        sign, quantity = _sign(command["side"]), Decimal(command["quantity"])
        name = f"X-{self._count}"
        order = Order(
            name, "", command["symbol"], sign, quantity, "market", None, None, False, False, self._count
        )
        account.orders[name] = order
        return self._fill(account, order, quantity, Decimal(command["price"]), command["time"])

    def _adjust(self, command: Message) -> None:
        """Lots and cash that no trade explains."""
        account = self.account(command["account"])
        if "symbol" in command:
            position = account.positions.setdefault(command["symbol"], Position())
            position.quantity += Decimal(command["quantity"])
        account.cash += Decimal(command.get("cash", "0"))

    # Matching.

    def _meet(self, symbol: str, time: int) -> None:
        """Let the quote of *symbol* meet what works: by price, then by time, while there is size."""
        for sign, level in self._quotes.get(symbol, {}).items():
            for _, order in self._resting(symbol, sign):
                if order.type == "stop" and order.is_triggered_by(level[0]):
                    order.type = "market"
            for account, order in sorted(self._resting(symbol, sign), key=_rank):
                if level[1] <= 0:
                    break
                if order.is_met_by(level[0]):
                    level[1] -= self._trade(account, order, level[0], level[1], time)

    def _resting(self, symbol: str, sign: int) -> Iterator[tuple[Account, Order]]:
        for account in self.accounts.values():
            for order in account.working:
                if order.symbol == symbol and order.sign == sign:
                    yield account, order

    def _trade(self, account: Account, order: Order, price: Decimal, size: Decimal, time: int) -> Decimal:
        quantity = min(order.remaining, size)
        if order.reduce_only:
            held = account.positions.get(order.symbol, Position()).quantity
            quantity = min(quantity, max(-held * order.sign, ZERO))
            if not quantity:
                self._end(account, order, "canceled", time, reason="there is nothing to reduce")
                return ZERO
        self._fill(account, order, quantity, price, time)
        return quantity

    def _fill(self, account: Account, order: Order, quantity: Decimal, price: Decimal, time: int) -> Message:
        order.filled += quantity
        if not order.remaining:
            order.status, order.ended = "filled", time
        commission = self._lots.get(order.symbol, (ZERO, ZERO))[1] * quantity
        self._book(account, order.symbol, order.sign * quantity, price, commission)
        fill = self._tell(
            account,
            order,
            "fill",
            time,
            trade_id=f"T-{len(self._trades) + 1}",
            quantity=f"{quantity:f}",
            price=f"{price:f}",
            commission=f"{commission:f}",
        )
        self._trades[fill["trade_id"]] = Trade(account, order, fill)
        return fill

    def _book(
        self, account: Account, symbol: str, signed: Decimal, price: Decimal, commission: Decimal
    ) -> None:
        """Cash moves by what closing lots earn against their average cost, less commission."""
        position = account.positions.setdefault(symbol, Position())
        account.cash -= commission
        if position.quantity * signed < 0:
            closed = -signed if abs(signed) < abs(position.quantity) else position.quantity
            cost = position.cost * closed / position.quantity
            lot_size = self._lots.get(symbol, (Decimal(1), ZERO))[0]
            account.cash += (closed * price - cost) * lot_size
            position.quantity -= closed
            position.cost -= cost
            signed += closed
        position.quantity += signed
        position.cost += signed * price

    # Executions.

    def _end(self, account: Account, order: Order, kind: str, time: int, **terms: Any) -> Message:
        order.status, order.ended = kind, time
        if kind == "canceled":
            terms["filled"] = f"{order.filled:f}"
        return self._tell(account, order, kind, time, **terms)

    def _tell(self, account: Account, order: Order, kind: str, time: int, **terms: Any) -> Message:
        about = {
            "client_order_id": order.client_order_id,
            "venue_order_id": order.venue_order_id,
            "symbol": order.symbol,
            "side": _side(order.sign),
        }
        return self._append(account, kind, time, **about, **terms)

    def _append(self, account: Account, kind: str, time: int, **terms: Any) -> Message:
        execution = {"sequence": len(account.executions) + 1, "kind": kind, "time": time, **terms}
        account.executions.append(execution)
        return execution

    # What clients look up.

    def find(self, account: Account, client_order_id: str) -> Message:
        order = account.orders.get(client_order_id)
        told = [each for each in account.executions if each["client_order_id"] == client_order_id]
        return {"order": order and order.shown(), "executions": told if order else []}

    def orders(self, account: Account, since: int) -> list[Message]:
        """Those that work, and those that ended since *since*."""
        return [
            order.shown()
            for order in account.orders.values()
            if order.status == "working" or order.ended >= since
        ]

    def fills(self, account: Account, since: int) -> list[Message]:
        """Trades since *since* that stand."""
        trades = [trade for trade in self._trades.values() if trade.account is account]
        return [each.fill for each in trades if not each.is_busted and each.fill["time"] >= since]

    def positions(self, account: Account) -> dict[str, str]:
        return {symbol: f"{each.quantity:f}" for symbol, each in account.positions.items() if each.quantity}

    def costs(self, account: Account) -> dict[str, str]:
        return {symbol: f"{each.cost:f}" for symbol, each in account.positions.items() if each.quantity}


def _rank(found: tuple[Account, Order]) -> tuple[Decimal, int]:
    """Best price first; a market order's is the best. Then the earliest."""
    order = found[1]
    best = Decimal("-Infinity") if order.price is None else -order.sign * order.price
    return best, order.priority


def _objection(terms: Message, order: Order) -> str:
    """Why the exchange refuses *order*; empty when it does not."""
    unknown = sorted(set(terms) - _TERMS)
    wanted = _TYPES.get(order.type)
    if unknown:
        return f"there is no such thing here as {', '.join(unknown)}"
    if wanted is None:
        return f"there are no {order.type} orders here, only {', '.join(_TYPES)}"
    if terms.get("time_in_force", "gtc") not in ("gtc", "ioc"):
        return f"there is no time in force {terms['time_in_force']} here, only gtc and ioc"
    if not (order.quantity.is_finite() and order.quantity > 0):
        return f"quantity must be above 0: it is {order.quantity}"
    for name in ("price", "stop_price"):
        value: Decimal | None = getattr(order, name)
        if (value is not None) != (name in wanted) or (value is not None and not value > 0):
            return f"a {order.type} order takes {' and '.join(wanted) or 'no price'}, above 0"
    return ""


def _wrong_terms(order: Order | None, command: Message) -> str:
    assert order is not None
    wanted = _TYPES.get(order.type, ())
    for name in ("price", "stop_price"):
        value = _number(command.get(name))
        if value is not None and (name not in wanted or not value > 0):
            return f"a {order.type} order takes {' and '.join(wanted) or 'no price'}, above 0"
    quantity = _number(command.get("quantity"))
    if quantity is not None and not quantity > order.filled:
        return f"{order.filled} are filled, so quantity cannot be {quantity}"
    return ""


def _not_working(order: Order | None) -> str:
    if order is None:
        return "unknown order"
    return "" if order.status == "working" else f"too late: the order is {order.status}"


def _sign(side: str) -> int:
    return {"buy": 1, "sell": -1}[side]


def _side(sign: int) -> str:
    return "buy" if sign > 0 else "sell"


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
