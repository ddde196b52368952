"""A venue in another process: requests leave over TCP as lines of JSON, and what becomes of them comes back.

What is said on the wire, and what the exchange promises, is at the top of tests/exchange/__main__.py. A
request is sent once. Whoever does not hear the answer asks what became of it, and never sends it again.
"""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import msgspec

from nicegold import (
    Absent,
    Accepted,
    Busted,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Fill,
    Health,
    Order,
    OrderStatus,
    Placed,
    Rejected,
    Replace,
    Replaced,
    Statement,
    VenueOrder,
    hookimpl,
    plugin,
)

Message: TypeAlias = dict[str, Any]
Struct = TypeVar("Struct", bound=msgspec.Struct)
_MILLISECOND = 1_000_000
#: Bits of a login's token that count the logins of one engine; those above are the engine's own token.
_LOGINS = 20
#: Seconds before the first attempt to connect again, and at most before any.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0
#: Heartbeats that may be missing before the connection counts as lost.
_MISSED = 3


class Barred(ConnectionError):
    """The exchange will not let us in again: only a person can say what to do."""


class NotSent(ConnectionError):
    """The request surely never left."""


class NotTaken(OSError):
    """The exchange says that it did not take the request, and that nothing has changed."""


@plugin
class TcpVenue:
    """Trade as *account* at the exchange on *host* and *port*.

    Of two engines on one account the one with the higher *token* trades, and the other never again;
    0 takes the time at which it starts. *timeout* is the seconds that an answer may take: after them
    the order is in doubt. Without a connection orders are rejected, as they were not sent; it is made
    again by itself. With *cancel_on_disconnect* the exchange cancels what works when it is lost.
    """

    account: str
    port: int
    host: str = "127.0.0.1"
    token: int = 0
    timeout: float = 5.0
    cancel_on_disconnect: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"port must be from 1 to 65535: it is {self.port}")
        if self.token < 0:
            raise ValueError(f"token must not be negative: it is {self.token}")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise ValueError(f"timeout must be seconds above 0: it is {self.timeout}")
        self._stopped = threading.Event()
        #: The time (ns UTC), and waiting for seconds, or less when we are shut down.
        self.clock: Callable[[], int] = time.time_ns
        self.wait: Callable[[float], object] = self._stopped.wait

    @hookimpl
    def startup(self) -> None:
        # Held while an order or a login is under way: a login would cut the order off.
        self._lock = threading.RLock()
        self._token, self._logins = self.token or self.clock() // _MILLISECOND, 0
        self._barred, self._trouble = "", ""
        #: All executions up to this one were yielded, and of those after it, these.
        self._seen, self._ahead = 0, set[int]()
        #: Executions that were the answer to an order, which need not be told twice.
        self._answered = set[int]()
        #: This one and those before it that still have a connection.
        self._sessions: list[_Session] = []
        self._session = self._log_in()
        # What came before, the venue's statement tells.
        self._seen = self._session.sequence

    @hookimpl
    def shutdown(self) -> None:
        self._stopped.set()
        with self._lock:
            for session in self._sessions:
                session.close("we have shut down")
        for session in self._sessions:
            # It hangs up before it ends.
            session.reader.join(self.timeout)

    @hookimpl
    def health(self) -> Health:
        wrong = self._barred or self._trouble or self._session.ended
        return Health(not wrong, f"{self._where}: {wrong or 'connected'}")

    # What we are asked, on the trading thread.

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        try:
            with self._lock:
                answer = self._session.ask("order", order=_terms(order))
        except (NotSent, NotTaken) as refusal:
            return Rejected(order_id=order.id, time=order.time, reason=str(refusal))
        told = _execution(answer["execution"])
        if not isinstance(told, Accepted | Rejected):
            raise ValueError(f"{self._where} answered the order {order.id} with {told}")
        return told

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        return self._change("cancel", cancel)

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        names = ("quantity", "price", "stop_price")
        return self._change("replace", replace, **{name: _text(getattr(replace, name)) for name in names})

    def _change(self, do: str, change: Cancel | Replace, **terms: str | None) -> Placed:
        """Send it; what the venue does with it is the stream's to tell."""
        with self._lock:
            self._session.ask(do, client_order_id=change.order_id, **terms)
        return Placed(order_id=change.order_id, time=change.time)

    # What happens there, on the stream's thread.

    @hookimpl
    def stream_executions(self) -> Iterator[Execution]:
        failures = 0
        while not self._stopped.is_set():
            try:
                session = self._connected()
                session.ask("stream", after=self._seen)
                failures, self._trouble = 0, ""
                yield from self._listen(session)
            except Barred:
                if self._stopped.is_set():
                    return
                raise
            except OSError as error:
                self._trouble = str(error)
                self.wait(min(_FIRST_WAIT * 2**failures, _LONGEST_WAIT))
                failures = min(failures + 1, 10)

    def _listen(self, session: _Session) -> Iterator[Execution]:
        """What *session* tells, also twice. Raises ConnectionError when it has ended."""
        while (message := session.news.get()) is not None:
            if "execution" not in message:
                # A heartbeat: all up to its number was sent, so what is missing was lost.
                if message["sequence"] > self._seen:
                    session.ask("stream", after=self._seen)
                continue
            number = message["execution"]["sequence"]
            if number in self._answered:
                self._answered.discard(number)
            else:
                yield _execution(message["execution"])
            self._note(number)
        raise ConnectionError(session.ended)

    def _note(self, number: int) -> None:
        if number > self._seen:
            self._ahead.add(number)
        while self._seen + 1 in self._ahead:
            self._seen += 1
            self._ahead.discard(self._seen)

    # What the venue believes, on a third thread.

    @hookimpl
    def fetch_statement(self, since: int) -> Statement:
        """Raises OSError while nothing can be known: nothing new leaves then."""
        try:
            found = self._connected().ask("statement", since=since)
        except OSError as error:
            self._trouble = str(error)
            raise
        self._trouble = ""
        return Statement(
            time=found["time"],
            since=since,
            orders=[_venue_order(each) for each in found["orders"]],
            fills=[_fill(each) for each in found["fills"]],
            positions={symbol: Decimal(lots) for symbol, lots in found["positions"].items()},
            cash=Decimal(found["cash"]),
            costs={symbol: Decimal(cost) for symbol, cost in found["costs"].items()},
        )

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        try:
            # What is on its way still is of an older session than this, and nobody takes it.
            with self._lock:
                session = self._session = self._log_in()
            found = session.ask("find", client_order_id=order.id)
        except OSError as error:
            self._trouble = str(error)
            return None
        self._trouble = ""
        if found["order"] is None:
            return [Absent(order_id=order.id, time=found["time"])]
        return [_execution(each) for each in found["executions"]]

    # Sessions.

    @property
    def _where(self) -> str:
        return f"{self.host}:{self.port}"

    def _connected(self) -> _Session:
        """The session, logged in anew if it has ended."""
        with self._lock:
            if self._session.ended:
                self._session = self._log_in()
            return self._session

    def _log_in(self) -> _Session:
        """A session that ends all before it. Raises Barred, or OSError when it may be tried again."""
        if self._barred or self._stopped.is_set():
            raise Barred(self._barred or "we have shut down")
        self._logins += 1
        session = _Session((self.host, self.port), self.timeout, self._answered)
        welcome = session.log_in(
            account=self.account,
            token=self._token << _LOGINS | self._logins,
            cancel_on_disconnect=self.cancel_on_disconnect,
        )
        self._sessions = [each for each in (*self._sessions, session) if each.reader.is_alive()]
        if welcome.get("fenced"):
            self._barred = f"another engine trades the account {self.account}: {welcome['refused']}"
        elif session.sequence < self._seen:
            self._barred = f"it has told {self._seen} executions and knows of {session.sequence} only"
        if self._barred:
            session.close(self._barred)
            raise Barred(f"{self._where}: {self._barred}")
        return session


class _Session:
    """One connection, from its login to its end.

    A thread of its own reads: answers go to who waits for them, all else into *news*, and None at the
    end. *news* has no bound: the trading thread may wait for an answer while nobody takes news.
    """

    def __init__(self, address: tuple[str, int], timeout: float, answered: set[int]) -> None:
        self.ended = ""
        self.sequence = 0
        self.news = SimpleQueue[Message | None]()
        self._where = f"{address[0]}:{address[1]}"
        self._timeout = timeout
        self._answered = answered
        self._lock = threading.RLock()
        self._waiting: dict[int, tuple[str, SimpleQueue[Message | None]]] = {}
        self._number = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self._connection = socket.create_connection(address, timeout)
        try:
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # it was cut already
            self._connection.close()
            raise
        self._lines = self._receive()

    def log_in(self, **terms: Any) -> Message:
        """What the exchange answers; with "fenced" if it refuses for good. Raises OSError for all else."""
        try:
            self._send({"id": 0, "do": "login", **terms})
            welcome: Message = json.loads(next(self._lines, b'{"refused": "it hung up"}'))
            if "refused" not in welcome:
                self.sequence, patience = welcome["sequence"], _MISSED * welcome["heartbeat"]
                self._connection.settimeout(max(self._timeout, patience))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._connection.close()
            raise ConnectionError(f"{self._where} does not let us in: {error}") from None
        if "refused" not in welcome:
            self.reader.start()
            return welcome
        self._connection.close()
        if not welcome.get("fenced"):
            raise ConnectionError(f"{self._where} does not let us in: {welcome['refused']}")
        return welcome

    def ask(self, do: str, **terms: Any) -> Message:
        """What is answered to a request that is sent once.

        Raises NotSent or NotTaken when the exchange has surely done nothing, and another OSError when
        nobody can say.
        """
        box = SimpleQueue[Message | None]()
        with self._lock:
            if self.ended:
                raise NotSent(f"not sent, there is no connection to {self._where}: {self.ended}")
            self._number += 1
            number = self._number
            self._waiting[number] = (do, box)
            self._send({"id": number, "do": do, **terms})
        answer = self._wait(number, box)
        if answer is None:
            raise ConnectionError(f"{self._where} has not answered this {do}: {self.ended}")
        if "refused" in answer:
            raise NotTaken(f"{self._where} does not take this {do}: {answer['refused']}")
        return answer

    def _wait(self, number: int, box: SimpleQueue[Message | None]) -> Message | None:
        try:
            return box.get(timeout=self._timeout)
        except Empty:
            with self._lock:
                is_late = self._waiting.pop(number, None) is not None
            if is_late:
                raise TimeoutError(f"{self._where} has not answered within {self._timeout:g} s") from None
            return box.get()

    def close(self, reason: str) -> None:
        """End the session, once; who waits for an answer hears that there will be none."""
        with self._lock:
            if self.ended:
                return
            self.ended = reason
            for _, box in self._waiting.values():
                box.put(None)
            self._waiting.clear()
        self.news.put(None)
        try:
            # The thread that reads wakes from this, and hangs up.
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the exchange was first
            return

    def _send(self, message: Message) -> None:
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            # A part of the line may have left: nothing can be sent after it.
            self.close(f"sending failed: {error}")
            raise

    def _read(self) -> None:
        reason = "the exchange hung up"
        try:
            for line in self._lines:
                self._take(json.loads(line))
        except OSError as error:
            reason = f"the connection is lost: {error}"
        except (ValueError, KeyError, TypeError) as error:
            reason = f"the exchange said what cannot be read: {type(error).__name__}: {error}"
        self.close(reason)
        self._connection.close()

    def _receive(self) -> Iterator[bytes]:
        """Whole lines; what the end cuts off is none."""
        rest = b""
        while received := self._connection.recv(65536):
            *lines, rest = (rest + received).split(b"\n")
            yield from lines

    def _take(self, message: Message) -> None:
        if "closed" in message:
            raise ConnectionError(message["closed"])
        if "id" not in message:
            self.news.put(message)
            if "heartbeat" in message:
                with self._lock:
                    self._send({"do": "heartbeat"})
            return
        with self._lock:
            do, box = self._waiting.pop(message["id"], ("", None))
            if box is None:
                return  # whoever waited has given up
            # In this lock: its execution comes after it, and is not told again.
            if do == "order" and "execution" in message:
                self._answered.add(message["execution"]["sequence"])
            box.put(message)


# What is said, in our words and in the exchange's.


def _terms(order: Order) -> Message:
    """All that *order* asks for: what the exchange does not know it refuses, and does not overlook."""
    rare = {name: getattr(order, name) for name in ("trail", "expires", "parent", "oco")}
    return {
        "client_order_id": order.id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": _text(order.quantity),
        "type": order.order_type.value,
        "price": _text(order.price),
        "stop_price": _text(order.stop_price),
        "time_in_force": order.time_in_force.value,
        "reduce_only": order.reduce_only,
        **{name: str(value) for name, value in rare.items() if value},
    }


def _execution(told: Message) -> Execution:
    """Raises ValueError for what we have no word for: the books would not be the venue's any more."""
    kind = _EXECUTIONS.get(told["kind"])
    if kind is None:
        raise ValueError(f"the exchange tells of {told['kind']!r}, which nicegold does not know: {told}")
    return _convert(told, kind, order_id=_order_id(told))


_EXECUTIONS: dict[str, type[Execution]] = {
    "accepted": Accepted,
    "rejected": Rejected,
    "fill": Fill,
    "canceled": Canceled,
    "cancel_rejected": CancelRejected,
    "replaced": Replaced,
    "busted": Busted,
}


def _fill(told: Message) -> Fill:
    return _convert(told, Fill, order_id=_order_id(told))


def _order_id(told: Message) -> str:
    """The order's id; of another terminal's, the venue's."""
    order_id: str = told["client_order_id"] or told["venue_order_id"]
    return order_id


def _venue_order(told: Message) -> VenueOrder:
    status = told["status"]
    if status == "working":
        status = OrderStatus.PARTIALLY_FILLED if Decimal(told["filled"]) else OrderStatus.NEW
    return _convert(told, VenueOrder, order_id=told["client_order_id"], status=status)


def _convert(told: Message, kind: type[Struct], **ours: str) -> Struct:
    """*told* as *kind*, whose fields it names as we do but for *ours*. Raises ValueError if it is none."""
    return msgspec.convert({**told, **ours}, kind)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
