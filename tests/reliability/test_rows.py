"""The rows of the acceptance table that a simulated world can show, by their ids."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from nicegold import Absent, Fill, Halted, Order, Side, Unknown
from nicegold_ops.simulate.campaign import BARS_OF_CRASHES, lived, points_of
from nicegold_ops.simulate.disk import Disk
from nicegold_ops.simulate.invariants import Violated
from nicegold_ops.simulate.plan import SECOND, Plan, Trouble, planned
from nicegold_ops.simulate.vfs import VfsUnavailable
from nicegold_ops.simulate.world import World
from tests.reliability.identity import differing

pytestmark = pytest.mark.slow

CALM = Plan(seed=1, bars=30)


@pytest.fixture(autouse=True, scope="module")
def _crash_disk():
    try:
        Disk(0).close()
    except VfsUnavailable as error:
        pytest.skip(str(error))


def troubled(*troubles: Trouble, seed: int = 1, bars: int = 30, fool: bool = False) -> World:
    """A world with *troubles*, lived through: `run` raises where an invariant does not hold."""
    world = World(Plan(seed, bars, tuple(sorted(troubles)), fool=fool))
    world.run()
    struck = {where for where, _ in world.struck}
    assert struck == {each.where for each in troubles}, "the trouble has not come about"
    return world


def recorded(world: World, kind: type[Any]) -> list[Any]:
    """The events of one *kind* of the last life."""
    return [event for event in world.checks.lived if isinstance(event, kind)]


def told(world: World, *words: str) -> list[str]:
    """The lines of the story in which all *words* are."""
    return [str(line) for line in world.story.lines if all(word in str(line) for word in words)]


def test_a01_a_crash_at_any_operation_loses_and_doubles_nothing():
    points = list(points_of(1))

    findings = [lived(Plan(1, BARS_OF_CRASHES, (point,)))[1] for point in points[::12]]

    assert len(points) > 100
    assert [None] * len(findings) == findings


def test_a02_a_crash_in_the_recovery_from_a_crash_loses_and_doubles_nothing():
    first = Trouble("disk", "power", 90, life=1)

    for again in range(5, 60, 9):
        second, third = (Trouble("disk", "power", again, life=life) for life in (2, 3))
        _, found = lived(Plan(1, BARS_OF_CRASHES, (first, second, third)))
        assert found is None


@pytest.mark.parametrize("luck", range(4))
def test_a04_whatever_becomes_of_unsynced_writes_the_journal_is_what_was_recorded(luck):
    troubles = (Trouble("disk", "power", 71, life=2), Trouble("disk", "power", 83, life=1))

    world, found = lived(Plan(2, 30, troubles, luck, pace=SECOND))

    assert found is None
    assert 3 == world.lives


@pytest.mark.parametrize("effect", ["error", "short"])
@pytest.mark.parametrize("at", [60, 90, 120])
def test_a07_after_an_error_of_the_disk_nothing_is_acknowledged(effect, at):
    world, found = lived(Plan(1, 30, (Trouble("disk", effect, at, life=1),)))

    assert found is None
    assert world.lives >= 1


def test_a10_a_request_that_never_arrived_is_sent_once_more_with_its_id():
    world = troubled(Trouble("order", "lose request", 3))

    lost = recorded(world, Absent)
    assert 1 == len(lost)
    assert 1 == world.exchange.arrivals[lost[0].order_id]
    assert [lost[0].order_id] == [event.order_id for event in recorded(world, Unknown)]


@pytest.mark.parametrize("what", ["lose answer", "cut", "garble"])
def test_a11_an_order_whose_answer_is_lost_is_found_and_not_sent_again(what):
    world = troubled(Trouble("order", what, 3))

    assert [] == recorded(world, Absent)
    doubted = recorded(world, Unknown)[0].order_id
    assert 1 == world.exchange.arrivals[doubted]
    assert told(world, "engine", "Accepted", f"order_id={doubted} ")


def test_a11_a_request_that_arrives_late_is_taken_by_nobody():
    world = troubled(Trouble("order", "hold", 3, amount=8 * SECOND), seed=3)

    assert set(world.exchange.arrivals.values()) == {1}


def test_a12_while_the_exchange_cannot_be_asked_a_doubt_stands_and_blocks():
    silence = [Trouble("question", "silence", number) for number in range(2, 40)]
    world = troubled(Trouble("order", "lose answer", 2), *silence, seed=4)

    doubted = recorded(world, Unknown)[0].order_id
    assert told(world, "Vetoed", f"{doubted} is in doubt") or told(
        world, "Vetoed", "have not been found to agree"
    )
    assert world.checks.alarms >= 1


@pytest.mark.parametrize("what", ["double", "lose", "late"])
def test_a13_however_a_trade_is_told_it_is_booked_once(what):
    troubles = [Trouble("execution", what, number, amount=3 * SECOND) for number in (2, 4, 6, 7)]
    world = troubled(*troubles)

    booked = Counter(event.trade_id for event in recorded(world, Fill))
    assert booked.keys() == world.exchange.fills.keys()


def test_a13_a_trade_that_is_taken_back_is_out_of_the_books():
    world = troubled(Trouble("step", "bust", 20))

    assert 1 == len(world.exchange.busted)
    assert world.checks.ledger.busted == world.exchange.busted


def test_a14_a_trade_of_another_terminal_is_booked_for_no_strategy():
    world = troubled(Trouble("step", "foreign", 10))

    foreign = [event for event in recorded(world, Fill) if event.order_id.startswith("X-")]
    assert [""] == [event.strategy for event in foreign]
    assert told(world, "exchange", "Fill", foreign[0].trade_id)


@pytest.mark.parametrize("what", ["hold", "lose answer", "lose request", "cut"])
def test_a15_what_becomes_of_a_change_the_exchange_decides(what):
    troubled(*(Trouble("change", what, number, amount=3 * SECOND) for number in (1, 2, 3)), seed=5)


def test_a16_without_a_connection_nothing_new_leaves_and_the_books_are_compared_before_it_does():
    world = troubled(Trouble("step", "outage", 10, amount=15 * SECOND))

    began = next(line.time for line in world.story.lines if "step 10: outage" in line.text)
    during = [line for line in world.story.lines if began < line.time < began + 15 * SECOND]
    assert during
    assert [] == [line for line in during if line.who == "exchange" and line.text.startswith("Accepted")]


def test_a17_a_position_that_nobody_can_explain_keeps_all_orders_back():
    world = World(Plan(1, 30, (Trouble("step", "kill", 8),)))
    # Another night: somebody has moved lots without a trade.
    world.later(7 * SECOND, lambda: move(world, "0.40"))
    world.later(60 * SECOND, lambda: move(world, "-0.40"))

    world.run()

    assert told(world, "engine", "Break", "kind=position", "about=XAUUSD")
    assert told(world, "Vetoed", "position XAUUSD: we have")


def move(world: World, lots: str) -> None:
    held, cost = world.exchange.positions.get("XAUUSD", (Decimal(0), Decimal(0)))
    world.exchange.positions["XAUUSD"] = (held + Decimal(lots), cost)


@pytest.mark.parametrize("clock", ["our clock", "their clock"])
@pytest.mark.parametrize("seconds", [-3600, -1, 1, 3600])
def test_a18_a_clock_that_is_set_loses_and_doubles_nothing(clock, seconds):
    world = troubled(
        Trouble("step", clock, 6, amount=seconds * SECOND),
        Trouble("step", "power", 12),
        Trouble("step", "kill", 20),
    )

    assert 3 == world.lives


def test_a50_a_seed_gives_the_same_bytes_under_any_hash_seed():
    assert [] == differing(4, workers=1)


def test_i7_once_halted_nothing_that_adds_risk_works_on():
    world = troubled(Trouble("step", "halt", 12), Trouble("change", "lose request", 1), seed=7)

    assert 1 == len(recorded(world, Halted))
    working = [each for each in world.exchange.orders if each.is_working and not each.reduce_only]
    assert [] == working


@pytest.mark.parametrize("seed", range(1, 9))
def test_i16_a_plugin_that_fails_all_the_time_changes_nothing_for_the_others(seed):
    with_fool, without = (troubled(seed=seed, fool=fool) for fool in (True, False))

    orders, fills = ([recorded(each, kind) for each in (with_fool, without)] for kind in (Order, Fill))
    assert with_fool.checks.alarms > without.checks.alarms
    assert orders[0] == orders[1]
    assert fills[0] == fills[1]


def test_the_exchange_in_the_world_doubles_what_is_sent_twice():
    """What nobody guards against must be seen: it keeps no list of ids that it has had."""
    world = World(CALM)
    world.exchange.quote("XAUUSD", Decimal(2000), Decimal(9))
    order = Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"), id="a-1")
    session = world.exchange.log_in()

    world.exchange.take(order, session)
    with pytest.raises(Violated, match="a-1 is at the exchange twice"):
        world.exchange.take(order, session)

    assert 2 == world.exchange.arrivals["a-1"]


def test_a_drawn_plan_is_the_same_each_time_and_another_for_each_seed():
    assert planned(7) == planned(7)
    assert 50 == len({planned(seed) for seed in range(50)})


def test_what_strikes_does_not_move_what_is_left_out():
    """So that a plan can be shrunk: the market is the same with and without a trouble."""
    plan = planned(Random(3).randint(1, 100))
    worlds = [World(plan), World(Plan(plan.seed, plan.bars))]

    assert worlds[0].calm_at == worlds[1].calm_at
