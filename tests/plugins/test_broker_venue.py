"""The broker that trades at an exchange across a socket, against a real one: each rule, and each fault."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace

from nicegold import (
    Absent,
    Accepted,
    Busted,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Placed,
    Rejected,
    Replace,
    Replaced,
    Side,
    TimeInForce,
    Unknown,
    VenueOrder,
)
from nicegold.engine import Engine
from nicegold.testing import START, Recorder, check_conformance, engine_with, market_order, quote
from nicegold_plugins.brokers.venue import Barred, TcpVenue
from tests.exchange.client import PATIENCE, Client, Exchange, exchange, forgetful, quick, until
from tests.plugins.script import Script

#: The fixtures.
__all__ = ["exchange", "forgetful", "quick"]

#: Seconds in which an answer that a fault suppresses does not come.
SHORT = 0.3


class Broker(TcpVenue):
    """The plugin, with what its stream has yielded, and what it has waited for."""

    told: list[Execution]
    waits: list[float]
    failure: BaseException | None = None

    def listen(self) -> None:
        """Start the stream on a thread of its own."""
        self.told, self.waits = [], []
        self.wait = self._note_wait
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def _note_wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._stopped.wait(min(seconds, 0.01))

    def _hear(self) -> None:
        try:
            for execution in self.stream_executions():
                self.told.append(execution)
        except BaseException as error:
            self.failure = error

    def hear(self, count: int) -> list[Execution]:
        """What it has yielded, once that is *count*."""
        until(lambda: len(self.told) >= count, f"it has told {self.told}")
        return self.told

    def fails(self) -> str:
        """Why its stream has ended."""
        until(lambda: self.failure is not None, "its stream goes on")
        return f"{type(self.failure).__name__}: {self.failure}"

    def surely(self, order: Order) -> list[Execution | Absent]:
        """What `find_order` says, once it can."""
        found: list[list[Execution | Absent]] = []

        def answers() -> bool:
            said = self.find_order(order)
            found.extend([] if said is None else [said])
            return bool(found)

        until(answers, "it never knows")
        return found[0]


#: Starts a broker at an exchange, with settings; it is shut down after the test.
Start: TypeAlias = Callable[..., Broker]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Broker] = []

    def started(exchange: Exchange, **settings: Any) -> Broker:
        broker = Broker(port=exchange.port, **{"account": "demo", "timeout": PATIENCE, **settings})
        broker.startup()
        made.append(broker)
        broker.listen()
        until(lambda: bool(exchange.state()["is_streaming"]), "its stream does not begin")
        return broker

    yield started
    for each in made:
        end(each)


@pytest.fixture
def venue(exchange: Exchange, start: Start) -> Broker:
    """One that waits for answers as long as it takes."""
    return start(exchange)


@pytest.fixture
def hasty(exchange: Exchange, start: Start) -> Broker:
    """One that does not wait for long: for faults that take answers away."""
    return start(exchange, timeout=SHORT)


def end(venue: Broker) -> None:
    venue.shutdown()
    venue.thread.join()


def limit(price: str = "1990", **terms: Any) -> Order:
    return market_order(order_type=OrderType.LIMIT, price=Decimal(price), **terms)


def kinds(told: list[Execution]) -> list[str]:
    return [type(each).__name__ for each in told]


# Requests.


def test_it_conforms(exchange):
    made: list[TcpVenue] = []

    def make() -> TcpVenue:
        # The check starts several, one after the other: each takes over from the one before.
        made.append(TcpVenue(account="demo", port=exchange.port, token=len(made) + 1))
        return made[-1]

    check_conformance(make)
    for each in made:
        if hasattr(each, "_session"):
            each.shutdown()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"port": 0}, "port must be from 1 to 65535: it is 0"),
        ({"port": 1, "token": -1}, "token must not be negative: it is -1"),
        ({"port": 1, "timeout": 0.0}, "timeout must be seconds above 0: it is 0.0"),
        ({"port": 1, "timeout": float("nan")}, "timeout must be seconds above 0: it is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        TcpVenue(account="demo", **settings)


def test_an_order_is_accepted_and_its_fill_is_streamed(exchange, venue):
    exchange.tell("time", at=START)
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999", "2001")

    said = venue.place_order(market_order())

    assert Accepted(order_id="test-1", time=START, venue_order_id="X-1") == said
    assert [
        Fill(
            order_id="test-1",
            trade_id="T-1",
            time=START,
            symbol="XAUUSD",
            side=Side.BUY,
            quantity=Decimal("0.10"),
            price=Decimal(2001),
            commission=Decimal("0.70"),
        )
    ] == venue.hear(1)


def test_an_order_arrives_with_all_its_terms(exchange, venue):
    venue.place_order(limit("1990.50", side=Side.SELL, reduce_only=True))
    venue.place_order(
        market_order(id="s", order_type=OrderType.STOP, stop_price=Decimal("2005"), quantity="0.30")
    )

    shown = [
        tuple(each[name] for name in ("client_order_id", "side", "quantity", "price", "stop_price"))
        for each in exchange.state()["orders"]
    ]
    assert [("test-1", "sell", "0.10", "1990.50", None), ("s", "buy", "0.30", None, "2005")] == shown
    exchange.quote("2000", "2001")
    time = venue.hear(1)[0].time
    nothing = Canceled(order_id="test-1", time=time, reason="there is nothing to reduce", filled=Decimal(0))
    assert [nothing] == venue.told


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"order_type": OrderType.TRAILING_STOP, "trail": Decimal(5)}, "no such thing here as trail"),
        ({"parent": "p-1"}, "no such thing here as parent"),
        ({"oco": "p-1.exit"}, "no such thing here as oco"),
        ({"time_in_force": TimeInForce.GTD, "expires": START}, "no such thing here as expires"),
        ({"time_in_force": TimeInForce.DAY}, "no time in force day"),
    ],
)
def test_what_the_exchange_does_not_know_is_rejected_and_not_overlooked(exchange, venue, terms, reason):
    said = venue.place_order(market_order(**terms))

    assert isinstance(said, Rejected)
    assert reason in said.reason


def test_a_refusal_of_the_exchange_is_a_rejection_with_its_reason(exchange, venue):
    exchange.fault("reject", next=1, reason="closed for lunch")

    said = venue.place_order(market_order())

    assert ("test-1", "closed for lunch") == (said.order_id, said.reason)


def test_a_request_that_the_exchange_does_not_take_is_rejected_too(venue):
    said = venue.place_order(market_order(id=""))

    assert isinstance(said, Rejected)
    assert "does not take this order: an order needs a client_order_id" in said.reason


def test_what_becomes_of_a_cancel_is_streamed(exchange, venue):
    order = limit()
    venue.place_order(order)
    cancel = Cancel(order_id="test-1", time=START)

    assert [Placed(order_id="test-1", time=START)] * 2 == [venue.cancel_order(cancel) for _ in range(2)]

    venue.hear(2)
    assert [
        Canceled(order_id="test-1", time=venue.told[0].time, reason="asked for", filled=Decimal(0)),
        CancelRejected(order_id="test-1", time=venue.told[1].time, reason="too late: the order is canceled"),
    ] == venue.told


def test_what_becomes_of_a_replace_is_streamed(exchange, venue):
    venue.place_order(limit())

    venue.replace_order(Replace(order_id="test-1", quantity=Decimal("0.2"), price=Decimal(1995)))
    venue.replace_order(Replace(order_id="test-1", stop_price=Decimal(1995)))

    assert ["Replaced", "CancelRejected"] == kinds(venue.hear(2))
    replaced = venue.told[0]
    assert isinstance(replaced, Replaced)
    assert (Decimal("0.2"), Decimal(1995), None) == (replaced.quantity, replaced.price, replaced.stop_price)


def test_without_a_connection_an_order_is_rejected_as_it_was_not_sent(exchange, hasty, start):
    exchange.kill()
    until(lambda: not hasty.health().ok, "it stays connected")

    said = hasty.place_order(market_order())

    assert isinstance(said, Rejected)
    assert f"not sent, there is no connection to 127.0.0.1:{exchange.port}" in said.reason
    with pytest.raises(ConnectionError, match="not sent"):
        hasty.cancel_order(Cancel(order_id="test-1"))
    exchange.start()
    assert [] == exchange.state()["orders"]


# Ambiguity: what is sent is sent once, and its outcome is asked for.


def orders_taken(exchange: Exchange) -> int:
    taken: int = exchange.state()["requests"].get("order", 0)
    return taken


def test_a_lost_request_is_in_doubt_and_then_proven_absent(exchange, hasty):
    exchange.tell("time", at=START)
    exchange.fault("lose_requests", next=1, of=["order"])

    with pytest.raises(TimeoutError, match=r"has not answered within 0\.3 s"):
        hasty.place_order(market_order())

    assert [Absent(order_id="test-1", time=START)] == hasty.surely(market_order())
    assert 0 == orders_taken(exchange)


def test_a_lost_answer_is_in_doubt_and_then_found(exchange, hasty):
    exchange.quote("1999", "2001")
    exchange.fault("lose_answers", next=1, of=["order"])

    with pytest.raises(TimeoutError):
        hasty.place_order(market_order())

    token = exchange.state()["token"]
    assert ["Accepted", "Fill"] == kinds(hasty.surely(market_order()))
    assert ["Accepted", "Fill"] == kinds(hasty.hear(2))
    # With a session of its own, so that nothing about the order is on its way any more.
    assert 1 == orders_taken(exchange)
    assert token < exchange.state()["token"]


def test_a_late_answer_is_in_doubt_and_told_by_the_stream(exchange, hasty):
    exchange.fault("slow", ms=int(SHORT * 1500), next=1)

    with pytest.raises(TimeoutError):
        hasty.place_order(limit())

    assert ["Accepted"] == kinds(hasty.hear(1))
    assert isinstance(hasty.place_order(limit(id="test-2")), Accepted)


def test_an_order_that_is_on_the_way_when_it_is_called_absent_never_arrives(exchange, hasty):
    exchange.fault("hold_requests", next=1, of=["order"])
    with pytest.raises(TimeoutError):
        hasty.place_order(limit())
    exchange.until(lambda state: state["held_requests"] == 1)

    assert ["Absent"] == kinds(hasty.surely(limit()))
    exchange.tell("release")

    assert (0, []) == (orders_taken(exchange), exchange.state()["orders"])
    # It may be sent again now, with its id.
    assert isinstance(hasty.place_order(limit()), Accepted)


@pytest.mark.parametrize("fault", ["cut", "garble"])
def test_an_answer_that_is_cut_off_or_cannot_be_read_is_doubt(exchange, venue, fault):
    exchange.fault(fault, next=1, of=["order"])

    with pytest.raises(ConnectionError, match="has not answered this order"):
        venue.place_order(limit())

    assert ["Accepted"] == kinds(venue.surely(limit()))
    assert (1, ["Accepted"]) == (orders_taken(exchange), kinds(venue.hear(1)))


def test_a_cancel_that_is_not_answered_is_in_doubt(exchange, hasty):
    hasty.place_order(limit())
    exchange.fault("lose_answers", next=1, of=["cancel"])

    with pytest.raises(TimeoutError):
        hasty.cancel_order(Cancel(order_id="test-1"))

    assert ["Accepted", "Canceled"] == kinds(hasty.surely(limit()))


def test_while_the_exchange_is_silent_nothing_is_known(exchange, hasty):
    exchange.fault("silent")
    with pytest.raises(TimeoutError):
        hasty.place_order(limit())

    assert hasty.find_order(limit()) is None
    with pytest.raises(OSError, match="does not let us in: timed out"):
        hasty.fetch_statement(0)
    assert not hasty.health().ok

    exchange.tell("clear")
    assert ["Accepted"] == kinds(hasty.surely(limit()))
    until(lambda: hasty.health().ok, "it stays unwell")
    assert (1, ["Accepted"]) == (orders_taken(exchange), kinds(hasty.hear(1)))


@pytest.mark.parametrize(
    ("fault", "found"), [("die_before", ["Absent"]), ("die_after", ["Accepted", "Fill"])]
)
def test_an_exchange_that_dies_in_the_middle_of_an_order_leaves_a_doubt_that_ends(
    exchange, venue, fault, found
):
    exchange.quote("1999", "2001")
    exchange.fault(fault, next=1, of=["order"])

    with pytest.raises(ConnectionError):
        venue.place_order(market_order())

    assert 9 == exchange.ended()
    assert venue.find_order(market_order()) is None
    exchange.start()
    assert found == kinds(venue.surely(market_order()))


def test_an_exchange_that_is_killed_in_the_middle_of_an_order_leaves_a_doubt_that_ends(
    exchange, venue, start
):
    exchange.quote("1999", "2001")
    exchange.fault("lose_answers", next=1, of=["order"])
    failed: list[BaseException] = []

    def place() -> None:
        try:
            venue.place_order(market_order())
        except ConnectionError as error:
            failed.append(error)

    trading = threading.Thread(target=place)
    trading.start()
    exchange.until(lambda state: len(state["fills"]) == 1)
    exchange.kill()
    trading.join()
    assert 1 == len(failed)

    exchange.start()
    assert ["Accepted", "Fill"] == kinds(venue.surely(market_order()))
    venue.hear(2)
    assert {"Accepted", "Fill"} == set(kinds(venue.told))


# The stream.


def test_it_begins_after_what_was_before_the_start(exchange, start):
    earlier = Client(exchange)
    earlier.login(1)
    earlier.order("old", type="limit", price="1990")
    earlier.close()

    venue = start(exchange)
    venue.place_order(limit("1989"))
    exchange.quote("1988", "1989.5")

    assert ["old"] == [each.order_id for each in venue.hear(1) if isinstance(each, Fill)]


def test_it_goes_on_where_it_was_when_the_connection_is_made_again(exchange, venue, start):
    exchange.quote("1999", "2001", ask_size="0.1")
    venue.place_order(market_order(quantity="0.30"))
    venue.hear(1)

    exchange.fault("refuse_logins", next=1)
    exchange.tell("disconnect")
    exchange.quote("1999", "2001", ask_size="0.1")
    venue.hear(2)
    exchange.restart()
    exchange.quote("1999", "2001", ask_size="0.1")

    assert ["T-1", "T-2", "T-3"] == [each.trade_id for each in venue.hear(3) if isinstance(each, Fill)]
    assert 3 <= len(venue.waits)


def test_it_waits_longer_each_time_that_it_cannot_connect(exchange, venue):
    exchange.kill()

    until(lambda: len(venue.waits) >= 9, "it gives up")

    assert [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] == venue.waits[:9]
    assert (False, True) == (venue.health().ok, "Connection refused" in venue.health().detail)


def test_doubles_are_yielded_as_they_come(exchange, venue):
    exchange.quote("1999", "2001")
    exchange.fault("double", of=[])
    venue.place_order(market_order())

    # Its acceptance was the answer to the order: the first time it is not told again.
    assert ["Accepted", "Fill", "Fill"] == kinds(venue.hear(3))


def test_late_and_reversed_executions_are_yielded_as_they_come(exchange, venue):
    venue.place_order(limit())
    exchange.fault("hold", next=2)
    exchange.quote("1989", "1990", ask_size="0.04")
    exchange.quote("1989", "1990", ask_size="0.03")
    exchange.quote("1989", "1990")

    exchange.tell("release", reverse=True)

    venue.hear(3)
    assert ["T-3", "T-2", "T-1"] == [each.trade_id for each in venue.told if isinstance(each, Fill)][:3]


def test_what_came_out_of_order_is_no_reason_to_forget_what_is_missing(exchange, venue):
    venue.place_order(limit())
    exchange.fault("lose", next=1)
    exchange.quote("1989", "1990", ask_size="0.04")
    exchange.quote("1989", "1990")
    assert ["T-2"] == [each.trade_id for each in venue.hear(1) if isinstance(each, Fill)]

    exchange.tell("disconnect")

    venue.hear(3)
    assert {"T-1", "T-2"} == {each.trade_id for each in venue.told if isinstance(each, Fill)}


def test_what_is_lost_on_the_way_is_asked_for_again_at_the_next_heartbeat(quick, start):
    venue = start(quick)
    quick.quote("1999", "2001")
    quick.fault("lose", next=2)

    venue.place_order(market_order())

    assert "Fill" in kinds(venue.hear(1))
    assert [] == venue.waits


def test_an_idle_connection_is_kept_by_heartbeats(quick, start):
    venue = start(quick)

    quick.until(lambda state: state["requests"].get("heartbeat", 0) >= 6)

    assert ([], True) == (venue.waits, venue.health().ok)


def test_a_dead_connection_is_given_up_and_made_again(quick, start):
    venue = start(quick, timeout=SHORT)
    quick.process.send_signal(signal.SIGSTOP)

    # Its first trouble, that the connection is lost, may be over before we look.
    until(lambda: "does not let us in" in venue.health().detail, "it keeps a dead connection")
    quick.process.send_signal(signal.SIGCONT)

    until(lambda: venue.health().ok and quick.state()["is_streaming"], "it does not come back")
    quick.quote("1999", "2001")
    venue.place_order(market_order())
    until(lambda: "Fill" in kinds(venue.told), "it does not tell of the trade")


def test_a_silent_connection_is_given_up_and_made_again(quick, start):
    venue = start(quick, timeout=SHORT)
    quick.fault("silent")

    until(lambda: len(venue.waits) >= 2, "it keeps a dead connection")
    quick.tell("clear")
    quick.quote("1999", "2001")

    until(lambda: venue.health().ok and quick.state()["is_streaming"], "it does not come back")
    venue.place_order(market_order())
    assert "Fill" in kinds(venue.hear(1))


def test_a_bust_and_another_terminals_trade_are_told(exchange, venue):
    exchange.tell("foreign", account="demo", symbol="XAUUSD", side="sell", quantity="2", price="2000")
    exchange.tell("bust", trade_id="T-1", reason="error of the exchange")

    foreign, bust = venue.hear(2)
    assert isinstance(foreign, Fill)
    assert ("X-1", "T-1", Side.SELL) == (foreign.order_id, foreign.trade_id, foreign.side)
    assert Busted(order_id="X-1", trade_id="T-1", time=bust.time, reason="error of the exchange") == bust


def test_it_ends_when_it_is_shut_down(exchange, venue):
    venue.shutdown()
    venue.thread.join(PATIENCE)

    assert (False, None) == (venue.thread.is_alive(), venue.failure)
    assert "we have shut down" in venue.health().detail
    exchange.until(lambda state: not state["is_connected"])


def test_an_exchange_that_has_lost_its_books_is_not_believed(forgetful, start):
    venue = start(forgetful)
    venue.place_order(limit())
    venue.cancel_order(Cancel(order_id="test-1"))
    venue.hear(1)

    forgetful.restart()

    assert "it has told 2 executions and knows of 0 only" in venue.fails()
    assert venue.find_order(limit()) is None


# Two engines, one account.


def test_of_two_engines_the_older_cannot_send_any_more(exchange, start):
    older, newer = start(exchange, token=7), start(exchange, token=8)

    assert "Barred" in older.fails()
    assert "another engine trades the account demo" in str(older.failure)
    said = older.place_order(market_order())
    assert isinstance(said, Rejected)
    assert older.find_order(market_order()) is None
    assert "another engine" in older.health().detail
    assert isinstance(newer.place_order(limit(id="new")), Accepted)
    assert ["new"] == [each["client_order_id"] for each in exchange.state()["orders"]]


@pytest.mark.parametrize("token", [6, 7])
def test_an_engine_without_a_higher_token_does_not_start(exchange, token, start):
    first = start(exchange, token=7)
    second = TcpVenue(account="demo", port=exchange.port, token=token)

    with pytest.raises(Barred, match="another engine trades the account demo: token"):
        second.startup()

    assert isinstance(first.place_order(limit()), Accepted)


def test_without_a_token_the_later_start_has_the_higher_one(exchange):
    tokens = []
    for time in (START, START + 1_000_000):
        venue = TcpVenue(account="demo", port=exchange.port)
        venue.clock = lambda time=time: time  # type: ignore[misc]
        venue.startup()
        tokens.append(exchange.state()["token"])
        venue.shutdown()

    assert tokens == sorted(tokens)
    late = TcpVenue(account="demo", port=exchange.port)
    late.clock = lambda: START
    with pytest.raises(Barred):
        late.startup()


def test_an_engine_that_was_paused_cannot_send_when_it_wakes(exchange, start):
    paused = subprocess.Popen(
        [sys.executable, "-c", TRADE_TWICE, str(exchange.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert paused.stdin is not None
        assert paused.stdout is not None
        assert "Accepted\n" == paused.stdout.readline()
        paused.send_signal(signal.SIGSTOP)
        start(exchange, token=8)
        # It is there for it to read as soon as it wakes, before it can have heard of the other.
        paused.stdin.write("go\n")
        paused.stdin.flush()

        paused.send_signal(signal.SIGCONT)
        said, _ = paused.communicate(timeout=PATIENCE)
    finally:
        paused.kill()

    assert said in {"Rejected\n", "ConnectionError\n", "ConnectionResetError\n", "BrokenPipeError\n"}
    assert ["before"] == [each["client_order_id"] for each in exchange.state()["orders"]]


TRADE_TWICE = """
import sys
from nicegold.engine import Engine
from nicegold.testing import market_order
from nicegold_plugins.brokers.venue import TcpVenue

venue = TcpVenue(account="demo", port=int(sys.argv[1]), token=7)
venue.startup()
print(type(venue.place_order(market_order(id="before"))).__name__, flush=True)
sys.stdin.readline()
try:
    print(type(venue.place_order(market_order(id="after"))).__name__)
except OSError as error:
    print(type(error).__name__)
"""


# What the venue believes.


def test_a_statement_says_what_the_venue_believes(exchange, venue):
    exchange.tell("time", at=START)
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999", "2001", ask_size="0.04")
    venue.place_order(market_order(id="old"))
    venue.cancel_order(Cancel(order_id="old"))
    exchange.tell("time", at=START + 10)
    exchange.quote("1999", "2001", ask_size="0.04")
    venue.place_order(limit("2001"))
    exchange.tell("foreign", account="demo", symbol="XAUUSD", side="sell", quantity="2", price="2000")

    said = venue.fetch_statement(START + 10)

    assert said is not None
    assert (START + 10, START + 10) == (said.time, said.since)
    mine: dict[str, Any] = {"symbol": "XAUUSD", "side": Side.BUY, "quantity": Decimal("0.10")}
    assert [
        VenueOrder(
            order_id="test-1",
            venue_order_id="X-2",
            filled=Decimal("0.04"),
            status=OrderStatus.PARTIALLY_FILLED,
            price=Decimal(2001),
            **mine,
        ),
        VenueOrder(
            order_id="",
            venue_order_id="X-3",
            symbol="XAUUSD",
            side=Side.SELL,
            quantity=Decimal(2),
            filled=Decimal(2),
            status=OrderStatus.FILLED,
        ),
    ] == said.orders
    assert ["T-2", "T-3"] == [fill.trade_id for fill in said.fills]
    assert {"XAUUSD": Decimal("-1.92")} == said.positions
    # 0.08 lots bought at 2001 were sold at 2000; 2.08 lots cost commission.
    assert Decimal(100_000) - 8 - Decimal("14.56") == said.cash
    everything = venue.fetch_statement(0)
    assert everything is not None
    assert [OrderStatus.CANCELED] == [each.status for each in everything.orders if each.order_id == "old"]


def test_orders_and_statements_may_be_asked_for_at_the_same_time(exchange, venue, start):
    """The trading thread, the stream's and a third."""
    exchange.quote("1999", "2001")
    done = threading.Event()
    said: list[Any] = []

    def ask() -> None:
        while not done.is_set():
            said.append(venue.fetch_statement(0))
            said.append(venue.find_order(market_order(id="never")))

    asking = threading.Thread(target=ask)
    asking.start()
    answers = [venue.place_order(market_order(id=f"o-{number}")) for number in range(150)]
    done.set()
    asking.join()

    assert [f"o-{number}" for number in range(150)] == [each.order_id for each in answers]
    assert {"Accepted"} == set(kinds(answers))
    # A login in between cuts no order off, and loses no execution.
    until(
        lambda: len({each.trade_id for each in venue.told if isinstance(each, Fill)}) == 150, "some are lost"
    )
    assert None not in said
    assert 150 == orders_taken(exchange)


# The whole way, with an engine.


def trade(venue: Broker, *orders: Order) -> tuple[Engine, Recorder]:
    """An engine whose books agree with the venue's, at a first quote, and that has placed *orders*."""
    engine, seen = engine_with(script=Script(requests={0: orders}, on_fills={}), venue=venue)
    compare(engine, venue)
    venue.listen()
    engine.handle(quote(1999.0, 2001.0))
    return engine, seen


def compare(engine: Engine, venue: Broker) -> None:
    statement = venue.fetch_statement(0)
    assert statement is not None
    engine.handle(replace(statement, asked=engine.sequence), "venue")


BUY = Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"))


@pytest.fixture
def unstarted(exchange: Exchange) -> Iterator[Broker]:
    """One for an engine to start, at an exchange that trades gold."""
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999", "2001")
    made = Broker(account="demo", port=exchange.port, timeout=SHORT)
    yield made
    end(made)


def test_what_an_engine_trades_agrees_with_the_venue(exchange, unstarted):
    engine, seen = trade(unstarted, BUY)

    for execution in unstarted.hear(1):
        engine.handle(execution, "venue")
    compare(engine, unstarted)

    assert ["Reconciled", "Quote", "Order", "Accepted", "Fill"] == seen.kinds
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD").quantity
    assert Decimal("99999.30") == engine.portfolio.cash
    assert {} == engine.portfolio.breaks


def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(exchange, unstarted):
    exchange.fault("lose_answers", next=1, of=["order"])
    engine, seen = trade(unstarted, BUY)
    assert [OrderStatus.UNKNOWN] == [each.status for each in engine.portfolio.working()]

    for told in (*unstarted.surely(seen.of(Order)[0]), *unstarted.hear(2)):
        engine.handle(told, "venue")
    compare(engine, unstarted)

    assert (1, {}, []) == (orders_taken(exchange), engine.portfolio.breaks, list(engine.portfolio.working()))
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD").quantity


def test_an_order_that_was_lost_is_sent_once_more_with_its_id(exchange, unstarted):
    exchange.fault("lose_requests", next=1, of=["order"])
    engine, seen = trade(unstarted, BUY)

    (absent,) = unstarted.surely(seen.of(Order)[0])
    engine.handle(replace(absent, asked=engine.sequence), "venue")
    for told in unstarted.hear(1):
        engine.handle(told, "venue")
    compare(engine, unstarted)

    assert (1, 1, {}) == (orders_taken(exchange), len(seen.of(Unknown)), engine.portfolio.breaks)
    assert [("script-1", "filled")] == [
        (each["client_order_id"], each["status"]) for each in exchange.state()["orders"]
    ]
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD").quantity


def test_a_position_that_no_trade_explains_is_a_break(exchange, unstarted):
    engine, _ = trade(unstarted)
    exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="-0.3")

    compare(engine, unstarted)

    assert [("position", "XAUUSD", "0", "-0.3")] == [
        (each.kind, each.about, each.ours, each.theirs) for each in engine.portfolio.breaks.values()
    ]
