"""The bench's own arithmetic: what counts as shown, and what does not."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.bench import calls, costs, memory, page, scaling
from tests.bench.calls import Added, in_turn
from tests.bench.memory import Sample
from tests.bench.peers import OURS, ROOT
from tests.bench.results import Bench, Machine, Race, Spread, spread, verdicts
from tests.bench.scaling import Grid, Size
from tests.bench.scenario import rows
from tests.bench.test_peers import result

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = Machine("a processor", 2, "Linux", "CPython", "abc1234", "2026-11-27", "pure Python", "pure Python")
GRID = Grid(
    bars=(100, 200, 400), plugins=(4, 8, 12), instruments=(1, 2, 4), at=200, largest=Size(9_000, 10, 20)
)


def race(ours: list[float], theirs: list[float], **more) -> Race:
    rounds = [[result(cpu=a), result("backtesting.py", cpu=b)] for a, b in zip(ours, theirs, strict=True)]
    return Race(**{"bars": 20, "gap": False, "rounds": rounds, "left_out": {}, "disagreements": [], **more})


def passed(bench: Bench) -> dict[str, bool | None]:
    return {verdict.what: verdict.passed for verdict in verdicts(bench)}


# The race.


def test_how_many_times_as_fast_is_asked_round_by_round():
    drifting = race([1.0, 2.0, 4.0], [2.0, 6.0, 10.0])

    assert Spread(2.5, 2.0, 3.0) == spread(drifting.times_as_fast("backtesting.py"))


def test_a_round_in_which_we_ran_several_times_counts_our_median():
    run = [result(cpu=1.0), result("backtrader", cpu=30.0), result(cpu=2.0), result(cpu=9.0)]

    assert [15.0] == Race(20, False, [run], {}, []).times_as_fast("backtrader")


@pytest.mark.parametrize(("seconds", "shown"), [(1.99, False), (2.0, True)])
def test_twice_as_fast_as_backtesting_is_twice(seconds, shown):
    found = passed(Bench(MACHINE, [race([1.0], [seconds])]))

    assert shown is found["20 bars: as fast as backtesting.py"]


def test_a_peer_that_was_left_out_is_not_measured_and_no_failure():
    found = passed(Bench(MACHINE, [race([1.0], [2.0], left_out={"backtrader": "there is no script"})]))

    assert found["20 bars: as fast as backtrader"] is None


def test_engines_that_disagree_fail_the_bench():
    found = passed(Bench(MACHINE, [race([1.0], [9.0], disagreements=["backtrader fills 1 times, not 2"])]))

    assert found["20 bars: fills and final equity"] is False


def test_speed_is_not_asked_of_bars_with_gaps():
    assert ["20 bars with gaps: fills and final equity"] == list(
        passed(Bench(MACHINE, [race([1], [1], gap=True)]))
    )


# A watched call.


@pytest.mark.parametrize(("bare", "shown"), [(calls.REFERENCE, True), (calls.REFERENCE * 1.01, False)])
def test_a_watched_call_is_judged_at_the_references_speed(bare, shown):
    added = Added(nanoseconds=600.0, low=500.0, high=700.0, bare=bare)

    assert [shown] == list(passed(Bench(MACHINE, added=added)).values())


def test_ways_are_measured_in_turn():
    order: list[str] = []

    seconds = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)

    assert ["a", "b"] * 3 == order
    assert [3, 3] == [len(each) for each in seconds.values()]


# Scaling.


def linear(size: Size) -> float:
    return 0.01 + size.bars * (2e-6 + 1e-6 * size.plugins + 5e-7 * size.instruments)


def measured(cost, levels=(1.0, 1.3, 0.9)) -> scaling.Scaling:
    return scaling.scaling(GRID, {size: [cost(size) * level for level in levels] for size in GRID.sizes})


def test_a_linear_cost_is_predicted_whatever_the_machine_does_between_rounds():
    assert pytest.approx(1.0) == measured(linear).over


def test_a_cost_of_plugins_times_instruments_is_over_the_prediction():
    found = measured(lambda size: linear(size) + size.bars * 1e-7 * size.plugins * size.instruments)

    assert found.over > scaling.MOST_OVER


def test_a_power_is_found_and_its_interval_closes_on_it():
    sizes = [100, 200, 400, 800]
    seconds = np.array([[level * each**1.5 for each in sizes] for level in (1.0, 2.0)])

    slope, within = scaling.power(sizes, seconds)

    assert pytest.approx(1.5) == slope
    assert pytest.approx(0.0, abs=1e-9) == within


def test_the_interval_of_a_power_is_students():
    """By hand: residuals 1, -2, 1 over x = -1, 0, 1 in logarithms; one degree of freedom."""
    seconds = np.array([[2.0**1, 2.0**0, 2.0**5]])

    slope, within = scaling.power([1, 2, 4], seconds)

    assert pytest.approx(2.0) == slope
    assert pytest.approx(12.7062 * math.sqrt(6 / 2), rel=1e-4) == within


def test_a_quadratic_cost_of_bars_is_not_shown_to_be_linear():
    found = passed(Bench(MACHINE, scaling=measured(lambda size: 1e-7 * size.bars**2)))

    assert found["cost grows with bars at most linearly"] is False
    assert found["cost grows with plugins at most linearly"] is True


def test_bars_of_several_instruments_come_side_by_side_and_trade_each():
    size = Size(bars=4000, instruments=2, plugins=8)

    outcome = scaling.run_of(size, list(rows(2000)))()

    alone = scaling.run_of(Size(2000, 1, 4), list(rows(2000)))()
    assert 2 * alone.fills == outcome.fills > 100


# Memory.


def samples(mb) -> list[Sample]:
    return [Sample(bars, bars // 20, mb(bars)) for bars in range(0, 100_001, 1000)]


def test_memory_that_grew_while_it_got_warm_is_flat():
    found = memory.memory(samples(lambda bars: 80 + min(bars, 29_000) / 1000))

    assert 0.0 == found.slope
    assert [True] == list(passed(Bench(MACHINE, memory=found)).values())


def test_memory_that_grows_with_every_bar_is_not():
    found = memory.memory(samples(lambda bars: 80 + 16e-6 * bars))

    assert pytest.approx(16.0) == found.slope
    assert [False] == list(passed(Bench(MACHINE, memory=found)).values())


def test_one_step_of_the_allocator_is_no_growth():
    found = memory.memory(samples(lambda bars: 80.0 + (bars > 90_000)))

    assert 0.0 == found.slope


# Costs.


def test_a_layer_is_what_it_adds():
    found = costs.layers(["made", "handled", "recorded"], [1.0, 3.0, 3.5], 1_000_000_000)

    assert [("made", 1.0), ("handled", 2.0), ("recorded", 0.5)] == [(e.name, e.nanoseconds) for e in found]


RAW = f"""\
<module> (runpy.py:1);main (x.py:2) 7
<module> (x.py:3);fold ({ROOT}/tests/bench/engines.py:4);Engine.handle ({ROOT}/core/nicegold/engine.py:5) 4
<module> (x.py:3);fold ({ROOT}/tests/bench/engines.py:4);Engine.handle ({ROOT}/core/nicegold/engine.py:6) 2
<module> (x.py:3);fold ({ROOT}/tests/bench/engines.py:4) 1
<module> (x.py:3);fold ({ROOT}/tests/bench/engines.py:4);on_bar (<on_bar>:7);on_bar (<on_bar>:7) 3
"""


def test_a_look_counts_once_for_the_function_it_saw_and_once_for_each_that_waits():
    found = costs.spots(costs.parsed(RAW))

    fold, handle = "tests/bench/engines.py: fold", "core/nicegold/engine.py: Engine.handle"
    assert [(handle, 0.6, 0.6), ("<on_bar>: on_bar", 0.3, 0.3), (fold, 0.1, 1.0)] == [
        (spot.function, spot.own, spot.whole) for spot in found
    ]


# The page.


def test_the_page_is_what_its_results_say():
    """`python -m tests.bench.run --page` writes it again when only words have changed."""
    bench = msgspec.json.decode((DOCS / "performance.json").read_bytes(), type=Bench)

    assert page.page(bench) == (DOCS / "performance.md").read_text()


def test_the_page_says_who_is_left_out_and_what_differs():
    found = page.race(
        race(
            [1.0],
            [2.0],
            left_out={"backtrader": "there is no x"},
            disagreements=["backtesting.py fills once"],
        )
    )

    assert "backtrader is left out: there is no x." in found
    assert "**backtesting.py fills once.**" in found
    assert OURS in found
