"""The more is tried, the better the best looks by chance."""

from __future__ import annotations

import random
from statistics import mean, stdev

import pytest

from nicegold_ops.report.significance import expected_best_sharpe
from nicegold_ops.sweep.luck import luck_of


def returns_of(mean: float, seed: int = 1, days: int = 500) -> list[float]:
    drawn = random.Random(seed)
    return [drawn.gauss(mean, 0.01) for _ in range(days)]


def day_sharpe(returns: list[float]) -> float:
    return mean(returns) / stdev(returns)


def number(value: float | None) -> float:
    assert value is not None
    return value


@pytest.fixture(scope="module")
def unskilled() -> list[list[float]]:
    return [returns_of(0.0, seed) for seed in range(200)]


def test_the_best_of_many_without_skill_is_not_believed(unskilled):
    sharpes = [day_sharpe(each) for each in unskilled]
    best = max(unskilled, key=day_sharpe)

    luck = luck_of(best, sharpes, 252, trials=200)

    assert number(luck.sharpe) > 1.0
    assert number(luck.deflated_sharpe) < 0.9
    assert "too little to trade on" in luck.sentence


def test_skill_is_believed_among_as_many(unskilled):
    sharpes = [day_sharpe(each) for each in unskilled]

    luck = luck_of(returns_of(0.003), sharpes, 252, trials=200)

    assert number(luck.deflated_sharpe) > 0.95
    assert "too little" not in luck.sentence


def test_what_chance_shows_is_annualized(unskilled):
    sharpes = [day_sharpe(each) for each in unskilled]

    luck = luck_of(unskilled[0], sharpes, 252, trials=200)

    assert expected_best_sharpe(200, stdev(sharpes) ** 2) * 252**0.5 == pytest.approx(luck.expected_sharpe)
    assert day_sharpe(unskilled[0]) * 252**0.5 == pytest.approx(luck.sharpe)


def test_earlier_trials_count(unskilled):
    sharpes = [day_sharpe(each) for each in unskilled]

    alone = luck_of(unskilled[3], sharpes, 252, trials=200)
    after = luck_of(unskilled[3], sharpes, 252, trials=200, earlier=300, elsewhere=500)

    assert 1000 == after.trials
    assert number(after.expected_sharpe) > number(alone.expected_sharpe)
    assert number(after.deflated_sharpe) < number(alone.deflated_sharpe)


def test_one_trial_is_no_choice_to_judge():
    luck = luck_of(returns_of(0.001), [0.1], 252, trials=1)

    assert (None, None) == (luck.expected_sharpe, luck.deflated_sharpe)
    assert "After one trial there is no Sharpe ratio to judge." == luck.sentence
