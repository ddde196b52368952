from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.cycles import Count, Cycle, Cycles
from nicegold_ops.telemetry.flight import RECORD, FlightRecorder
from nicegold_ops.telemetry.watch import LAP, Watch

#: ns that each look at the clock takes.
LOOK = 10


class Watched:
    """A watch, whose clock goes on by 10 ns at each look."""

    def __init__(self, folder: Path) -> None:
        self.cause = [0]
        looks = count(1)
        self.recorder = FlightRecorder(folder / "flight", "run", wall=lambda: 0, clock=lambda: 0.0)
        self.watch = Watch(self.recorder, self.cause, lambda: next(looks) * LOOK / 1e9)
        self.on_bar = self.watch.observe("on_bar", "cross", lambda bar: None)
        self.check = self.watch.observe("check_order", "limit", lambda order: order)

    def cycles(self, **terms: float) -> Cycles:
        return Cycles(self.watch, self.recorder.utc, **terms)  # type: ignore[arg-type]

    def bars(self, number: int) -> None:
        """So many inputs, each of which is one call of `on_bar`."""
        for _ in range(number):
            self.cause[0] += 1
            self.on_bar("bar")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.recorder.close()


def test_a_cycle_that_is_wanted_has_its_calls_in_their_order(watched):
    cycles = watched.cycles()
    watched.bars(2)
    watched.check("too large")
    watched.bars(1)

    [cycle] = cycles.take(3, [2])

    assert 2 == cycle.cause
    assert [("cross", "success", LOOK), ("limit", "vetoed", LOOK)] == [
        (call.plugin, call.outcome, call.duration) for call in cycle.calls
    ]
    assert cycle.calls[0].start < cycle.calls[1].start


def test_what_is_not_over_is_read_when_it_is(watched):
    cycles = watched.cycles()
    watched.bars(5)

    assert [4, 1] == [each.cause for each in cycles.take(4, [4, 1])][::-1]
    watched.check("too large")
    assert [("cross", 5), ("limit", 5)] == [
        (call.plugin, call.cause) for each in cycles.take(5, [5]) for call in each.calls
    ]


def test_each_call_is_read_once(watched):
    cycles = watched.cycles(every=1)
    read = []
    for _ in range(50):
        watched.bars(97)
        read += [cycle.cause for cycle in cycles.take(watched.cause[0])]

    assert list(range(1, 50 * 97 + 1)) == read
    assert [] == cycles.take(watched.cause[0], thoroughly=True)


@pytest.mark.parametrize("laps", [1, 2, 9])
def test_a_ring_that_was_full_in_between_is_read_from_its_laps(watched, laps):
    cycles = watched.cycles(every=1)
    cycles.take(0)
    watched.bars(laps * LAP + 5)

    assert laps * LAP + 5 == len(cycles.take(watched.cause[0]))
    assert 0 == cycles.missed


def test_what_was_written_over_before_it_was_read_is_counted(watched):
    cycles = watched.cycles(every=1)
    cycles.take(0)
    watched.bars(40 * LAP)

    read = cycles.take(watched.cause[0])

    assert 40 * LAP == len(read) + cycles.missed
    assert 0 < cycles.missed
    [whole] = cycles.counts()
    assert (1, 40 * LAP, cycles.missed) == (whole.first, whole.last, whole.missed)


def test_one_in_so_many_is_kept_and_all_that_broke_their_budget(watched):
    slow = watched.watch.observe("on_quote", "slow", lambda: watched.on_bar("bar"))
    cycles = watched.cycles(every=10, budget=2 * LOOK / 1e9)
    for number in range(25):
        watched.bars(1)
        if number == 16:
            slow()

    assert [10, 17, 20] == [cycle.cause for cycle in cycles.take(25)]


def test_a_count_has_all_calls_and_the_digest_of_their_records(watched, tmp_path):
    cycles = watched.cycles()
    watched.bars(3)
    cycles.take(2)
    watched.check("too large")
    cycles.take(3)

    counts = {each.hook: each for each in cycles.counts()}

    content = (tmp_path / "flight").read_bytes()
    # After the recorder's title and that of its first ring.
    begin = flight.PAGE + flight.FIRST
    records = content[begin : begin + 3 * RECORD.size]
    assert (
        Count("on_bar", "cross", 1, 3, 0, 3, 0, 0, 3 * LOOK, hashlib.sha256(records).hexdigest())
        == (counts["on_bar"])
    )
    assert (1, 1, 1, 0) == (
        counts["check_order"].first,
        counts["check_order"].last,
        counts["check_order"].vetoed,
        counts["check_order"].success,
    )
    assert [] == cycles.counts()
    watched.bars(1)
    cycles.take(4)
    assert [(4, 4)] == [(each.first, each.last) for each in cycles.counts()]


def test_what_is_called_on_other_threads_is_counted_and_in_no_cycle(watched):
    health = watched.watch.observe("health", "cross", lambda: None)
    cycles = watched.cycles()
    watched.bars(1)
    health()

    assert [Cycle(1, [])] == [Cycle(each.cause, []) for each in cycles.take(1, [1])]
    assert ["on_bar"] == [call.hook for call in watched.cycles().take(1, [1])[0].calls]
    assert {"on_bar", "health"} == {each.hook for each in cycles.counts()}


def test_a_cycle_without_calls_is_kept_where_it_is_wanted(watched):
    assert [Cycle(7, [])] == watched.cycles().take(7, [7])
