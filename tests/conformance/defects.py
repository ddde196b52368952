"""Brokers with one defect each, made from the simple one that conforms."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from msgspec.structs import replace

from nicegold import (
    Absent,
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Execution,
    Fill,
    Health,
    Order,
    OrderStatus,
    Placed,
    Rejected,
    Replace,
    Side,
    Statement,
    TimeInForce,
    hookimpl,
)
from nicegold.conformance import INSTRUMENT
from tests.conformance.simple import Simple, Venue

Told = TypeVar("Told", bound=Event)
ZERO = Decimal(0)


class OpensEarly(Simple):
    def __init__(self, venue: Venue) -> None:
        super().__init__(venue=venue)
        venue.connect()


class StartsWithoutVenue(Simple):
    @hookimpl
    def startup(self) -> None:
        try:
            super().startup()
        except ConnectionError:
            self._session = self._seen = 0


class FailsWithoutWords(Simple):
    @hookimpl
    def startup(self) -> None:
        try:
            super().startup()
        except ConnectionError:
            raise ConnectionError from None


class TriesTheVenue(Simple):
    """Sends an order of its own to see whether that works."""

    @hookimpl
    def startup(self) -> None:
        super().startup()
        order = Order(
            symbol=INSTRUMENT.symbol,
            side=Side.BUY,
            quantity=INSTRUMENT.quantity_step,
            time_in_force=TimeInForce.FOK,
            id="hello",
        )
        self.venue.submit(self._session, order)


class NeverEnds(Simple):
    @hookimpl
    def stream_executions(self) -> Iterator[Execution]:
        yield from super().stream_executions()
        threading.Event().wait()


class AlwaysWell(Simple):
    @hookimpl
    def health(self) -> Health:
        return Health(True, "connected")


class NeverWellAgain(Simple):
    @hookimpl
    def health(self) -> Health:
        self._ill = getattr(self, "_ill", "") or self._trouble
        return Health(not self._ill, self._ill)


class AnswersWithVenueId(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        answer = super().place_order(order)
        return replace(answer, order_id=answer.venue_order_id) if isinstance(answer, Accepted) else answer


class RefusesWithoutReason(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        answer = super().place_order(order)
        return replace(answer, reason="") if isinstance(answer, Rejected) else answer


class AnswersFirst(Simple):
    """Says that a limit is Accepted, and sends it when it has something else to say to the venue."""

    @hookimpl
    def startup(self) -> None:
        super().startup()
        self._unsent: list[Order] = []

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        self._send()
        if order.price is None:
            return super().place_order(order)
        self._unsent.append(order)
        return Accepted(order_id=order.id, time=order.time)

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        self._send()
        return super().cancel_order(cancel)

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        self._send()
        return super().replace_order(replace)

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        self._send()
        return super().fetch_statement(since)

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        self._send()
        return super().find_order(order)

    def _send(self) -> None:
        while self._unsent:
            with suppress(OSError):
                self.venue.submit(self._session, self._unsent.pop(0))


class TakesSilenceForNo(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        try:
            return super().place_order(order)
        except TimeoutError as error:
            return Rejected(order_id=order.id, time=order.time, reason=str(error))


class TakesSilenceForYes(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        try:
            return super().place_order(order)
        except TimeoutError:
            return Accepted(order_id=order.id, time=order.time)


class SendsAgain(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        try:
            return super().place_order(order)
        except TimeoutError:
            super().place_order(order)
            raise


class RenamesTheSecond(Simple):
    """Gives an order that it has sent before another client id."""

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        if self.venue.find(self._session, order.id) is None:
            return super().place_order(order)
        return replace(super().place_order(replace(order, id=f"{order.id}-2")), order_id=order.id)


class AnswersCancelWithItsEnd(Simple):
    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        super().cancel_order(cancel)
        return Canceled(order_id=cancel.order_id, time=cancel.time)  # type: ignore[return-value]  # the defect


class ForgetsReplace(Simple):
    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        return Placed(order_id=replace.order_id, time=replace.time)


class Edits(Simple):
    """What its stream tells goes through `edited`."""

    @hookimpl
    def stream_executions(self) -> Iterator[Execution]:
        for execution in super().stream_executions():
            yield from self.edited(execution)

    def edited(self, execution: Execution) -> list[Execution]:
        return [execution]


class HidesRefusedChange(Edits):
    def edited(self, execution: Execution) -> list[Execution]:
        return [] if isinstance(execution, CancelRejected) else [execution]


class TellsVenueIds(Edits):
    """Also under the venue's id."""

    def edited(self, execution: Execution) -> list[Execution]:
        if not isinstance(execution, Canceled):
            return [execution]
        return [replace(execution, order_id="V-1"), execution]


class NumbersTradesByOrder(Simple):
    """T-1 is the first trade of each order, wherever it is told."""

    @hookimpl
    def stream_executions(self) -> Iterator[Execution]:
        for execution in super().stream_executions():
            yield self._numbered(execution)

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        return found and replace(found, fills=[self._numbered(each) for each in found.fills])

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        found = super().find_order(order)
        return None if found is None else [self._numbered(each) for each in found]

    def _numbered(self, told: Told) -> Told:
        if not isinstance(told, Fill):
            return told
        known = self.venue.find(self._session, told.order_id) or []
        trades = [each.trade_id for each in known if isinstance(each, Fill)]
        return replace(told, trade_id=f"T-{trades.index(told.trade_id) + 1}")


class NumbersWhatItFinds(Simple):
    """A trade has another id each time it is asked about."""

    _found = 0

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        found = super().find_order(order)
        self._found += 1
        return found and [
            replace(each, trade_id=f"F-{self._found}-{number}") if isinstance(each, Fill) else each
            for number, each in enumerate(found)
        ]


class TellsTooMuch(Edits):
    """Tells each trade of a larger order twice, as two."""

    def edited(self, execution: Execution) -> list[Execution]:
        if not isinstance(execution, Fill) or execution.quantity != Decimal("0.15"):
            return [execution]
        return [execution, replace(execution, trade_id=f"{execution.trade_id}-2")]


class OffTheGrid(Edits):
    def edited(self, execution: Execution) -> list[Execution]:
        if not isinstance(execution, Fill):
            return [execution]
        return [replace(execution, price=execution.price + Decimal("0.001"))]


class WrongSymbol(Edits):
    def edited(self, execution: Execution) -> list[Execution]:
        return [replace(execution, symbol="GOLD") if isinstance(execution, Fill) else execution]


class AcceptsAfterTheFact(Edits):
    """Answers Placed, and tells that it was accepted when it has traded."""

    @hookimpl
    def place_order(self, order: Order) -> Placed | Rejected:  # type: ignore[override]  # the hook takes it
        answer = super().place_order(order)
        if isinstance(answer, Rejected) or order.price is not None:
            return answer  # type: ignore[return-value]  # a limit is answered as it should be
        return Placed(order_id=order.id, time=order.time)

    def edited(self, execution: Execution) -> list[Execution]:
        if not isinstance(execution, Fill):
            return [execution]
        return [execution, Accepted(order_id=execution.order_id, time=execution.time)]


class CancelsTwice(Edits):
    def edited(self, execution: Execution) -> list[Execution]:
        return [execution] * (2 if isinstance(execution, Canceled) else 1)


class ForgetsWhatItMissed(Simple):
    """Goes on with what comes after it has connected again."""

    _finds = False

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        self._finds = True
        return super().find_order(order)

    def _connect_again(self, ended: int) -> None:
        super()._connect_again(ended)
        # Whoever finds has ended the session itself, and may miss something or not.
        if not (self._trouble or self._finds):
            self._seen = self.venue.told


class ListsNoWorkingOrders(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        ended = [each for each in found.orders if each.status is not OrderStatus.NEW] if found else []
        return found and replace(found, orders=ended)


class ListsNoEndedOrders(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        working = [each for each in found.orders if each.status is OrderStatus.NEW] if found else []
        return found and replace(found, orders=working)


class ListsNoTrades(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        return found and replace(found, fills=found.fills[:-1])


class IgnoresSince(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(0)
        return found and replace(found, since=since)


class UnsignedPositions(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        return found and replace(found, positions={name: abs(lots) for name, lots in found.positions.items()})


class CashBeforeCommission(Simple):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        if found is None or found.cash is None:
            return found
        return replace(found, cash=found.cash + sum((each.commission for each in found.fills), ZERO))


class FindsTheFirstOnly(Simple):
    """Tells of an order in doubt that it was accepted, and of its first trade."""

    _doubtful = ""

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        self._doubtful = order.id
        answer = super().place_order(order)
        self._doubtful = ""
        return answer

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        found = super().find_order(order)
        return found and found[: 2 if order.id == self._doubtful else None]


class FindsNothing(Simple):
    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        found = super().find_order(order)
        return [each for each in found if not isinstance(each, Absent)] if found else found


class TakesSilenceForAbsent(Simple):
    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        found = super().find_order(order)
        return [Absent(order_id=order.id, time=order.time)] if found is None else found


class AbsentWithoutProof(Simple):
    """What the venue does not know may be on the way still."""

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        try:
            found = self.venue.find(self._session, order.id)
        except OSError:
            return None
        return [Absent(order_id=order.id, time=order.time)] if found is None else [*found]


class FindsWhatMayChange(Simple):
    """Tells what the venue has, while a cancel may be on its way."""

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        try:
            found = self.venue.find(self._session, order.id)
        except OSError:
            return None
        return super().find_order(order) if found is None else [*found]


class CostsInMoney(Simple):
    """Says what open lots cost in account currency."""

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        found = super().fetch_statement(since)
        if found is None or found.costs is None:
            return None
        return replace(
            found, costs={symbol: cost * INSTRUMENT.lot_size for symbol, cost in found.costs.items()}
        )


#: By defect, the case that is about it, and those that cannot but fail with it.
DEFECTS: dict[type[Simple], tuple[str, ...]] = {
    OpensEarly: ("B01",),
    StartsWithoutVenue: ("B02",),
    FailsWithoutWords: ("B02",),
    TriesTheVenue: ("B03",),
    NeverEnds: ("B04",),
    AlwaysWell: ("B05",),
    NeverWellAgain: ("B05",),
    AnswersWithVenueId: ("B06",),
    RefusesWithoutReason: ("B07",),
    # What has not left does not trade.
    AnswersFirst: ("B08", "B23"),
    # Whoever waited cannot tell a lost request from a lost answer.
    TakesSilenceForNo: ("B10", "B09"),
    TakesSilenceForYes: ("B09", "B10"),
    SendsAgain: ("B11",),
    RenamesTheSecond: ("B12",),
    AnswersCancelWithItsEnd: ("B13",),
    ForgetsReplace: ("B14",),
    HidesRefusedChange: ("B15",),
    TellsVenueIds: ("B16",),
    NumbersTradesByOrder: ("B17",),
    NumbersWhatItFinds: ("B18",),
    TellsTooMuch: ("B19",),
    OffTheGrid: ("B20",),
    WrongSymbol: ("B21",),
    AcceptsAfterTheFact: ("B22",),
    CancelsTwice: ("B22",),
    ForgetsWhatItMissed: ("B23",),
    ListsNoWorkingOrders: ("B24",),
    ListsNoEndedOrders: ("B25",),
    ListsNoTrades: ("B26",),
    IgnoresSince: ("B26",),
    UnsignedPositions: ("B27",),
    CashBeforeCommission: ("B28",),
    FindsTheFirstOnly: ("B29",),
    FindsNothing: ("B30",),
    TakesSilenceForAbsent: ("B31",),
    AbsentWithoutProof: ("B32", "B33"),
    FindsWhatMayChange: ("B33",),
    CostsInMoney: ("B34",),
}
