"""What a portfolio is made of, as it is written down: orders under way, positions, and all of it at once.

Not compiled, as what is read from the journal is made by the annotations here, and compiled classes
do not keep theirs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from nicegold.model import Break, Event, Fill, Order, OrderStatus, Replace
from nicegold.values import ZERO

#: No event but a late fill changes an order that is in one of these, and a fill changes only `filled`.
TERMINAL: Final = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
)
_RESTING: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class OrderState(msgspec.Struct, frozen=True, gc=False):
    """An order and how far it has come.

    *asked* is a replace that the venue has not answered, *unanswered* how many cancels and replaces
    it has not: an order is pending until all of them are. *resent* is whether it was sent again,
    after it was certain that the venue never had it.
    """

    order: Order
    status: OrderStatus = OrderStatus.PENDING_NEW
    filled: Decimal = ZERO
    triggered: bool = False
    venue_order_id: str = ""
    asked: Replace | None = None
    unanswered: int = 0
    resent: bool = False

    @property
    def is_working(self) -> bool:
        """Whether it may still fill. An unknown order may."""
        return self.status not in TERMINAL

    @property
    def is_resting(self) -> bool:
        """Whether the venue has it and owes no answer about it."""
        return self.status in _RESTING

    @property
    def remaining(self) -> Decimal:
        """Lots that may still fill, by the larger of the terms that may be in force."""
        if self.status in TERMINAL:
            return ZERO
        left = self.most - self.filled
        return left if left > ZERO else ZERO

    @property
    def most(self) -> Decimal:
        """The larger of the quantities that may be in force."""
        if self.asked is None or self.asked.quantity is None:
            return self.order.quantity
        return max(self.order.quantity, self.asked.quantity)


class Position(msgspec.Struct, frozen=True, gc=False):
    """A net position: *quantity* lots, negative when short, that cost *cost* (price times lots).

    *realized* is account currency, before commission and swap.
    """

    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        """What the open lots cost on average; 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO


class Snapshot(Event, frozen=True, kw_only=True):
    """All that a portfolio knows, but whether it was compared with a venue's books, at one moment.

    *numbers* has by strategy the number of its last order. Fields are as the portfolio keeps them.
    """

    cash: Decimal
    commission: Decimal
    swap: Decimal
    time: int
    halted: str
    fills: int
    prices: dict[str, float]
    heard_at: dict[str, int]
    positions: list[Position]
    held: list[tuple[str, Position]]
    working: list[OrderState]
    strategies: dict[str, str]
    trades: dict[str, list[Fill]]
    busted: list[str]
    ended: list[tuple[int, str]]
    forgotten: dict[str, int]
    breaks: list[Break]
    numbers: dict[str, int]
    #: Not in the journals of before there was a word to take.
    adopted: dict[str, int] = msgspec.field(default_factory=dict)
