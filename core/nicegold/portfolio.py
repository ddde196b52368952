"""Positions, working orders and cash, folded from events.

Replay the same events and you get the same portfolio. Cash moves by realized profit, commission
and swap only; equity adds what the open positions would bring at the last prices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from nicegold.books import TERMINAL, OrderState, Position, Snapshot
from nicegold.model import (
    Account,
    Adopted,
    Bar,
    Break,
    Busted,
    Event,
    Fill,
    Halted,
    HaltLifted,
    Instrument,
    Market,
    Mended,
    Order,
    OrderType,
    PluginFailed,
    Quote,
    Reconciled,
    Side,
    Swap,
)
from nicegold.orders import advance
from nicegold.sessions import DAY
from nicegold.values import ZERO

_ONE: Final = Decimal(1)
_BUY: Final = Side.BUY
#: For so long after its end (ns) an order's trades are known: venues send them again for some days.
KEPT: Final = 30 * DAY
_NAN: Final = float("nan")


def price_of(market: Market) -> float:
    """The close of a bar, the middle of a quote."""
    return market.close if isinstance(market, Bar) else (market.bid + market.ask) / 2


class NoRate(ValueError):
    """Nothing says what one currency is worth in the account's."""


class Portfolio:
    """What we hold, what is working and what it is worth. Plugins read it; only the engine folds."""

    def __init__(self, account: Account, instruments: Mapping[str, Instrument]) -> None:
        self.instruments: Mapping[str, Instrument] = MappingProxyType(dict(instruments))
        self.currency = account.currency
        self.cash: Decimal = account.cash
        self.commission: Decimal = ZERO
        self.swap: Decimal = ZERO
        #: When the last market event was known, ns UTC.
        self.time = 0
        #: Why no new risk is taken; empty while we trade.
        self.halted = ""
        self._prices: dict[str, float] = {}
        #: When each instrument was last heard of, ns UTC; 0 before the first time.
        self.heard_at: dict[str, int] = dict.fromkeys(self.instruments, 0)
        self._flat = {symbol: Position(symbol) for symbol in self.instruments}
        self._positions: dict[str, Position] = {}
        self._held: dict[tuple[str, str], Position] = {}
        self._working: dict[str, OrderState] = {}
        #: The working orders by id, oldest first.
        self.orders: Mapping[str, OrderState] = MappingProxyType(self._working)
        #: Whose order it is, kept for the fill that comes after the end.
        self._strategies: dict[str, str] = {}
        #: Trades in the books; and how often these changed, by trades and by what swaps cost.
        self.fills = self.changes = 0
        #: By order, the trades that are in the books; and those that the venue took back.
        self._trades: dict[str, tuple[Fill, ...]] = {}
        self._busted: set[str] = set()
        #: The brokers whose venue's books have been found to agree with these, and what does not agree now.
        self.reconciled: set[str] = set()
        self.breaks: dict[tuple[str, str, str], Break] = {}
        #: By symbol and currency, the time (the venue's, ns UTC) until which all is in what was adopted.
        self.adopted: dict[str, int] = {}
        #: The orders that have ended, with the time; and by strategy the highest number of one forgotten.
        self._ended: deque[tuple[int, str]] = deque()
        self._forgotten: dict[str, int] = {}
        # Floats of cash and of the open positions, so that equity costs no Decimal on each bar.
        self._cash = float(account.cash)
        self._open: dict[str, tuple[float, float]] = {}
        #: What `apply` does with an event, by its kind; with any other it advances the order it is about.
        self.folds: dict[type[Event], Callable[[Any], None]] = {
            Bar: self._mark,
            Quote: self._mark,
            Order: self._add_order,
            Fill: self._add_fill,
            Busted: self._bust,
            Swap: self._add_swap,
            Break: self._add_break,
            Mended: self._mend,
            Reconciled: self._reconcile,
            Adopted: self._adopt,
            Snapshot: self._restore,
            Halted: self._halt,
            HaltLifted: self._lift_halt,
            PluginFailed: self._note_failure,
        }

    def apply(self, event: Event) -> None:
        """Fold *event* in."""
        self.folds.get(type(event), self.advance)(event)

    # What the market says.

    def price(self, symbol: str) -> float:
        """The last close, or the middle of the last quote; NaN before the first."""
        return self._prices.get(symbol, _NAN)

    def priced_at(self, symbol: str) -> int:
        """When that price was known, ns UTC; 0 before the first."""
        return self.heard_at.get(symbol, 0)

    def rate(self, currency: str) -> Decimal:
        """Units of account currency for one of *currency*, at the last prices.

        Raises NoRate when neither pair is an instrument with a price.
        """
        if currency == self.currency:
            return _ONE
        straight = self._prices.get(currency + self.currency)
        if straight is not None:
            return Decimal(repr(straight))
        inverse = self._prices.get(self.currency + currency)
        if inverse is not None:
            return _ONE / Decimal(repr(inverse))
        pairs = f"{currency}{self.currency} or {self.currency}{currency}"
        raise NoRate(f"no rate from {currency} to {self.currency}: add a feed for the instrument {pairs}")

    def rate_for(self, symbol: str) -> Decimal:
        """Units of account currency for one of the currency that *symbol* is priced in.

        Raises NoRate when there is none, or *symbol* is not an instrument of this run.
        """
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise NoRate(f"{symbol} is not an instrument of this run")
        return _ONE if instrument.currency == self.currency else self.rate(instrument.currency)

    def value(self, symbol: str, quantity: Decimal, price: Decimal) -> Decimal:
        """What *quantity* lots at *price* are worth, in account currency."""
        instrument = self.instruments[symbol]
        worth = quantity * price * instrument.lot_size
        return worth if instrument.currency == self.currency else worth * self.rate(instrument.currency)

    # What we hold.

    def position(self, symbol: str, strategy: str | None = None) -> Position:
        """The account's net position, or the part of it that *strategy*'s orders made."""
        known = self._positions.get(symbol) if strategy is None else self._held.get((strategy, symbol))
        return known or self._flat.get(symbol) or Position(symbol)

    @property
    def positions(self) -> Mapping[str, Position]:
        """The account's net positions by symbol, flat ones included."""
        return MappingProxyType(self._positions)

    # What is working.

    def order(self, order_id: str) -> OrderState | None:
        """A working order."""
        return self._working.get(order_id)

    def strategy_of(self, order_id: str) -> str:
        """Whose order it is or was; empty when it was never ours."""
        return self._strategies.get(order_id, "")

    def has_forgotten(self, order_id: str) -> bool:
        """Whether it is an order of ours that ended so long ago that its trades are not known any more."""
        if order_id in self._strategies:
            return False
        strategy, _, number = order_id.rpartition("-")
        return number.isdecimal() and int(number) <= self._forgotten.get(strategy, 0)

    def working(self, symbol: str | None = None, strategy: str | None = None) -> list[OrderState]:
        """The orders that may still fill, oldest first."""
        return [
            state
            for state in self._working.values()
            if symbol in (None, state.order.symbol) and strategy in (None, state.order.strategy)
        ]

    def heading(self, symbol: str, strategy: str) -> Decimal:
        """Lots that *strategy* will hold once its market orders and its entries have filled.

        Resting exits (a bracket's stop and target) are left out: only one of them will fill, if any.
        """
        working = self.working(symbol, strategy)
        orders = (s.remaining * s.order.side.sign for s in working if not _is_resting_exit(s.order))
        return self.position(symbol, strategy).quantity + sum(orders, ZERO)

    def exposure_after(self, order: Order) -> Decimal:
        """Lots we would hold, negative when short, if *order* and all that works on its side filled.

        Orders on the other side are taken to fill never and those that only reduce to fill first,
        so this is the worst case. An order of the same id is taken to be replaced by this.
        """
        if not self._working and not order.reduce_only:
            held = self.position(order.symbol).quantity
            return held + order.quantity if order.side is _BUY else held - order.quantity
        known = self._working.get(order.id)
        quantity = order.quantity if known is None else max(order.quantity - known.filled, ZERO)
        adding, reducing = (ZERO, quantity) if order.reduce_only else (quantity, ZERO)
        for state in self._working.values():
            other = state.order
            if other.side is order.side and other.symbol == order.symbol and other.id != order.id:
                if other.reduce_only:
                    reducing += state.remaining
                else:
                    adding += state.remaining
        sign = order.side.sign
        held = self._positions.get(order.symbol, self._flat[order.symbol]).quantity
        if reducing:
            adding += min(reducing, max(-held * sign, ZERO))
        return held + adding * sign

    def has_fill(self, fill: Fill) -> bool:
        """Whether this trade is already in the books, or was taken out of them again."""
        return _is_among(fill, self._trades.get(fill.order_id, ()))

    def is_adopted(self, fill: Fill) -> bool:
        """Whether this trade is not in the books, and all that it did is in what was adopted."""
        until = max(self.adopted.get(fill.symbol, 0), self.adopted.get(self.currency, 0))
        return fill.time <= until and not self.has_fill(fill)

    def trade(self, order_id: str, trade_id: str) -> Fill | None:
        """A trade that was told of the order, also when it was taken back."""
        known = self._trades.get(order_id, ())
        return next((each for each in known if each.trade_id == trade_id), None)

    # What it is worth.

    @property
    def stakes(self) -> tuple[float, dict[str, tuple[float, float]]]:
        """Cash, and the units and cost of each open position: what equity is made of, besides prices."""
        return self._cash, dict(self._open)

    @property
    def unrealized(self) -> float:
        """What closing everything at the last prices would bring, in account currency."""
        return self.equity - self._cash

    @property
    def equity(self) -> float:
        """Cash and unrealized profit, in account currency."""
        if not self._open:
            return self._cash
        prices = self._prices
        worth = self._cash
        for symbol, (units, cost) in self._open.items():
            profit = prices[symbol] * units - cost
            currency = self.instruments[symbol].currency
            worth += profit if currency == self.currency else profit * float(self.rate(currency))
        return worth

    @property
    def is_exposed(self) -> bool:
        """Whether any position is open."""
        return bool(self._open)

    @property
    def margin(self) -> Decimal:
        """Account currency that the open positions hold back."""
        return sum((self._margin_of(position) for position in self._positions.values()), ZERO)

    # The fold.

    def _mark(self, market: Market) -> None:
        self.mark(market.symbol, price_of(market), market.time)

    def mark(self, symbol: str, price: float, time: int) -> None:
        """Fold in the *price* that was known at *time*; the engine has seen that it can be one."""
        self._prices[symbol] = price
        self.heard_at[symbol] = time
        if time > self.time:
            self.time = time

    def _add_order(self, order: Order) -> None:
        self._working[order.id] = OrderState(order)
        self._strategies[order.id] = order.strategy

    def advance(self, event: Event) -> None:
        """Fold in what *event* says of a working order."""
        order_id = getattr(event, "order_id", "")
        before = self._working.get(order_id)
        if before is None:
            return
        after = advance(before, event)
        if after.status in TERMINAL:
            self._end(order_id)
        else:
            self._working[order_id] = after

    def _add_fill(self, fill: Fill) -> None:
        trades = self._trades.get(fill.order_id, ())
        if trades and _is_among(fill, trades):
            return
        quantity = fill.quantity if fill.side is _BUY else -fill.quantity
        # First, as it can raise: a fill is booked whole or not at all.
        lot = self.instruments[fill.symbol].lot_size
        self._trades[fill.order_id] = (*trades, fill)
        if self._busted and fill.trade_id in self._busted:
            return
        self.fills += 1
        working = self._working.get(fill.order_id)
        if working is None:
            if not trades and fill.order_id not in self._strategies:
                # Of an order that we were never told of; it may come before the market's first word.
                self._note_end(fill.order_id, max(self.time, fill.time))
        elif working.asked is None and working.filled + fill.quantity >= working.order.quantity:
            # What it would be then, nobody asks any more.
            self._end(fill.order_id)
        else:
            self.advance(fill)
        self._trade(fill, quantity, fill.commission, lot)

    def _trade(self, fill: Fill, quantity: Decimal, commission: Decimal, lot: Decimal) -> None:
        """Book *quantity* signed lots, of *lot* units each, at the price of *fill*."""
        symbol, price, value = fill.symbol, fill.price, lot * fill.rate
        flat, mine = self._flat[symbol], (fill.strategy, symbol)
        before, held = self._positions.get(symbol, flat), self._held.get(mine, flat)
        after = self._positions[symbol] = traded(before, quantity, price, value)
        # While one strategy trades the symbol, the account's position is its own.
        self._held[mine] = after if held is before else traded(held, quantity, price, value)
        self.commission += commission
        self._pay(after.realized - before.realized - commission)
        self._value(after, lot)
        # A fill can come before the first price, and equity must not wait for it.
        if symbol not in self._prices:
            self._prices[symbol] = float(price)

    def _value(self, position: Position, lot: Decimal) -> None:
        """Note what equity is made of."""
        if position.quantity:
            self._open[position.symbol] = (float(position.quantity * lot), float(position.cost * lot))
        else:
            self._open.pop(position.symbol, None)

    def _end(self, order_id: str) -> None:
        del self._working[order_id]
        self._note_end(order_id, self.time)

    def _note_end(self, order_id: str, time: int) -> None:
        self._ended.append((time, order_id))
        if self._ended[0][0] < self.time - KEPT:
            self._forget()

    def _forget(self) -> None:
        """Let go of orders that ended long ago, so that memory does not grow with all that ever traded."""
        while self._ended and self._ended[0][0] < self.time - KEPT:
            _, order_id = self._ended.popleft()
            trades = self._trades.pop(order_id, ())
            if self._busted:
                self._busted.difference_update(each.trade_id for each in trades)
            strategy = self._strategies.pop(order_id, "")
            number = order_id.removeprefix(f"{strategy}-")
            if number.isdecimal():
                self._forgotten[strategy] = max(int(number), self._forgotten.get(strategy, 0))

    def _bust(self, busted: Busted) -> None:
        """Trade the same lots back at the same price: equity is as if the trade had never been."""
        fill = self.trade(busted.order_id, busted.trade_id)
        is_known = busted.trade_id in self._busted
        # Also when it comes before its trade, which then is never booked.
        self._busted.add(busted.trade_id)
        if fill is None or is_known:
            return
        lot = self.instruments[fill.symbol].lot_size
        self._trade(fill, -fill.signed_quantity, -fill.commission, lot)
        state = self._working.get(busted.order_id)
        if state is not None:
            filled = max(state.filled - fill.quantity, ZERO)
            self._working[busted.order_id] = msgspec.structs.replace(state, filled=filled)

    def snapshot(self, numbers: Mapping[str, int]) -> Snapshot:
        """Everything, for an event from which the fold can go on."""
        return Snapshot(
            cash=self.cash,
            commission=self.commission,
            swap=self.swap,
            time=self.time,
            halted=self.halted,
            fills=self.fills,
            prices=dict(self._prices),
            heard_at=dict(self.heard_at),
            positions=list(self._positions.values()),
            held=[(strategy, position) for (strategy, _), position in self._held.items()],
            working=list(self._working.values()),
            strategies=dict(self._strategies),
            trades={order_id: list(trades) for order_id, trades in self._trades.items()},
            busted=sorted(self._busted),
            ended=list(self._ended),
            forgotten=dict(self._forgotten),
            breaks=list(self.breaks.values()),
            numbers=dict(numbers),
            adopted=dict(self.adopted),
        )

    def _restore(self, known: Snapshot) -> None:
        """Become what *known* says, in place: others hold on to the mappings."""
        self.commission, self.swap, self.fills = known.commission, known.swap, known.fills
        self.time, self.halted = known.time, known.halted
        self.cash = ZERO
        self._pay(known.cash)
        for mine, theirs in (
            (self._prices, known.prices),
            (self.heard_at, dict.fromkeys(self.instruments, 0) | known.heard_at),
            (self._positions, {each.symbol: each for each in known.positions}),
            (self._held, {(strategy, each.symbol): each for strategy, each in known.held}),
            (self._working, {each.order.id: each for each in known.working}),
            (self._strategies, known.strategies),
            (self._trades, {order_id: tuple(trades) for order_id, trades in known.trades.items()}),
            (self._forgotten, known.forgotten),
            (self.breaks, {(each.broker, each.kind, each.about): each for each in known.breaks}),
            (self.adopted, known.adopted),
        ):
            _become(mine, theirs)
        self._busted = set(known.busted)
        self._ended = deque(known.ended)
        self.reconciled.clear()
        self._open.clear()
        for position in known.positions:
            self._value(position, self.instruments[position.symbol].lot_size)

    def _add_break(self, found: Break) -> None:
        self.breaks[found.broker, found.kind, found.about] = found

    def _mend(self, ended: Mended | Adopted) -> None:
        self.breaks.pop((ended.broker, ended.kind, ended.about), None)

    def _adopt(self, adopted: Adopted) -> None:
        self._mend(adopted)
        match adopted.kind:
            case "position":
                self._take_over(adopted.about, Decimal(adopted.theirs), adopted.amount)
            case "cash":
                self._pay(adopted.amount - self.cash)
            case _:
                return
        self.adopted[adopted.about] = adopted.time

    def _take_over(self, symbol: str, quantity: Decimal, cost: Decimal) -> None:
        """Hold *quantity* lots that cost *cost*. What is more or less than before, is no strategy's."""
        lot = self.instruments[symbol].lot_size
        before = self.position(symbol)
        after = self._positions[symbol] = Position(symbol, quantity, cost, before.realized)
        price = cost / quantity if quantity else Decimal(repr(self._prices[symbol]))
        more = quantity - before.quantity
        self._held["", symbol] = traded(self.position(symbol, ""), more, price, ZERO)
        self._prices.setdefault(symbol, float(price))
        self._value(after, lot)
        self.changes += 1

    def _reconcile(self, reconciled: Reconciled) -> None:
        self.reconciled.add(reconciled.broker)

    def _add_swap(self, swap: Swap) -> None:
        self.swap += swap.amount
        self._pay(swap.amount)

    def _halt(self, event: Halted) -> None:
        self.halted = self.halted or event.reason or "no reason given"

    def _lift_halt(self, event: HaltLifted) -> None:
        self.halted = ""

    def _note_failure(self, failure: PluginFailed) -> None:
        """A venue that cannot be asked may believe anything: its books have to be compared anew."""
        if failure.hook == "fetch_statement":
            self.reconciled.discard(failure.plugin)

    def _pay(self, amount: Decimal) -> None:
        self.changes += 1
        self.cash += amount
        self._cash = float(self.cash)

    def _margin_of(self, position: Position) -> Decimal:
        if not position.quantity:
            return ZERO
        price = Decimal(repr(self._prices[position.symbol]))
        worth = self.value(position.symbol, abs(position.quantity), price)
        return worth * self.instruments[position.symbol].margin_rate


def _become(mine: dict[Any, Any], theirs: Mapping[Any, Any]) -> None:
    mine.clear()
    mine.update(theirs)


def traded(position: Position, quantity: Decimal, price: Decimal, value: Decimal) -> Position:
    """*position* once *quantity* signed lots traded at *price*.

    *value* is what one lot gains when the price rises by one, in account currency.
    """
    held, cost, after = position.quantity, position.cost, position.quantity + quantity
    if not held or (held > 0) is (quantity > 0):
        return Position(position.symbol, after, cost + quantity * price, position.realized)
    if not after:
        realized = position.realized + (held * price - cost) * value
        return Position(position.symbol, after, ZERO, realized)
    closed = -quantity if abs(quantity) < abs(held) else held
    # The cost that leaves is also the cost in the profit, so rounding here cannot make money.
    left = cost if closed == held else cost * closed / held
    return Position(
        position.symbol,
        after,
        cost - left + (quantity + closed) * price,
        position.realized + (closed * price - left) * value,
    )


def _is_among(fill: Fill, trades: tuple[Fill, ...]) -> bool:
    trade_id = fill.trade_id
    return any(each.trade_id == trade_id for each in trades)


def _is_resting_exit(order: Order) -> bool:
    return order.reduce_only and order.order_type is not OrderType.MARKET


def opposite_of(position: Position) -> Side:
    """The side that closes *position*."""
    return Side.SELL if position.quantity > 0 else Side.BUY
