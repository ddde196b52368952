"""Our brokers pass the cases, and what their rigs cannot try is named here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from nicegold import Order, OrderStatus, Side, TimeInForce, VenueOrder
from nicegold.conformance import INSTRUMENT, Case, NotTried, Rig, cases, check_broker
from nicegold_plugins.brokers.paper import Paper
from nicegold_plugins.brokers.venue import TcpVenue
from tests.conformance.simple import SimpleRig
from tests.exchange.client import PATIENCE, Exchange

#: Paper lives in this process, asks nobody and loses nothing: these can be tried with it.
OF_PAPER = {"B06", "B07", "B12", "B13", "B14", "B15", "B16", "B17", "B19", "B20", "B21", "B22"}


class PaperRig(Rig):
    """The venue is the broker itself: the case asks its `match_orders`."""

    def broker(self) -> Paper:
        return Paper(commission=Decimal(7))

    def move(self, bid: Decimal, ask: Decimal) -> None:
        return None

    def refused_order(self, order_id: str) -> Order:
        return Order(
            symbol=INSTRUMENT.symbol, side=Side.BUY, quantity=Decimal("0.10"), parent="nobody", id=order_id
        )


class TcpRig(Rig):
    """An exchange in a process of its own. *timeout* is the seconds that an answer may take."""

    patience = PATIENCE

    def __init__(self, timeout: float = 1.0) -> None:
        self._timeout = timeout

    def broker(self) -> TcpVenue:
        self._exchange = Exchange()
        self._exchange.tell("symbol", symbol=INSTRUMENT.symbol, lot_size="100", commission="7")
        return TcpVenue(account="demo", port=self._exchange.port, timeout=self._timeout)

    def close(self) -> None:
        if self._exchange.process.returncode is None:
            self._exchange.kill()

    def move(self, bid: Decimal, ask: Decimal) -> None:
        self._exchange.quote(f"{bid:f}", f"{ask:f}")

    def refused_order(self, order_id: str) -> Order:
        return Order(
            symbol=INSTRUMENT.symbol,
            side=Side.BUY,
            quantity=Decimal("0.10"),
            time_in_force=TimeInForce.FOK,
            id=order_id,
        )

    def lose_next_request(self) -> None:
        self._exchange.fault("lose_requests", next=1, of=["order"])

    def lose_next_answer(self) -> None:
        self._exchange.fault("lose_answers", next=1, of=["order"])

    def hold_next_request(self) -> None:
        self._exchange.fault("hold_requests", next=1, of=["order", "cancel"])

    def release(self) -> None:
        self._exchange.tell("release")

    def silence(self, silent: bool) -> None:
        self._exchange.fault("silent") if silent else self._exchange.tell("clear")

    def disconnect(self, apart: bool) -> None:
        if apart:
            self._exchange.fault("refuse_logins", reason="the exchange is closed")
            self._exchange.tell("disconnect")
        else:
            self._exchange.tell("clear")

    def unplug(self) -> None:
        self._exchange.kill()

    def orders_at_venue(self) -> list[VenueOrder]:
        return [_venue_order(each) for each in self._exchange.state()["orders"]]

    def sendings(self) -> int:
        return int(self._exchange.state()["requests"].get("order", 0))

    def is_contacted(self) -> bool:
        return int(self._exchange.state()["token"]) >= 0


def _venue_order(shown: dict[str, Any]) -> VenueOrder:
    status = OrderStatus.NEW if shown["status"] == "working" else shown["status"]
    return msgspec.convert({**shown, "order_id": shown["client_order_id"], "status": status}, VenueOrder)


def passes(case: Case, rig: Rig) -> None:
    """Skipping is not passing."""
    try:
        case(rig)
    except NotTried as error:
        pytest.fail(f"{case.id} was not tried: {error}")


@pytest.mark.parametrize("case", cases())
def test_simple_passes(case: Case):
    passes(case, SimpleRig())


@pytest.mark.parametrize("case", cases())
def test_venue_passes(case: Case):
    passes(case, TcpRig())


@pytest.mark.parametrize("case", [case for case in cases() if case.id in OF_PAPER])
def test_paper_passes(case: Case):
    passes(case, PaperRig())


@pytest.mark.parametrize("case", [case for case in cases() if case.id not in OF_PAPER])
def test_what_cannot_be_tried_with_paper_is_skipped_with_a_reason(case: Case):
    with pytest.raises(NotTried, match=r"^the (rig cannot|broker has no) \w+$"):
        case(PaperRig())


def test_the_outcomes_name_each_case_once_and_say_why_it_was_skipped():
    outcomes = check_broker(PaperRig())

    assert [case.id for case in cases()] == [each.case for each in outcomes]
    assert OF_PAPER == {each.case for each in outcomes if each.result == "passed"}
    assert [] == [each for each in outcomes if each.result == "failed"]
    assert [] == [each for each in outcomes if (each.result == "passed") == bool(each.why)]
