"""The nouns of trading: what is traded, what is seen, what is asked for and what happened.

Frozen values, no I/O, no clock. Times are nanoseconds since 1970 in UTC. Market prices are
floats: they are estimates and there are many. Money, quantities and the prices of orders and
fills are Decimal: they are obligations. Quantities are lots. Names are FIX's.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec.structs import force_setattr

from nicegold.sessions import Sessions
from nicegold.values import (
    ZERO,
    finite,
    is_finite,
    is_positive,
    is_sound_bar,
    is_sound_quote,
    not_negative,
    one_of,
    positive,
)

_ONE = Decimal(1)
#: Counts of ticks below this are exact in a float to a millionth.
_EXACT = 1e9


class Side(StrEnum):
    """FIX 54. *sign* is +1 for a buy, -1 for a sell."""

    BUY = "buy"
    SELL = "sell"

    sign: int

    def __init__(self, name: str) -> None:
        # Looked up for every order: as a property it would cost ten times that.
        self.sign = 1 if name == "buy" else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """FIX 40."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """FIX 59."""

    GTC = "gtc"
    DAY = "day"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


#: Until Python 3.12 a member costs a function call each time that it is looked up in its enum; on the way
#: of every order they are looked up here.
_BUY, _MARKET, _GTC = Side.BUY, OrderType.MARKET, TimeInForce.GTC


class OrderStatus(StrEnum):
    """FIX 39, and `UNKNOWN`: an outcome we must ask the venue about is never a reject."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What can be traded, and the venue's terms for it.

    *lot_size* is units a lot (XAUUSD: 100 oz). *margin_rate* is the part of the value that must
    be held. *swap_long* and *swap_short* are account currency a lot a night, received if positive.
    *spread* is in price, used where the data carry none. *currency* is what the price is in.
    """

    symbol: str
    tick_size: Decimal
    lot_size: Decimal = _ONE
    quantity_step: Decimal = _ONE
    currency: str = "USD"
    margin_rate: Decimal = ZERO
    swap_long: Decimal = ZERO
    swap_short: Decimal = ZERO
    spread: Decimal = ZERO
    sessions: Sessions = Sessions()

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "quantity_step"):
            positive(f"instrument {self.symbol}", name, getattr(self, name))
        for name in ("margin_rate", "spread"):
            not_negative(f"instrument {self.symbol}", name, getattr(self, name))
        for name in ("swap_long", "swap_short"):
            finite(f"instrument {self.symbol}", name, getattr(self, name))

    def to_price(self, value: float | Decimal) -> Decimal:
        """*value* at the nearest tick; half of one goes to the even tick."""
        if type(value) is float:
            ticks = value / float(self.tick_size)
            nearest = round(ticks) if -_EXACT < ticks < _EXACT else 0
            # Nearly always: a float tells which tick is near, and only close to the middle may it err.
            if nearest and abs(ticks - nearest) < 0.499:
                return nearest * self.tick_size
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        return (exact / self.tick_size).quantize(_ONE, ROUND_HALF_EVEN) * self.tick_size

    def to_quantity(self, value: float | Decimal) -> Decimal:
        """*value* lots cut to whole steps, so that a computed size is never exceeded."""
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        return (exact / self.quantity_step).quantize(_ONE, ROUND_DOWN) * self.quantity_step


Stamped = TypeVar("Stamped", bound="Event")


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=True, omit_defaults=True, gc=False):
    """Something that is told to everybody, recorded, and folded into the portfolio."""


def stamped(event: Stamped, **fields: Any) -> Stamped:
    """*event* with *fields* that the engine adds to what a plugin said.

    Nothing is checked again, as `msgspec.structs.replace` would: what is added is the engine's own.
    """
    copy: Stamped = event.__copy__()  # type: ignore[attr-defined]  # every Struct has it
    for name, value in fields.items():
        force_setattr(copy, name, value)
    return copy


# What is seen.


class Bar(Event, frozen=True):
    """Prices between *start* and *time*, known at *time*. Bid prices where there are two sides.

    *spread* is in price; 0 means the data carry none. *volume* is what the source counts.
    """

    symbol: str
    start: int
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    spread: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether these can be prices; NaN, infinity and numpy's numbers are not."""
        return is_sound_bar(self)


class Quote(Event, frozen=True):
    """The best bid and ask at *time*. A size of 0 means the source gives none (in lots)."""

    symbol: str
    time: int
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether these can be prices; NaN, infinity and numpy's numbers are not."""
        return is_sound_quote(self)


Market: TypeAlias = Bar | Quote


# What is asked for.


class Order(Event, frozen=True, kw_only=True):
    """A wish to trade. A strategy fills in what it wants; the engine adds *id*, *strategy*, *time*.

    In a list that a strategy returns, *id*, *parent* and *oco* may be labels that tie the list's
    orders together. An order with a *parent* sleeps until the parent fills; orders with the same
    *oco* cancel each other. *reduce_only* never opens or turns a position. *price* is the limit,
    *stop_price* the trigger, *trail* the distance of a trailing stop, *expires* the end of a GTD.
    """

    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires: int = 0
    reduce_only: bool = False
    parent: str = ""
    oco: str = ""
    id: str = ""
    strategy: str = ""
    time: int = 0

    def __post_init__(self) -> None:
        # Most are at market and have nothing else that could be wrong.
        if not (
            self.order_type is _MARKET
            and self.time_in_force is _GTC
            and type(self.side) is Side
            and self.price is self.stop_price is self.trail is None
            and self.expires == 0
            and is_positive(self.quantity)
        ):
            self._check()

    def _check(self) -> None:
        what = f"order for {self.symbol}"
        one_of(what, "side", self.side, Side)
        one_of(what, "order_type", self.order_type, OrderType)
        one_of(what, "time_in_force", self.time_in_force, TimeInForce)
        positive(what, "quantity", self.quantity)
        wanted = _PRICES_OF[self.order_type]
        for name in ("price", "stop_price", "trail"):
            value = getattr(self, name)
            if (value is not None) != (name in wanted):
                need = "needs" if name in wanted else "takes no"
                raise ValueError(f"{what}: a {self.order_type.value} order {need} {name}")
            if value is not None:
                positive(what, name, value)
        if (self.expires > 0) != (self.time_in_force is TimeInForce.GTD):
            raise ValueError(f"{what}: expires and time_in_force GTD go together")

    @property
    def signed_quantity(self) -> Decimal:
        """Lots, negative for a sell."""
        return self.quantity if self.side is _BUY else -self.quantity

    def stamped(self, order_id: str, strategy: str, time: int) -> Order:
        """A copy with what the engine adds; the rest is not checked again."""
        copy: Order = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        force_setattr(copy, "id", order_id)
        force_setattr(copy, "strategy", strategy)
        force_setattr(copy, "time", time)
        return copy


_PRICES_OF = {
    OrderType.MARKET: frozenset[str](),
    OrderType.LIMIT: frozenset({"price"}),
    OrderType.STOP: frozenset({"stop_price"}),
    OrderType.STOP_LIMIT: frozenset({"price", "stop_price"}),
    OrderType.TRAILING_STOP: frozenset({"trail"}),
}


class Cancel(Event, frozen=True, kw_only=True):
    """A wish to take an order back."""

    order_id: str
    strategy: str = ""
    time: int = 0


class Replace(Event, frozen=True, kw_only=True):
    """A wish to change a working order. None leaves a term as it is; *quantity* is the new total."""

    order_id: str
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    strategy: str = ""
    time: int = 0

    def __post_init__(self) -> None:
        what = f"replace of {self.order_id}"
        for name in ("quantity", "price", "stop_price"):
            value = getattr(self, name)
            if value is not None:
                positive(what, name, value)

    def of(self, order: Order) -> Order:
        """*order* as it would be with the new terms."""
        changes: dict[str, Any] = {
            name: value
            for name in ("quantity", "price", "stop_price")
            if (value := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(order, **changes)


Request: TypeAlias = Order | Cancel | Replace


# What happened.


class Objection(msgspec.Struct, frozen=True):
    """Who objected to an order, and why."""

    plugin: str
    reason: str


class Vetoed(Event, frozen=True, kw_only=True):
    """An order that did not leave, and everybody who objected."""

    order: Order
    objections: list[Objection]
    time: int


class Placed(Event, frozen=True, kw_only=True):
    """A broker has sent the order and the venue has not answered yet."""

    order_id: str
    time: int = 0
    broker: str = ""


class Unknown(Event, frozen=True, kw_only=True):
    """Nobody can say whether the venue has the request. Only the venue, or a person, ends this."""

    order_id: str
    reason: str
    time: int = 0


class Accepted(Event, frozen=True, kw_only=True):
    """The venue has the order (FIX 150=0)."""

    order_id: str
    time: int
    venue_order_id: str = ""


class Rejected(Event, frozen=True, kw_only=True):
    """The venue refused the order for good (FIX 150=8)."""

    order_id: str
    time: int
    reason: str


class Triggered(Event, frozen=True, kw_only=True):
    """A stop-limit's stop was reached: it is a limit order now (FIX 150=L)."""

    order_id: str
    time: int


class Fill(Event, frozen=True, kw_only=True):
    """*quantity* lots traded at *price* (FIX 150=F).

    *trade_id* is the venue's and never comes twice. *commission* is account currency, positive
    when paid. The engine adds *strategy*, and *rate*: account currency for one of the price's.
    """

    order_id: str
    trade_id: str
    time: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal = ZERO
    strategy: str = ""
    rate: Decimal = _ONE

    def __post_init__(self) -> None:
        if not (
            type(self.side) is Side
            and is_positive(self.quantity)
            and is_positive(self.price)
            and is_finite(self.commission)
            and (self.rate is _ONE or is_positive(self.rate))
        ):
            self._check()

    def _check(self) -> None:
        what = f"fill {self.trade_id} of {self.order_id}"
        one_of(what, "side", self.side, Side)
        positive(what, "quantity", self.quantity)
        positive(what, "price", self.price)
        finite(what, "commission", self.commission)
        positive(what, "rate", self.rate)

    @property
    def signed_quantity(self) -> Decimal:
        """Lots, negative for a sell."""
        return self.quantity if self.side is _BUY else -self.quantity

    def booked(self, strategy: str, rate: Decimal) -> Fill:
        """A copy with what the engine adds; the rest is not checked again."""
        copy: Fill = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        force_setattr(copy, "strategy", strategy)
        force_setattr(copy, "rate", rate)
        return copy


class Canceled(Event, frozen=True, kw_only=True):
    """The venue took the order back (FIX 150=4).

    *filled* is how many lots of it the venue has filled (FIX 14, CumQty); None where it does not say. Where
    that is more than was told, a trade was lost, and the order is in doubt instead of ended.
    """

    order_id: str
    time: int
    reason: str = ""
    filled: Decimal | None = None


class CancelRejected(Event, frozen=True, kw_only=True):
    """The venue refused a cancel or a replace (FIX 35=9); the order works on as it was.

    *sent* is False when the request never left, so the venue owes no answer to it.
    """

    order_id: str
    time: int
    reason: str
    sent: bool = True


class Replaced(Event, frozen=True, kw_only=True):
    """The order works on with these terms (FIX 150=5). None is a price as it was, or none."""

    order_id: str
    time: int
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None

    def __post_init__(self) -> None:
        what = f"replaced terms of {self.order_id}"
        positive(what, "quantity", self.quantity)
        for name in ("price", "stop_price"):
            value = getattr(self, name)
            if value is not None:
                positive(what, name, value)


class Expired(Event, frozen=True, kw_only=True):
    """The order's time in force ended (FIX 150=C). *filled* as in `Canceled`."""

    order_id: str
    time: int
    filled: Decimal | None = None


class Busted(Event, frozen=True, kw_only=True):
    """The venue took a trade back (FIX 150=H). What the order still wants is not changed by it."""

    order_id: str
    trade_id: str
    time: int
    reason: str = ""


class Swap(Event, frozen=True, kw_only=True):
    """Overnight financing of a position, account currency, negative when paid."""

    symbol: str
    time: int
    amount: Decimal

    def __post_init__(self) -> None:
        finite(f"swap of {self.symbol}", "amount", self.amount)


Execution: TypeAlias = (
    Accepted | Rejected | Triggered | Fill | Canceled | CancelRejected | Replaced | Expired | Busted | Swap
)


# What the venue believes, and how it differs from our books.


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue has it. *order_id* is ours; empty when it came from somewhere else."""

    order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue believed at *time*. It is not on the journal: what follows from it is.

    *orders* are those that work, and those that ended since *since* (ns UTC); *fills* came since then.
    *positions* are signed lots by symbol, flat ones may be left out. *cash* is None where the venue does
    not say; *costs*, by symbol, is what the open lots cost (price times lots): without it cash can be
    compared only while nothing is open.

    The engine's own are *asked*, the number of the last event on the journal when the question was put, and
    *clock*, what our clock showed (ns UTC) half way between question and answer; 0 where nobody looked. The
    venue's, which *time* is by, may differ by *slack* (ns).
    """

    time: int
    since: int
    orders: list[VenueOrder]
    fills: list[Fill]
    positions: dict[str, Decimal]
    cash: Decimal | None = None
    costs: dict[str, Decimal] | None = None
    asked: int = 0
    clock: int = 0
    slack: int = 0


class Absent(Event, frozen=True, kw_only=True):
    """It is certain that the venue never had the order, and never will.

    *asked* is the number of the last event on the journal when the question was put: an answer that is
    older than the last sending says nothing of it.
    """

    order_id: str
    time: int
    asked: int = 0


class Found(Event, frozen=True, kw_only=True):
    """The venue has the order, all that happened to it was told, and no request about it is on its way.

    *asked* is the number of the last event on the journal when the question was put: what left later, the
    answer says nothing of.
    """

    order_id: str
    time: int
    asked: int = 0


class Break(Event, frozen=True, kw_only=True):
    """Our books and the venue's differ in what nothing explains: *kind* of *about*, *ours* and *theirs*.

    *kind* is "order", "position", "cash" or "clock"; *about* an order's id, a symbol, a currency or "UTC".
    """

    broker: str
    kind: str
    about: str
    ours: str
    theirs: str
    time: int


class Mended(Event, frozen=True, kw_only=True):
    """A break is no more: the books agree again."""

    broker: str
    kind: str
    about: str
    time: int


class Adopted(Event, frozen=True, kw_only=True):
    """A person has said, and for what *reason*, that the venue is right: the break ends, ours becomes theirs.

    *amount* is what our cash becomes, or what the lots of a position cost (price times lots).
    """

    broker: str
    kind: str
    about: str
    ours: str
    theirs: str
    reason: str
    time: int
    amount: Decimal = ZERO


class Reconciled(Event, frozen=True, kw_only=True):
    """Our books and those of *broker*'s venue agree, for the first time or again."""

    broker: str
    time: int


class PluginFailed(Event, frozen=True, kw_only=True):
    """A plugin raised, exited or answered what its hook does not allow."""

    plugin: str
    hook: str
    error: str
    time: int = 0


class Refused(Event, frozen=True, kw_only=True):
    """A bar or quote of *plugin* that cannot be right: nobody was shown it."""

    plugin: str
    reason: str
    time: int = 0


class Halted(Event, frozen=True, kw_only=True):
    """No new risk from now on. *plugin* asked for it."""

    plugin: str
    reason: str
    time: int = 0


class HaltLifted(Event, frozen=True, kw_only=True):
    """A person has said that we may take new risk again, and why."""

    reason: str
    time: int = 0


class Source(msgspec.Struct, frozen=True):
    """Market data that can be read again: where it is and the digest of what is there."""

    location: str
    digest: str


class Started(Event, frozen=True, kw_only=True):
    """The first event of a run: all that is needed to repeat it, besides the data themselves."""

    version: str
    seed: int
    cash: Decimal
    currency: str
    instruments: list[Instrument]
    configuration: str
    sources: dict[str, Source]


class Finished(Event, frozen=True, kw_only=True):
    """The last event of a run that ended on purpose."""

    reason: str
    time: int = 0


class Account(msgspec.Struct, frozen=True):
    """What the trading starts with."""

    cash: Decimal
    currency: str


class Health(msgspec.Struct, frozen=True):
    """How a plugin says it is."""

    ok: bool
    detail: str = ""


class Alert(msgspec.Struct, frozen=True):
    """What a person should be told. *severity* is info, warning or critical."""

    severity: str
    title: str
    text: str
    time: int
