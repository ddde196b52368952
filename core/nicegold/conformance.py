"""What every broker has to do, case by case, against a venue that its author can break.

The author writes a `Rig`: a fresh broker on a fresh venue, and what can be done to that venue. What a
rig cannot do is skipped and said to be, never passed. Needs no pytest, and fits it:

    @pytest.mark.parametrize("case", cases())
    def test_it_conforms(case):
        case(MyRig())
"""

from __future__ import annotations

import inspect
import threading
import unittest
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from nicegold.answers import Reply
from nicegold.host import Call, Host
from nicegold.model import (
    Absent,
    Accepted,
    Account,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Fill,
    Health,
    Instrument,
    Order,
    OrderStatus,
    OrderType,
    Placed,
    Quote,
    Rejected,
    Replace,
    Replaced,
    Side,
    Statement,
    VenueOrder,
)
from nicegold.sessions import SECOND
from nicegold.values import ZERO

#: What the cases trade. The venue must know it, with these terms, and an account with this cash.
INSTRUMENT = Instrument(
    symbol="XAUUSD", tick_size=Decimal("0.01"), lot_size=Decimal(100), quantity_step=Decimal("0.01")
)
ACCOUNT = Account(cash=Decimal(100_000), currency="USD")
#: 2026-01-05T00:00:00Z, a Monday: the time of the first order.
START = 1_767_571_200 * SECOND
_BID, _ASK = Decimal("1999.50"), Decimal("2000.50")
#: A limit that rests below the market, and a market that meets it.
_LIMIT, _LOW_BID, _LOW_ASK = Decimal("1990.00"), Decimal("1988.00"), Decimal("1989.00")
_CENT = Decimal("0.01")
#: Seconds between two looks at what is waited for.
_STEP = 0.005


class NotConformant(AssertionError):
    """The broker breaks the rule of a case."""


class NotTried(unittest.SkipTest):
    """The case could not be tried: the rig or the broker has not what it needs. pytest skips on it."""


class Rig(Protocol):
    """A broker and its venue. Subclass it, and override what you can do; the rest answers NotImplemented.

    *patience* is the seconds, waited, within which what must happen has happened.
    """

    patience: float = 10.0

    def broker(self) -> object:
        """A fresh broker for a fresh venue, not started; it gives up waiting for an answer within patience.

        All below is about this venue.
        """
        ...

    def close(self) -> object:
        """End what `broker` began; the broker has been shut down."""
        return None

    # What happens at the venue.

    def move(self, bid: Decimal, ask: Decimal) -> object:
        """Let the market be there, with size for all. A broker with `match_orders` is then told of it."""
        return NotImplemented

    def refused_order(self, order_id: str) -> Any:
        """An `Order` of that id which the venue refuses."""
        return NotImplemented

    # What goes wrong.

    def lose_next_request(self) -> object:
        """The next order never reaches the venue."""
        return NotImplemented

    def lose_next_answer(self) -> object:
        """The venue takes the next order, and its answer is lost."""
        return NotImplemented

    def hold_next_request(self) -> object:
        """The next order or cancel is on the way until `release`."""
        return NotImplemented

    def release(self) -> object:
        """What is on the way arrives."""
        return NotImplemented

    def silence(self, silent: bool) -> object:
        """While *silent*, the venue answers nothing and tells nothing."""
        return NotImplemented

    def disconnect(self, apart: bool) -> object:
        """While *apart*, there is no connection and none can be made; the venue trades on."""
        return NotImplemented

    def unplug(self) -> object:
        """From now on nobody is at the venue's address."""
        return NotImplemented

    # What the venue has seen.

    def orders_at_venue(self) -> Any:
        """A list of `VenueOrder`: all orders that the venue has had."""
        return NotImplemented

    def sendings(self) -> Any:
        """How many orders have arrived, each repetition counted."""
        return NotImplemented

    def is_contacted(self) -> Any:
        """Whether anybody has connected."""
        return NotImplemented


class Outcome(msgspec.Struct, frozen=True):
    """*result* is "passed", "failed" or "skipped"; *why* is empty only where it passed."""

    case: str
    result: str
    why: str = ""


class Case:
    """A rule. Called with a rig it raises NotConformant or NotTried; the rig is closed then."""

    def __init__(self, number: str, check: Callable[[Trial], None]) -> None:
        self.id = self.__name__ = number
        self.rule = " ".join((inspect.getdoc(check) or "").split())
        self._check = check

    def __call__(self, rig: Rig) -> None:
        try:
            trial = Trial(rig)
            try:
                self._check(trial)
            finally:
                trial.end()
        except NotConformant as error:
            raise NotConformant(f"{self.id}: {error}. The rule: {self.rule}") from None
        finally:
            rig.close()

    def __repr__(self) -> str:
        return self.id


_CASES: list[Case] = []


def cases() -> list[Case]:
    """All of them, to parametrize a test with."""
    return list(_CASES)


def check_broker(rig: Rig) -> list[Outcome]:
    """What becomes of each case with *rig*; a case that raises anything has not passed."""
    return [_outcome(case, rig) for case in _CASES]


def _outcome(case: Case, rig: Rig) -> Outcome:
    try:
        case(rig)
    except NotTried as error:
        return Outcome(case.id, "skipped", str(error))
    except NotConformant as error:
        return Outcome(case.id, "failed", str(error))
    except Exception as error:
        return Outcome(case.id, "failed", f"{case.id} raised {type(error).__name__}: {error}")
    return Outcome(case.id, "passed")


def _case(number: str) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    def register(check: Callable[[Trial], None]) -> Callable[[Trial], None]:
        _CASES.append(Case(number, check))
        return check

    return register


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotConformant(otherwise)


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    return call


class Trial:
    """One broker on one venue, called as the engine calls it: guarded, with a thread for its stream."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._host = Host(_unwatched, {"it": rig.broker()})
        self._heard = threading.Condition()
        self._told: list[Execution] = []
        self._failure = ""
        self._stream: threading.Thread | None = None
        self._time = START
        self._count = 0
        self._is_started = self._is_ended = False

    # The broker.

    def start(self) -> Trial:
        """Started, and listened to."""
        _require(not (reply := self.startup()).error, f"startup {reply.reason}")
        if self._host.implements("stream_executions"):
            replies = self._host.call("stream_executions")()
            _require(len(replies) == 1 and not replies[0].error, "stream_executions answers no iterator")
            self._stream = threading.Thread(target=self._listen, args=(replies[0].value,), daemon=True)
            self._stream.start()
        return self

    def startup(self) -> Reply:
        self._is_started = True
        replies = self._host.call("startup")({INSTRUMENT.symbol: INSTRUMENT}, ACCOUNT, 7)
        return next(iter(replies), Reply("it", "startup", None))

    def end(self) -> None:
        """Shut it down, once, if it was started."""
        if self._is_started and not self._is_ended:
            self._is_ended = True
            self._host.call("shutdown")()

    def needs(self, *hooks: str) -> None:
        """Skip the case if the broker has not all these *hooks*."""
        for hook in hooks:
            if not self._host.implements(hook):
                raise NotTried(f"the broker has no {hook}")

    def ask(self, hook: str, *arguments: object) -> Any:
        """What it answers; None if it answers nothing. Raising, or what the hook may not answer, fails."""
        reply = self.reply(hook, *arguments)
        if reply is None:
            return None
        _require(not reply.error, f"{hook} {reply.reason}")
        return reply.value

    def reply(self, hook: str, *arguments: object) -> Reply | None:
        return next(iter(self._host.call(hook)(*arguments)), None)

    def _listen(self, stream: Any) -> None:
        try:
            for execution in stream:
                self._tell(execution)
        except BaseException as error:
            with self._heard:
                self._failure = f"stream_executions raised {type(error).__name__}: {error}"

    def _tell(self, execution: Execution) -> None:
        with self._heard:
            self._told.append(execution)
            self._heard.notify_all()

    # The venue.

    def venue(self, verb: str, *arguments: object) -> Any:
        """Do *verb* with the rig. Raises NotTried if it cannot."""
        done = getattr(self._rig, verb)(*arguments)
        if done is NotImplemented:
            raise NotTried(f"the rig cannot {verb}")
        return done

    def move(self, bid: Decimal = _BID, ask: Decimal = _ASK) -> None:
        self.venue("move", bid, ask)
        self._time += SECOND
        quote = Quote(INSTRUMENT.symbol, self._time, float(bid), float(ask))
        for reply in self._host.call("match_orders")(quote):
            _require(not reply.error, f"match_orders {reply.reason}")
            for execution in reply.value:
                self._tell(execution)

    def at_venue(self, order: Order) -> list[VenueOrder]:
        return [each for each in self.venue("orders_at_venue") if each.order_id == order.id]

    # Orders.

    def order(self, side: Side = Side.BUY, quantity: str = "0.10", price: Decimal | None = None) -> Order:
        """A new one: at market, or with a limit of *price*."""
        self._time += SECOND
        self._count += 1
        return Order(
            symbol=INSTRUMENT.symbol,
            side=side,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            id=f"case-{self._count}",
            strategy="case",
            time=self._time,
        )

    def placed(self, order: Order) -> Placed | Accepted | Rejected:
        """What is answered to it."""
        answer: Placed | Accepted | Rejected | None = self.ask("place_order", order)
        if answer is None:
            raise NotConformant("place_order answers None to an order that is its own")
        return answer

    def working(self) -> Order:
        """One that rests at the venue. Raises NotTried if it takes no limit."""
        order = self.order(price=_LIMIT)
        answer = self.placed(order)
        if isinstance(answer, Placed):
            self.until(lambda: bool(self.told(order, Accepted)), "a resting order is not Accepted")
        elif isinstance(answer, Rejected):
            raise NotTried(f"a limit is refused: {answer.reason}")
        return order

    def filled(self, side: Side = Side.BUY, quantity: str = "0.10") -> Order:
        """One that has traded, whole."""
        order = self.order(side, quantity)
        self.placed(order)
        self.move()
        self.until_filled(order)
        return order

    def until_filled(self, order: Order) -> None:
        self.until(
            lambda: _traded(self.fills(order)) >= order.quantity,
            f"the fills of a market order of {order.quantity} do not add up to it",
        )

    def settle(self) -> None:
        """Until all that has happened was told: another order has traded since."""
        self.filled(quantity=f"{INSTRUMENT.quantity_step}")

    def cancel(self, order: Order) -> Reply | None:
        self._time += SECOND
        cancel = Cancel(order_id=order.id, strategy="case", time=self._time)
        return self.reply("cancel_order", cancel, order)

    def replace(self, order: Order, quantity: Decimal, price: Decimal) -> Reply | None:
        self._time += SECOND
        change = Replace(order_id=order.id, quantity=quantity, price=price, strategy="case", time=self._time)
        return self.reply("replace_order", change, order)

    # What was told.

    def told(self, order: Order | None = None, kind: type[Any] | None = None) -> list[Any]:
        """The executions, of *order* and of one *kind*, in the order in which they came."""
        with self._heard:
            found = list(self._told)
        if order is not None:
            found = [each for each in found if getattr(each, "order_id", "") == order.id]
        return [each for each in found if kind is None or isinstance(each, kind)]

    def fills(self, order: Order | None = None) -> list[Fill]:
        """The trades that were told, each once."""
        return list({(each.order_id, each.trade_id): each for each in self.told(order, Fill)}.values())

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait until it holds; not within the rig's patience is NotConformant, with *otherwise*."""
        left = self._rig.patience
        while not holds():
            with self._heard:
                if left <= 0 or self._failure:
                    raise NotConformant(f"{otherwise}{'; ' if self._failure else ''}{self._failure}")
                self._heard.wait(_STEP)
            left -= _STEP

    def stream_ends(self) -> None:
        """Raises NotTried without a stream."""
        if self._stream is None:
            raise NotTried("the broker has no stream_executions")
        self._stream.join(self._rig.patience)
        _require(not self._stream.is_alive(), "the stream goes on")
        _require(not self._failure, self._failure)

    # What the venue believes.

    def statement(self, since: int = 0) -> Statement:
        """The first that it answers."""
        self.needs("fetch_statement")
        found: list[Statement] = []

        def is_answered() -> bool:
            said = self.ask("fetch_statement", since)
            found.extend([] if said is None else [said])
            return bool(found)

        self.until(is_answered, "fetch_statement answers None although the venue is there")
        return found[0]

    def known(self, order: Order, holds: Callable[[list[Any]], bool], otherwise: str) -> list[Any]:
        """What find_order says, once it *holds* of it; None counts as nothing."""
        self.needs("find_order")
        found: list[Any] = []

        def is_found() -> bool:
            found[:] = self.ask("find_order", order) or []
            return holds(found)

        self.until(is_found, otherwise)
        return found


def _traded(told: list[Any]) -> Decimal:
    return sum((each.quantity for each in told if isinstance(each, Fill)), ZERO)


# Before and after trading.


@_case("B01")
def _no_contact(trial: Trial) -> None:
    """Nothing is opened before `startup`: plugins are also built where nothing trades (`nicegold check`)."""
    _require(not trial.venue("is_contacted"), "the venue was contacted before startup")
    trial.start()
    _require(trial.venue("is_contacted"), "the venue was not contacted by startup")


@_case("B02")
def _no_venue(trial: Trial) -> None:
    """`startup` fails with words if the venue is not there (`startup`: "If you fail, we do not trade")."""
    trial.venue("unplug")
    error = trial.startup().error
    _require(error is not None, "startup succeeds although the venue is not there")
    _require(bool(str(error).strip()), f"startup raises {type(error).__name__} without a message")


@_case("B03")
def _not_asked(trial: Trial) -> None:
    """A broker that is not asked does nothing (strategies ask, the engine decides: `place_order`)."""
    trial.start().move()
    found = trial.venue("orders_at_venue")
    _require(not found, f"the venue has {found}")
    _require(not trial.told(), f"told {trial.told()} without an order")


@_case("B04")
def _shutdown(trial: Trial) -> None:
    """`shutdown` ends the stream: whoever reads it waits for that (`shutdown`: "Close what you opened")."""
    trial.start().needs("stream_executions")
    trial.filled()
    trial.end()
    trial.stream_ends()


@_case("B05")
def _health(trial: Trial) -> None:
    """`health` is good while the venue is there, says what is wrong while not, and recovers (`/healthz`)."""
    trial.needs("health")
    trial.start()

    def is_ok() -> bool:
        said: Health | None = trial.ask("health")
        _require(said is not None, "health answers None")
        if said is not None and not said.ok:
            _require(bool(said.detail.strip()), "health is bad and does not say why")
        return said is not None and said.ok

    trial.until(is_ok, "health is bad although the venue is there")
    trial.venue("disconnect", True)
    trial.until(lambda: not is_ok(), "health is good although there is no connection")
    trial.venue("disconnect", False)
    trial.until(is_ok, "health stays bad although the venue is there again")


# An order and its answer.


@_case("B06")
def _own_id(trial: Trial) -> None:
    """An order is answered with its own id; another's leaves it in doubt (`place_order`)."""
    trial.start()
    order = trial.order(price=_LIMIT)
    answer = trial.placed(order)
    _require(answer.order_id == order.id, f"the order {order.id} is answered as {answer.order_id}")


@_case("B07")
def _refusal(trial: Trial) -> None:
    """A refusal is Rejected, with the venue's reason (FIX 39=8): a person reads it."""
    trial.start()
    order: Order = trial.venue("refused_order", trial.order().id)
    answer = trial.placed(order)
    if isinstance(answer, Placed):
        trial.until(lambda: bool(trial.told(order)), "nothing is told of an order that the venue refuses")
        answer = trial.told(order)[0]
    if not isinstance(answer, Rejected):
        raise NotConformant(f"an order that the venue refuses is told as {answer}")
    _require(bool(answer.reason.strip()), "it is Rejected without a reason")


@_case("B08")
def _has_left(trial: Trial) -> None:
    """`place_order` does not answer before the request has left: what is Accepted is at the venue."""
    trial.start()
    order = trial.order(price=_LIMIT)
    answer = trial.placed(order)
    there = len(trial.at_venue(order))
    if isinstance(answer, Placed):
        trial.until(lambda: len(trial.at_venue(order)) == 1, "what is Placed never comes to the venue")
    elif isinstance(answer, Rejected):
        raise NotTried(f"a limit is refused: {answer.reason}")
    else:
        _require(there == 1, f"answered with {type(answer).__name__}, and the venue has it {there} times")


@_case("B09")
def _lost_request(trial: Trial) -> None:
    """A request that is lost raises, or is Placed where nobody waits: its end is the venue's to say."""
    trial.start()
    trial.venue("lose_next_request")
    _require_doubt(trial.reply("place_order", trial.order()), "a request that was lost")


@_case("B10")
def _lost_answer(trial: Trial) -> None:
    """The same for an answer that is lost: the order may be alive (docs/what-happens-when.md, "in doubt")."""
    trial.start()
    trial.venue("lose_next_answer")
    _require_doubt(trial.reply("place_order", trial.order()), "an order whose answer was lost")


def _require_doubt(reply: Reply | None, about: str) -> None:
    _require(reply is not None, f"{about} is answered with None, which says that it is not ours")
    if reply is not None and reply.error is None:
        _require(isinstance(reply.value, Placed), f"{about} is answered with {reply.reason}")


@_case("B11")
def _sent_once(trial: Trial) -> None:
    """A send whose answer is lost is not sent again: the engine does that, once, after Absent."""
    trial.start()
    trial.venue("lose_next_answer")
    before = trial.venue("sendings")
    trial.reply("place_order", trial.order())
    trial.settle()
    count = trial.venue("sendings") - before - 1
    _require(count == 1, f"it was sent {count} times")


@_case("B12")
def _same_id(trial: Trial) -> None:
    """The same order twice makes one at the venue: its id is the venue's client id (FIX 11)."""
    trial.start()
    order = trial.working()
    trial.reply("place_order", order)
    trial.move(_LOW_BID, _LOW_ASK)
    trial.until(lambda: bool(trial.fills(order)), "a limit that the market meets does not fill")
    trial.settle()
    # Under whatever id: all trades but the one that settled.
    total = _traded(trial.fills()) - INSTRUMENT.quantity_step
    _require(total == order.quantity, f"placed twice with one id, {total} of {order.quantity} filled")


# Changes.


@_case("B13")
def _cancel(trial: Trial) -> None:
    """`cancel_order` answers Placed and nothing else; that it is Canceled, the venue tells (FIX 39=4)."""
    trial.start().move()
    order = trial.working()
    _require_placed(trial.cancel(order), order)
    _meet_change(trial)
    trial.until(lambda: bool(trial.told(order, Canceled)), "a cancelled order is not told to be Canceled")


@_case("B14")
def _replace(trial: Trial) -> None:
    """`replace_order` answers Placed and nothing else; the new terms come as Replaced (FIX 150=5)."""
    trial.start().move()
    order = trial.working()
    quantity, price = Decimal("0.20"), _LIMIT - 1
    _require_placed(trial.replace(order, quantity, price), order)
    _meet_change(trial)
    trial.until(lambda: bool(trial.told(order, Replaced)), "a replaced order is not told to be Replaced")
    told: Replaced = trial.told(order, Replaced)[-1]
    _require((told.quantity, told.price) == (quantity, price), f"asked for {quantity} at {price}: {told}")


@_case("B15")
def _too_late(trial: Trial) -> None:
    """A change that the venue refuses is told as CancelRejected with a reason (FIX 35=9)."""
    trial.start()
    order = trial.filled()
    trial.cancel(order)
    _meet_change(trial)
    trial.until(
        lambda: bool(trial.told(order, CancelRejected)), "nothing is told of a cancel that is too late"
    )
    _require(bool(trial.told(order, CancelRejected)[0].reason.strip()), "CancelRejected has no reason")


def _meet_change(trial: Trial) -> None:
    """A venue inside this process acts on a change with the market's next event."""
    trial.move()


def _require_placed(reply: Reply | None, order: Order) -> None:
    if reply is None or reply.error or not isinstance(reply.value, Placed):
        raise NotConformant(f"a change is not answered with Placed: {reply.reason if reply else None}")
    answered = reply.value.order_id
    _require(answered == order.id, f"a change of {order.id} is answered as {answered}")


# Executions.


@_case("B16")
def _our_ids(trial: Trial) -> None:
    """Executions bear our order's id, not the venue's: by it the books find the order (FIX 11)."""
    trial.start().move()
    order = trial.working()
    trial.cancel(order)
    _meet_change(trial)
    traded = trial.filled()
    trial.settle()
    _require(bool(trial.told(traded)), "nothing is told of the order")
    strange = [each for each in trial.told() if not getattr(each, "order_id", "case-").startswith("case-")]
    _require(not strange, f"told of orders that are not ours: {strange}")


@_case("B17")
def _unique_trades(trial: Trial) -> None:
    """A trade's id is the venue's, and no other trade has it (FIX 17): the books drop what they know."""
    trial.start()
    fills = [*trial.fills(trial.filled()), *trial.fills(trial.filled())]
    ids = [each.trade_id for each in fills]
    _require(len(set(ids)) == len(ids) and all(ids), f"two trades are told as {ids}")


@_case("B18")
def _same_trade(trial: Trial) -> None:
    """A trade that is told again is told with the same id (FIX 17), wherever it is told."""
    trial.needs("find_order")
    trial.start()
    order = trial.filled()
    told = {each.trade_id for each in trial.fills(order)}
    for _ in range(2):
        found = trial.known(order, bool, "find_order says nothing of an order that has traded")
        again = {each.trade_id for each in found if isinstance(each, Fill)}
        _require(again == told, f"told as {sorted(told)}, and when asked about as {sorted(again)}")


@_case("B19")
def _adds_up(trial: Trial) -> None:
    """The fills of an order add up to its quantity and never beyond (FIX 14 and 38)."""
    trial.start()
    order = trial.filled(quantity="0.30")
    trial.settle()
    total = _traded(trial.fills(order))
    _require(total == order.quantity, f"{total} filled of {order.quantity}")


@_case("B20")
def _on_grid(trial: Trial) -> None:
    """Price and quantity of a fill are on the instrument's grid (`Instrument.tick_size`, `quantity_step`)."""
    trial.start()
    for fill in trial.fills(trial.filled()):
        _require(not fill.price % INSTRUMENT.tick_size, f"the price {fill.price} is between two ticks")
        _require(not fill.quantity % INSTRUMENT.quantity_step, f"{fill.quantity} is between two steps")


@_case("B21")
def _as_ordered(trial: Trial) -> None:
    """A fill has its order's side and symbol; another halts (docs/what-happens-when.md, "Trades")."""
    trial.start()
    for side in (Side.BUY, Side.SELL):
        for fill in trial.fills(trial.filled(side)):
            wanted, got = (side.value, INSTRUMENT.symbol), (fill.side.value, fill.symbol)
            _require(got == wanted, f"{' '.join(wanted)} was ordered, and told is {' '.join(got)}")


@_case("B22")
def _causes_first(trial: Trial) -> None:
    """Executions come in the order of their causes: Accepted, Fill, end, and nothing after it (FIX 39)."""
    trial.start().move()
    order = trial.order()
    answer = trial.placed(order)
    trial.move()
    trial.until_filled(order)
    canceled = trial.working()
    trial.cancel(canceled)
    _meet_change(trial)
    trial.until(lambda: bool(trial.told(canceled, Canceled)), "a cancelled order is not told to be Canceled")
    trial.settle()
    told = trial.told(order)
    is_accepted = isinstance(answer, Accepted) or isinstance(told[0], Accepted)
    _require(is_accepted, f"{type(told[0]).__name__} comes before Accepted")
    for each in (order, canceled):
        kinds = [type(one).__name__ for one in trial.told(each)]
        ends = [kind for kind in kinds if kind in ("Canceled", "Expired", "Rejected")]
        _require(len(ends) == (each is canceled), f"{each.id} is told as {', '.join(kinds)}")
        _require(not ends or kinds[-1] == ends[0], f"{kinds[-1]} comes after {ends}")


@_case("B23")
def _reconnect(trial: Trial) -> None:
    """What happens while there is no connection is told after it, by `stream_executions` itself."""
    trial.needs("stream_executions")
    trial.start().move()
    order = trial.working()
    trial.venue("disconnect", True)
    trial.venue("move", _LOW_BID, _LOW_ASK)
    trial.venue("disconnect", False)
    trial.until(lambda: bool(trial.fills(order)), "a trade of while there was no connection is never told")
    trial.settle()
    total = _traded(trial.fills(order))
    _require(total == order.quantity, f"{total} filled of {order.quantity}")


# What the venue believes.


@_case("B24")
def _working_orders(trial: Trial) -> None:
    """A statement lists the orders that work, as they are (`fetch_statement`): others are breaks."""
    trial.start()
    order = trial.working()
    found = _listed(trial.statement(), order)
    _require(found.status is OrderStatus.NEW, f"a working order is listed as {found.status.value}")
    ours = (order.symbol, order.side, order.quantity, ZERO, order.price)
    theirs = (found.symbol, found.side, found.quantity, found.filled, found.price)
    _require(ours == theirs, f"{order} is listed as {found}")


@_case("B25")
def _ended_orders(trial: Trial) -> None:
    """A statement lists the orders that ended since *since*, with how (`fetch_statement`)."""
    trial.start().move()
    traded, canceled = trial.filled(), trial.working()
    trial.cancel(canceled)
    _meet_change(trial)
    trial.until(lambda: bool(trial.told(canceled, Canceled)), "a cancelled order is not told to be Canceled")
    statement = trial.statement()
    for order, status in ((traded, OrderStatus.FILLED), (canceled, OrderStatus.CANCELED)):
        found = _listed(statement, order).status
        _require(found is status, f"an order that is {status.value} is listed as {found.value}")


def _listed(statement: Statement, order: Order) -> VenueOrder:
    found = [each for each in statement.orders if each.order_id == order.id]
    _require(len(found) == 1, f"the statement lists {order.id} {len(found)} times")
    return found[0]


@_case("B26")
def _fills_since(trial: Trial) -> None:
    """A statement has each trade since *since* once, under the id the stream told, and says *since*."""
    trial.start()
    told = {each.trade_id for each in trial.fills(trial.filled())}
    statement = trial.statement()
    listed = sorted(each.trade_id for each in statement.fills)
    _require(listed == sorted(told), f"told are the trades {sorted(told)}, and listed {listed}")
    since = max(each.time for each in statement.fills) + 1
    later = trial.statement(since)
    _require(later.since == since, f"asked for since {since}, it answers for since {later.since}")
    _require(not later.fills, f"asked for since {since}, it lists {later.fills}")


@_case("B27")
def _positions(trial: Trial) -> None:
    """A statement's positions are the sum of the fills, signed lots (`Statement.positions`)."""
    trial.start()
    for side, quantity in ((Side.BUY, "0.10"), (Side.SELL, "0.20")):
        trial.filled(side, quantity)
        ours = sum((each.signed_quantity for each in trial.fills()), ZERO)
        theirs = trial.statement().positions.get(INSTRUMENT.symbol, ZERO)
        _require(ours == theirs, f"the fills add up to {ours} lots, and the position is {theirs}")


@_case("B28")
def _cash(trial: Trial) -> None:
    """A statement's cash is the opening cash, plus what closing earned, less commission, to the cent."""
    trial.start()
    bought, sold = (trial.fills(trial.filled(side)) for side in (Side.BUY, Side.SELL))
    earned = sum(-each.price * each.signed_quantity * INSTRUMENT.lot_size for each in (*bought, *sold))
    paid = sum(each.commission for each in (*bought, *sold))
    cash = trial.statement().cash
    if cash is None:
        raise NotTried("the venue does not say its cash")
    ours = ACCOUNT.cash + earned - paid
    _require(abs(cash - ours) < _CENT, f"by the fills the cash is {ours}, and stated is {cash}")


# Orders in doubt.


@_case("B29")
def _what_happened(trial: Trial) -> None:
    """`find_order` tells all that happened to an order in doubt, from Accepted to the last fill."""
    trial.needs("find_order")
    trial.start()
    trial.venue("lose_next_answer")
    order = trial.order()
    trial.reply("place_order", order)
    trial.move()
    found = trial.known(
        order,
        lambda told: _traded(told) >= order.quantity,
        f"what find_order tells does not add up to the {order.quantity} that have traded",
    )
    kinds = [type(each).__name__ for each in found]
    _require(kinds[0] == "Accepted", f"it is told as {', '.join(kinds)}")
    _require(_traded(found) == order.quantity, f"{_traded(found)} of {order.quantity} are told as filled")
    strange = [each for each in found if getattr(each, "order_id", "") != order.id]
    _require(not strange, f"asked about {order.id}, it tells of {strange}")


@_case("B30")
def _never_there(trial: Trial) -> None:
    """An order that never arrived is Absent, or None while unsure: an empty list answers nothing."""
    trial.needs("find_order")
    trial.start()
    trial.venue("lose_next_request")
    order = trial.order()
    trial.reply("place_order", order)
    found = trial.ask("find_order", order)
    if found is None:
        raise NotTried("the broker is not sure, and may be so")
    if trial.at_venue(order):
        raise NotTried("the broker has sent it again, and it is there")
    is_absent = [type(each) for each in found] == [Absent] and found[0].order_id == order.id
    _require(is_absent, f"an order that never arrived is found as {found}")


@_case("B31")
def _silence(trial: Trial) -> None:
    """While the venue is silent `find_order` answers None; Absent there would send the order twice."""
    trial.needs("find_order")
    trial.start()
    order = trial.working()
    trial.venue("silence", True)
    found = trial.ask("find_order", order)
    _require(found is None, f"the venue says nothing, and find_order {found}")
    trial.venue("silence", False)
    trial.known(order, bool, "find_order stays silent although the venue speaks again")


@_case("B32")
def _absent_for_good(trial: Trial) -> None:
    """An order that is Absent never fills later, also if it was on the way (`Absent`: "and never will")."""
    trial.needs("find_order")
    trial.start()
    trial.venue("hold_next_request")
    order = trial.order()
    trial.reply("place_order", order)
    found = trial.ask("find_order", order)
    trial.venue("release")
    if not any(isinstance(each, Absent) for each in found or []):
        raise NotTried("the broker does not say Absent, and need not")
    trial.settle()
    _require(not trial.fills(order), f"found as {found}, and then it filled")
    # What follows from Absent: the engine sends it once more, with its id.
    trial.reply("place_order", order)
    trial.move()
    trial.until_filled(order)


@_case("B33")
def _change_for_good(trial: Trial) -> None:
    """A cancel that was on its way when `find_order` answered never happens: its answer is the last word."""
    trial.needs("find_order")
    trial.start()
    order = trial.working()
    trial.venue("hold_next_request")
    trial.cancel(order)
    found = trial.ask("find_order", order)
    trial.venue("release")
    if found is None:
        raise NotTried("the broker is not sure, and may be so")
    _require(bool(found), "find_order tells nothing of an order that works")
    trial.settle()
    _require(not trial.told(order, Canceled), f"found as {found}, and then it was canceled")


@_case("B34")
def _costs(trial: Trial) -> None:
    """A statement's costs are price times lots of what is open (`Statement.costs`): cash rests on them."""
    trial.start()
    fills = trial.fills(trial.filled(Side.BUY))
    costs = trial.statement().costs
    if costs is None:
        raise NotTried("the venue does not say what open lots cost")
    ours = sum((each.price * each.signed_quantity for each in fills), ZERO)
    theirs = costs.get(INSTRUMENT.symbol, ZERO)
    _require(abs(theirs - ours) < _CENT, f"by the fills the open lots cost {ours}, and stated is {theirs}")
