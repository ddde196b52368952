"""Blocks are drawn as the papers say: of the right length, from anywhere, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold_ops.report.bootstrap import block_length, resampled


def autoregressive(size: int, memory: float, seed: int = 0) -> list[float]:
    """Each value remembers a part of the one before it."""
    draw = np.random.RandomState(seed).standard_normal(size + 100)
    for number in range(1, len(draw)):
        draw[number] += memory * draw[number - 1]
    return [float(each) for each in draw[100:]]


def rows_of(values: list[float], resamples: int, block: float, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(resampled(values, resamples, block, np.random.default_rng(seed))))


def test_the_length_of_blocks_is_what_arch_publishes():
    # bashtage/arch, tests/bootstrap/test_block_length.py, the same draws.
    assert block_length(autoregressive(10_000, 0.3)) == pytest.approx(13.635665, rel=1e-6)


def test_a_longer_memory_needs_longer_blocks():
    lengths = [block_length(autoregressive(2500, memory)) for memory in (0.0, 0.3, 0.6, 0.9)]

    assert sorted(lengths) == lengths
    assert lengths[0] < 4
    assert lengths[-1] > 30


@pytest.mark.parametrize("values", [[0.0] * 50, [0.01] * 20, [0.1, -0.1], [0.01]])
def test_what_says_nothing_of_its_memory_is_drawn_day_by_day(values):
    assert 1.0 == block_length(values)


@given(values=st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=80))
def test_a_block_is_at_least_a_day_and_at_most_a_third_of_the_run(values):
    assert 1.0 <= block_length(values) <= max(1.0, -(-len(values) // 3))


@settings(max_examples=30)
@given(size=st.integers(1, 300), resamples=st.integers(1, 600), block=st.floats(1.0, 50.0))
def test_rows_are_as_long_as_the_run_and_hold_only_its_days(size, resamples, block):
    rows = rows_of([float(day) for day in range(size)], resamples, block)

    assert (resamples, size) == rows.shape
    assert set(rows.flat) <= set(range(size))


def test_the_day_after_follows_but_where_a_block_begins():
    size, block = 1000, 20.0

    rows = rows_of([float(day) for day in range(size)], 500, block)

    follows = (rows[:, 1:] - rows[:, :-1]) % size == 1
    # By chance a new block begins just there, once in 1000.
    assert follows.mean() == pytest.approx(1 - 1 / block + 1 / block / size, abs=0.001)


def test_each_day_is_drawn_as_often_in_each_place():
    size = 10

    rows = rows_of([float(day) for day in range(size)], 20_000, 4.0)

    shares = np.array([np.bincount(column.astype(int), minlength=size) for column in rows.T]) / 20_000
    # 2,000 each, give or take 42: five times that.
    assert np.abs(shares - 1 / size).max() < 0.011


def test_rows_do_not_follow_each_other():
    size = 1000

    rows = rows_of([float(day) for day in range(size)], 2000, 200.0)

    assert ((rows[1:, 0] - rows[:-1, -1]) % size == 1).mean() < 0.01


def test_the_same_seed_draws_the_same_and_another_something_else():
    values = autoregressive(300, 0.2)

    assert (rows_of(values, 50, 5.0, seed=7) == rows_of(values, 50, 5.0, seed=7)).all()
    assert (rows_of(values, 50, 5.0, seed=7) != rows_of(values, 50, 5.0, seed=8)).any()


def test_blocks_keep_the_memory_that_single_days_lose():
    values = autoregressive(1000, 0.6)

    in_blocks, in_days = rows_of(values, 200, 40.0), rows_of(values, 200, 1.0)

    assert memory_of(in_blocks) == pytest.approx(memory_of(np.array([values])), abs=0.05)
    assert memory_of(in_days) == pytest.approx(0.0, abs=0.02)


def memory_of(rows: np.ndarray) -> float:
    """The mean correlation of a value with the next."""
    return float(np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in rows]))
