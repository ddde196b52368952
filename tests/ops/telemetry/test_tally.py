from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.tally import BOUNDS, Totals, fold

DURATIONS = st.integers(min_value=0, max_value=20_000_000_000)
OUTCOMES = st.sampled_from(sorted(flight.OUTCOMES))


def records(calls: list[tuple[int, int]], first: int = 1) -> bytes:
    """Records of (outcome, duration in ns), a second after another."""
    return b"".join(
        flight.RECORD.pack(outcome << 8, 0, float(sequence), sequence + duration / 1e9, sequence)
        for sequence, (outcome, duration) in enumerate(calls, first)
    )


def test_a_call_of_exactly_a_bound_is_at_most_that_bound():
    totals = fold(records([(flight.SUCCESS, 25_000), (flight.SUCCESS, 25_001)]))

    place = BOUNDS.index(25_000)
    assert (1, 1) == totals.buckets[place : place + 2]


def test_slots_that_were_never_written_count_for_nothing():
    assert 1 == fold(records([(flight.ERROR, 7)]) + bytes(3 * flight.RECORD.size)).calls
    assert Totals() == fold(bytes(3 * flight.RECORD.size))
    assert Totals() == fold(b"")


def test_the_last_success_is_not_the_last_call():
    second = 10**9
    totals = fold(
        records(
            [
                (flight.SUCCESS, second),
                (flight.SUCCESS, 2 * second),
                (flight.ERROR, second),
                (flight.VETOED, 3 * second),
            ]
        )
    )

    assert (4.0, 7.0) == (totals.succeeded, totals.ended)


@given(st.lists(st.tuples(OUTCOMES, DURATIONS), max_size=60), st.integers(0, 60))
def test_two_parts_add_up_to_the_whole(calls, cut):
    cut = min(cut, len(calls))
    whole = records(calls)

    first = fold(whole[: cut * flight.RECORD.size])
    assert fold(whole) == first + fold(whole, first.sequence)


@given(st.lists(st.tuples(OUTCOMES, DURATIONS), min_size=1, max_size=60))
def test_nothing_is_lost(calls):
    totals = fold(records(calls))

    assert len(calls) == totals.calls == totals.success + totals.vetoed + totals.error
    assert sum(duration for _, duration in calls) == totals.nanoseconds


@given(st.lists(st.integers(101, 5_000_000_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.99]))
def test_a_quantile_lies_between_the_bounds_around_the_true_one(durations, share):
    seconds = fold(records([(flight.SUCCESS, each) for each in durations])).quantile(share)

    true = sorted(durations)[math.ceil(share * len(durations)) - 1] / 1e9
    assert true / 1.28 <= seconds <= true * 1.28


def test_quantiles_of_no_calls_and_of_endless_ones():
    assert 0.0 == Totals().quantile(0.5)
    assert 5.0 == fold(records([(flight.SUCCESS, 60 * 10**9)])).quantile(0.5)


def test_calls_are_taken_to_be_spread_evenly_between_two_bounds():
    totals = fold(records([(flight.SUCCESS, 2_600)] * 100))

    assert pytest.approx(2.825e-6) == totals.quantile(0.5)
