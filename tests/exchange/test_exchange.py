"""What the exchange promises at the top of __main__.py, and each fault that it can be told to have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.exchange.client import Client, Exchange, exchange, forgetful, order, quick, until
from tests.exchange.faults import KINDS

pytestmark = pytest.mark.slow

#: The fixtures.
__all__ = ["exchange", "forgetful", "quick"]


@pytest.fixture
def client(exchange: Exchange):
    """The one that trades, at token 1, and hears all executions."""
    connected = Client(exchange)
    connected.login(1)
    connected.ask("stream", after=0)
    yield connected
    connected.close()


def kinds(client: Client, count: int) -> list[str]:
    """What the first *count* executions were."""
    client.hear_executions(count)
    return [each["kind"] for each in client.executions]


def fills(client: Client, count: int) -> list[tuple[str, str, str]]:
    """Order, quantity and price of the fills among the first *count* executions."""
    client.hear_executions(count)
    names = ("client_order_id", "quantity", "price")
    return [tuple(each[name] for name in names) for each in client.executions if each["kind"] == "fill"]


# Sessions.


def test_the_first_line_is_a_login(exchange):
    client = Client(exchange)

    assert "log in first, and once" == client.ask("cash")["refused"]
    assert client.login(1)["sequence"] == 0
    assert "log in first, and once" == client.login(2)["refused"]
    client.close()


@pytest.mark.parametrize("token", [6, 7])
def test_a_token_that_is_not_higher_is_refused_and_the_older_session_goes_on(exchange, token):
    old, late = Client(exchange), Client(exchange)
    old.login(7)

    answer = late.login(token)

    assert {
        "id": 1,
        "refused": f"token {token} is not higher than 7, which has logged in",
        "fenced": True,
    } == answer
    assert "100000" == old.ask("cash")["cash"]
    old.close()
    late.close()


def test_tokens_fence_one_account_and_outlive_the_exchange(exchange):
    first, other = Client(exchange), Client(exchange)
    first.login(7)
    assert 3 == other.login(3, account="other")["token"]
    first.close()
    other.close()

    exchange.restart()

    again = Client(exchange)
    assert again.login(7)["fenced"]
    again.close()


def test_a_higher_token_closes_the_older_session(exchange, client):
    newer = Client(exchange)
    newer.login(2)

    assert {"closed": "token 2 has logged in", "fenced": True} == client.answer(0)
    assert {"closed": ""} == client.hear()
    newer.close()


def test_what_was_on_the_way_when_a_newer_session_came_is_never_taken(exchange, client):
    exchange.fault("hold_requests", next=1)
    client.send("order", order=order("late"))
    exchange.until(lambda state: state["held_requests"] == 1)
    newer = Client(exchange)
    newer.login(2)
    assert newer.ask("find", client_order_id="late")["order"] is None

    exchange.tell("release")

    assert newer.ask("find", client_order_id="late")["order"] is None
    assert "order" not in exchange.state()["requests"]
    newer.close()


def test_who_returns_no_heartbeat_is_hung_up_on(quick):
    client = Client(quick)
    client.login(1)

    assert {"closed": ""} == client.answer(0)
    assert 3 == len(client.heartbeats)
    assert not quick.state()["is_connected"]
    client.close()


def test_who_returns_heartbeats_stays(quick):
    client = Client(quick)
    client.login(1)

    while len(client.heartbeats) < 6:
        if "heartbeat" in client.hear():
            client.raw(b'{"do": "heartbeat"}\n')

    assert quick.state()["is_connected"]
    client.close()


@pytest.mark.parametrize(("cancels", "status"), [(True, "canceled"), (False, "working")])
def test_orders_are_cancelled_with_a_lost_session_if_it_asked_for_that(exchange, cancels, status):
    client = Client(exchange)
    client.login(1, cancel_on_disconnect=cancels)
    client.order("a", type="limit", price="1990")

    client.close()

    state = exchange.until(lambda state: not state["is_connected"])
    assert [status] == [each["status"] for each in state["orders"]]


def test_a_newer_session_takes_the_orders_over(exchange):
    older, newer = Client(exchange), Client(exchange)
    older.login(1, cancel_on_disconnect=True)
    older.order("a", type="limit", price="1990")

    newer.login(2)
    older.close()

    assert "working" == newer.ask("find", client_order_id="a")["order"]["status"]
    newer.close()


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b'{"id": 1}\n', b"\xff\n"])
def test_what_is_no_request_ends_the_session(client, line):
    client.raw(line)

    assert client.answer(0)["closed"].startswith("this is no request")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "dance"}, "there is no request 'dance'"),
        ({"do": "fills"}, "KeyError: 'since'"),
        ({"do": "cancel"}, "cancel cannot be read: KeyError: 'client_order_id'"),
        ({"do": "order", "order": order("a", quantity="much")}, "order cannot be read: InvalidOperation"),
        ({"do": "order", "order": order("a", side="both")}, "order cannot be read: KeyError: 'both'"),
        ({"do": "order", "order": order("")}, "an order needs a client_order_id and a symbol, both text"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_and_changes_nothing(exchange, client, request_, reason):
    assert client.ask(**request_)["refused"].startswith(reason)
    assert [] == exchange.state()["orders"]


# Orders.


def test_an_order_is_accepted_with_the_venues_id_and_filled_after_that(exchange, client):
    exchange.quote("1999", "2001")

    answer = client.order("a")

    assert ("accepted", "a", "X-1", 1) == tuple(
        answer[name] for name in ("kind", "client_order_id", "venue_order_id", "sequence")
    )
    assert ["accepted", "fill"] == kinds(client, 2)
    assert ("T-1", "1", "2001", "0") == tuple(
        client.executions[1][name] for name in ("trade_id", "quantity", "price", "commission")
    )


def test_the_same_id_again_is_answered_as_the_first_time_and_makes_no_second_order(exchange, client):
    exchange.quote("1999", "2001")
    first = client.order("a")

    assert first == client.order("a", quantity="5")
    assert ("1", 2) == (exchange.state()["positions"]["XAUUSD"], exchange.state()["sequence"])


def test_a_rejected_order_is_rejected_again(client):
    first = client.order("a", type="iceberg")

    assert "there are no iceberg orders here, only market, limit, stop" == first["reason"]
    assert first == client.order("a")


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"trail": "5"}, "there is no such thing here as trail"),
        ({"time_in_force": "gtd"}, "there is no time in force gtd here, only gtc and ioc"),
        ({"quantity": "0"}, "quantity must be above 0: it is 0"),
        ({"quantity": "NaN"}, "quantity must be above 0: it is NaN"),
        ({"price": "2000"}, "a market order takes no price, above 0"),
        ({"type": "limit"}, "a limit order takes price, above 0"),
        ({"type": "limit", "price": "-1"}, "a limit order takes price, above 0"),
        ({"type": "stop", "price": "1"}, "a stop order takes stop_price, above 0"),
    ],
)
def test_what_the_exchange_does_not_know_it_rejects(client, terms, reason):
    assert ("rejected", reason) == tuple(client.order("a", **terms)[name] for name in ("kind", "reason"))


def test_a_limit_order_trades_at_its_price_or_better(exchange, client):
    exchange.quote("1999", "2001")
    client.order("buy", type="limit", price="2000")
    client.order("sell", side="sell", type="limit", price="2002")

    exchange.quote("1998", "1999.5")
    exchange.quote("2002", "2003")

    assert [("buy", "1", "1999.5"), ("sell", "1", "2002")] == fills(client, 4)


def test_a_stop_order_trades_at_market_once_its_price_is_reached(exchange, client):
    exchange.quote("1999", "2001")
    client.order("buy", type="stop", stop_price="2005")
    client.order("sell", side="sell", type="stop", stop_price="1990")

    exchange.quote("2003", "2004.9")
    exchange.quote("2004", "2006", ask_size="0.5")
    exchange.quote("1995", "1996")
    exchange.quote("1990", "1991")

    assert [("buy", "0.5", "2006"), ("buy", "0.5", "1996"), ("sell", "1", "1990")] == fills(client, 5)


def test_size_fills_by_price_and_then_by_time(exchange, client):
    client.order("low", type="limit", price="2000")
    client.order("high", type="limit", price="2001")
    client.order("later", type="limit", price="2001")
    client.order("market")

    exchange.quote("1999", "2000", ask_size="2.5")
    exchange.quote("1999", "2000", ask_size="1")

    assert [
        ("market", "1", "2000"),
        ("high", "1", "2000"),
        ("later", "0.5", "2000"),
        ("later", "0.5", "2000"),
        ("low", "0.5", "2000"),
    ] == fills(client, 9)


def test_the_size_of_a_quote_is_taken_once(exchange, client):
    exchange.quote("1999", "2001", ask_size="1.5")
    client.order("a")
    client.order("b")

    assert [("a", "1", "2001"), ("b", "0.5", "2001")] == fills(client, 4)


def test_what_an_ioc_order_does_not_get_at_once_is_cancelled(exchange, client):
    exchange.quote("1999", "2001", ask_size="0.4")
    client.order("a", time_in_force="ioc")

    assert ["accepted", "fill", "canceled"] == kinds(client, 3)
    assert "0.4" == exchange.state()["orders"][0]["filled"]


def test_an_order_that_reduces_only_ends_where_there_is_nothing_left(exchange, client):
    exchange.quote("1999", "2001")
    client.order("a")
    client.order("b", side="sell", quantity="3", reduce_only=True)
    client.order("c", side="sell", reduce_only=True)

    exchange.quote("1999", "2001")

    assert {} == exchange.state()["positions"]
    assert ["filled", "canceled", "canceled"] == [each["status"] for each in exchange.state()["orders"]]


def test_a_working_order_can_be_cancelled_and_an_ended_one_cannot(exchange, client):
    client.order("a", type="limit", price="1990")

    said = [client.ask("cancel", client_order_id=name)["execution"] for name in ("a", "a", "b")]

    assert [
        ("canceled", "asked for"),
        ("cancel_rejected", "too late: the order is canceled"),
        ("cancel_rejected", "unknown order"),
    ] == [(each["kind"], each["reason"]) for each in said]


def test_a_replaced_order_works_on_with_its_new_terms(exchange, client):
    exchange.quote("1999", "2001")
    client.order("a", type="limit", price="1990")

    told = client.ask("replace", client_order_id="a", quantity="2", price="2001", stop_price=None)

    terms = {"quantity": "2", "price": "2001", "stop_price": None}
    assert {"kind": "replaced", **terms} == {name: told["execution"][name] for name in ("kind", *terms)}
    assert [("a", "2", "2001")] == fills(client, 3)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"quantity": "0.5"}, "0.5 are filled, so quantity cannot be 0.5"),
        ({"price": "0"}, "a limit order takes price, above 0"),
        ({"stop_price": "1"}, "a limit order takes price, above 0"),
    ],
)
def test_a_replace_that_makes_no_sense_is_refused_and_the_order_works_on(exchange, client, terms, reason):
    exchange.quote("1999", "2001", ask_size="0.5")
    client.order("a", type="limit", price="2001")

    told = client.ask("replace", client_order_id="a", **terms)["execution"]

    assert ("cancel_rejected", reason) == (told["kind"], told["reason"])
    assert [("1", "working")] == [(o["quantity"], o["status"]) for o in exchange.state()["orders"]]


@pytest.mark.parametrize(
    ("terms", "first"),
    [
        ({"quantity": "0.5"}, "a"),
        ({"quantity": "2"}, "b"),
        ({"price": "2001"}, "a"),
        ({"price": "2002"}, "b"),
    ],
)
def test_only_asking_for_more_or_another_price_costs_the_place_in_time(exchange, client, terms, first):
    for name in ("a", "b"):
        client.order(name, type="limit", price="2001")
    client.ask("replace", client_order_id="a", **terms)
    if "price" in terms:
        client.ask("replace", client_order_id="a", price="2001")

    exchange.quote("1999", "2001", ask_size="0.1")

    assert [first] == [each["client_order_id"] for each in exchange.state()["fills"]]


# What can be looked up.


def test_executions_are_numbered_whichever_session_was_there(exchange, client):
    client.order("a", type="limit", price="1990")
    client.close()
    exchange.quote("1989", "1990")
    newer = Client(exchange)

    assert 2 == newer.login(2)["sequence"]
    newer.order("b", type="limit", price="1980")
    newer.ask("stream", after=1)
    assert [2, 3] == newer.hear_executions(2)
    newer.ask("stream", after=0)
    assert [2, 3, 1, 2, 3] == newer.hear_executions(5)
    newer.close()


def test_an_order_is_found_by_its_id_with_all_that_happened_to_it(exchange, client):
    exchange.quote("1999", "2001", ask_size="0.4")
    client.order("a", type="limit", price="2001")
    client.order("b")

    found = client.ask("find", client_order_id="a")

    assert ["accepted", "fill"] == [each["kind"] for each in found["executions"]]
    shown = {"filled": "0.4", "status": "working", "price": "2001", "venue_order_id": "X-1"}
    assert shown == {name: found["order"][name] for name in shown}
    assert client.ask("find", client_order_id="c")["order"] is None


def test_what_has_ended_or_traded_is_listed_since_a_time(exchange, client):
    exchange.quote("1999", "2001")
    for at, name in ((100, "a"), (200, "b")):
        exchange.tell("time", at=at)
        client.order(name)
    client.order("works", type="limit", price="1990")

    def since(what: str, time: int) -> list[str]:
        return [each["client_order_id"] for each in client.ask(what, since=time)[what]]

    assert ["a", "b", "works"] == since("orders", 100)
    assert ["b", "works"] == since("orders", 101)
    assert ["works"] == since("orders", 201)
    assert (["a", "b"], ["b"], []) == (since("fills", 100), since("fills", 101), since("fills", 201))


def test_a_statement_is_all_of_it_as_of_one_moment(exchange, client):
    exchange.tell("time", at=100)
    exchange.quote("1999", "2001")
    client.order("a")

    told = client.ask("statement", since=0)

    assert (100, "100000", {"XAUUSD": "1"}) == (told["time"], told["cash"], told["positions"])
    assert (["filled"], ["T-1"]) == (
        [o["status"] for o in told["orders"]],
        [f["trade_id"] for f in told["fills"]],
    )
    assert {"XAUUSD": "1"} == client.ask("positions")["positions"]


def test_cash_moves_by_what_closed_lots_earned_and_by_commission(exchange, client):
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    for side, quantity, price in (
        ("buy", "1", "2000"),
        ("buy", "1", "2010"),  # two at 2005
        ("sell", "3", "2015"),  # they earn 10 each; one short at 2015
        ("buy", "0.5", "2016"),  # and half of it loses 1
    ):
        exchange.quote(price, price)
        client.order(f"{side}-{price}", side=side, quantity=quantity)

    assert 100_000 + 2 * 10 * 100 - 1 * 100 * 0.5 - 7 * 5.5 == float(client.ask("cash")["cash"])
    assert {"XAUUSD": "-0.5"} == client.ask("positions")["positions"]


# What happens without being asked for.


def test_a_busted_trade_is_as_if_it_had_never_been(exchange, client):
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999", "2001", ask_size="0.4")
    client.order("a")

    exchange.tell("bust", trade_id="T-1", reason="error of the exchange")

    assert ["accepted", "fill", "busted"] == kinds(client, 3)
    told = client.executions[2]
    assert ("a", "T-1", "error of the exchange") == (
        told["client_order_id"],
        told["trade_id"],
        told["reason"],
    )
    state = exchange.state()
    assert ({}, [], 100_000) == (state["positions"], state["fills"], float(state["cash"]))
    assert "0.0" == state["orders"][0]["filled"]


def test_a_trade_is_busted_once(exchange, client):
    exchange.quote("1999", "2001")
    client.order("a")
    exchange.tell("bust", trade_id="T-1")

    for trade in ("T-1", "T-9"):
        with pytest.raises(AssertionError, match=f"there is no trade {trade} to bust"):
            exchange.tell("bust", trade_id=trade)


def test_another_terminal_trades_on_the_same_account(exchange, client):
    exchange.tell("foreign", account="demo", symbol="XAUUSD", side="sell", quantity="2", price="2000")

    assert ["fill"] == kinds(client, 1)
    assert ("", "X-1") == tuple(client.executions[0][name] for name in ("client_order_id", "venue_order_id"))
    assert {"XAUUSD": "-2"} == exchange.state()["positions"]


def test_a_position_can_change_without_a_trade(exchange, client):
    exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="-0.3", cash="-5")

    assert ({"XAUUSD": "-0.3"}, "99995") == (exchange.state()["positions"], exchange.state()["cash"])
    assert 0 == exchange.state()["sequence"]


# Faults.


def test_every_fault_has_a_test():
    source = Path(__file__).read_text(encoding="utf-8")

    assert [] == [kind for kind in KINDS if f'.fault("{kind}"' not in source]


def test_a_fault_that_does_not_exist_is_refused(exchange):
    for kind, terms in (("tired", {}), ("slow", {"speed": 3})):
        with pytest.raises(AssertionError, match=r"there is no fault|a fault has no speed"):
            exchange.fault(kind, **terms)


def test_slow_answers_come_late_and_in_their_order(exchange, client):
    exchange.fault("slow", ms=60, next=1)
    slow, quick = client.send("cash"), client.send("positions")

    heard: list[Any] = []
    while len(heard) < 2:
        message = client.hear()
        if "id" in message:
            heard.append(message["id"])

    assert [slow, quick] == heard


def test_a_silent_exchange_acts_and_says_nothing(exchange, client):
    exchange.quote("1999", "2001")
    exchange.fault("silent", next=2)
    client.send("order", order=order("a"))
    client.send("order", order=order("b"))

    assert "2" == client.ask("positions")["positions"]["XAUUSD"]
    assert [] == client.executions


def test_without_a_bound_it_says_nothing_at_all_until_it_is_told_to(exchange, client):
    exchange.fault("silent")
    client.send("order", order=order("a"))
    newer = Client(exchange)
    newer.send("login", account="demo", token=2)
    exchange.until(lambda state: state["token"] == 2)

    exchange.tell("clear")

    assert {"closed": ""} == client.answer(0)
    assert 1 == newer.ask("find", client_order_id="a")["executions"][0]["sequence"]
    newer.close()


def test_lost_requests_never_arrive_and_others_do(exchange, client):
    exchange.fault("lose_requests", next=2, of=["order"])
    for name in ("a", "b"):
        client.send("order", order=order(name))

    assert "accepted" == client.order("c")["kind"]
    assert ["c"] == [each["client_order_id"] for each in exchange.state()["orders"]]


def test_a_lost_answer_was_an_order_all_the_same(exchange, client):
    exchange.fault("lose_answers", next=1)
    client.send("order", order=order("a"))

    assert [1] == client.hear_executions(1)
    assert "accepted" == client.order("a")["kind"]


def test_held_requests_are_taken_when_they_are_released(exchange, client):
    exchange.fault("hold_requests", next=1, of=["order"])
    number = client.send("order", order=order("a"))
    assert client.ask("find", client_order_id="a")["order"] is None

    exchange.tell("release")

    assert "accepted" == client.answer(number)["execution"]["kind"]


def test_a_connection_can_be_cut_in_the_middle_of_an_order(exchange, client):
    exchange.fault("cut", next=1)

    assert {"closed": ""} == client.answer(client.send("order", order=order("a")))
    assert ["working"] == [each["status"] for each in exchange.state()["orders"]]


def test_answers_can_be_no_json(exchange, client):
    exchange.fault("garble", next=1)

    with pytest.raises(ValueError, match=r"delimiter|Expecting"):
        client.order("a")


def test_it_rejects_so_many_orders_and_says_why(exchange, client):
    exchange.fault("reject", next=2, reason="closed for lunch")

    assert ["closed for lunch", "closed for lunch", None] == [
        client.order(name).get("reason") for name in ("a", "b", "c")
    ]


def test_it_refuses_logins_for_a_while(exchange):
    client = Client(exchange)
    exchange.fault("refuse_logins", next=1, reason="maintenance")

    assert {"id": 1, "refused": "maintenance", "fenced": False} == client.login(1)
    assert 1 == client.login(1)["token"]
    client.close()


def test_executions_can_come_twice(exchange, client):
    exchange.fault("double", next=1)
    client.order("a", type="limit", price="1990")
    client.order("b", type="limit", price="1990")

    assert [1, 1, 2] == client.hear_executions(3)


def test_executions_can_be_lost_and_are_there_when_asked_for(exchange, client):
    exchange.fault("lose", next=1)
    client.order("a", type="limit", price="1990")
    client.order("b", type="limit", price="1990")
    assert [2] == client.hear_executions(1)

    client.ask("stream", after=0)

    assert [2, 1, 2] == client.hear_executions(3)


@pytest.mark.parametrize(("reverse", "order_"), [(False, [3, 1, 2]), (True, [3, 2, 1])])
def test_executions_can_be_held_back_and_come_late_or_in_reverse(exchange, client, reverse, order_):
    exchange.fault("hold", next=2)
    for name in ("a", "b", "c"):
        client.order(name, type="limit", price="1990")
    assert [3] == client.hear_executions(1)

    exchange.tell("release", reverse=reverse)

    assert order_ == client.hear_executions(3)


def test_what_is_held_back_is_not_told_to_who_asks_again(exchange, client):
    exchange.fault("hold", next=1)
    client.order("a", type="limit", price="1990")
    client.order("b", type="limit", price="1990")

    client.ask("stream", after=0)
    client.order("c", type="limit", price="1990")

    assert [2, 2, 3] == client.hear_executions(3)


# Its death.


@pytest.mark.parametrize(("when", "orders"), [("before", []), ("after", ["a"])])
def test_it_can_die_before_it_acts_or_after(exchange, client, when, orders):
    if when == "before":
        exchange.fault("die_before", next=1)
    else:
        exchange.fault("die_after", next=1)

    assert {"closed": ""} == client.answer(client.send("order", order=order("a")))
    assert 9 == exchange.ended()

    exchange.start()
    assert orders == [each["client_order_id"] for each in exchange.state()["orders"]]


def test_its_books_survive_its_kill(exchange, client):
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999", "2001", ask_size="1.4")
    client.order("a")
    client.order("b")
    client.order("bad", type="iceberg")
    client.ask("cancel", client_order_id="b")
    exchange.tell("foreign", account="demo", symbol="XAUUSD", side="sell", quantity="2", price="2000")
    exchange.tell("bust", trade_id="T-1")
    exchange.tell("adjust", account="demo", symbol="XAUUSD", quantity="1")
    before = {**exchange.state(), **dict.fromkeys(("requests", "is_connected", "is_streaming"))}

    exchange.restart()

    after = {**exchange.state(), **dict.fromkeys(("requests", "is_connected", "is_streaming"))}
    assert before == after
    newer = Client(exchange)
    newer.login(2)
    newer.ask("stream", after=0)
    assert list(range(1, before["sequence"] + 1)) == newer.hear_executions(before["sequence"])
    newer.close()


def test_a_command_that_was_cut_off_by_its_death_has_not_happened(exchange, client, tmp_path):
    client.order("a", type="limit", price="1990")
    exchange.kill()
    journal = tmp_path / "exchange.journal"
    journal.write_bytes(journal.read_bytes()[:-10])

    exchange.start()

    assert [] == exchange.state()["orders"]
    newer = Client(exchange)
    newer.login(2)
    newer.order("b", type="limit", price="1990")
    exchange.restart()
    assert ["b"] == [each["client_order_id"] for each in exchange.state()["orders"]]
    newer.close()


def test_without_a_journal_nothing_is_kept(forgetful):
    client = Client(forgetful)
    client.login(5)
    client.order("a")
    client.close()

    forgetful.restart()

    assert (-1, []) == (forgetful.state()["token"], forgetful.state()["orders"])


def test_sessions_can_be_cut_without_a_word(exchange, client):
    exchange.tell("disconnect")

    assert {"closed": ""} == client.answer(0)
    until(lambda: not exchange.state()["is_connected"], "it stays connected")
