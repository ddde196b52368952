"""The pages: all that is in the result is on them, safely, and nothing comes from a network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nicegold import Source
from nicegold_ops.report.statistics import Statistics, statistics_of
from nicegold_ops.sweep.drawing import Axis
from nicegold_ops.sweep.folds import Lengths, folds_of
from nicegold_ops.sweep.heat import heats
from nicegold_ops.sweep.luck import Luck
from nicegold_ops.sweep.page import page_of, walk_page_of
from nicegold_ops.sweep.result import Row, SweepResult
from nicegold_ops.sweep.stability import in_words, steadiest
from nicegold_ops.sweep.walk import Drift, Step, WalkResult

LUCK = Luck(trials=8, earlier=2, elsewhere=0, sharpe=1.5, expected_sharpe=1.0, deflated_sharpe=0.8)


def statistics(sharpe: float | None) -> Statistics:
    empty = statistics_of(100.0, {1: 101.0, 2: 102.0}, [], max_drawdown=0.1, exposure=0.5, traded=0.0)
    return replace(empty, sharpe=sharpe)


def row(number: int, at: tuple[int, ...], values: tuple[str, ...], sharpe: float | None, **other: Any) -> Row:
    figures = {"neighbours": None, "neighbours_tried": 0, "halted": "", "failed": "", "fingerprint": "f"}
    known = {"statistics": None if "failed" in other else statistics(sharpe)}
    return Row(number=number, at=at, values=values, **{**figures, **known, **other})


def result(rows: list[Row], **parameters: tuple[str, ...]) -> SweepResult:
    return SweepResult(
        configuration=Path("gold.toml"),
        strategy="ma_cross",
        sources={"gold": Source("/data/bars.csv", "d")},
        currency="USD",
        parameters=parameters,
        metric="sharpe",
        asked=len(rows),
        rows=rows,
        luck=LUCK,
        command="nicegold backtest --set plugins.cross.fast=2",
    )


@pytest.fixture
def two() -> SweepResult:
    rows = [
        row(3, (1, 0), ("4", "6"), 1.5, neighbours=0.2, neighbours_tried=2),
        row(1, (0, 0), ("2", "6"), 0.5, neighbours=0.9, neighbours_tried=2, halted="stop: too deep"),
        row(2, (0, 1), ("2", "9"), -0.1, neighbours=1.0, neighbours_tried=2),
        row(4, (1, 1), ("4", "9"), None, failed="<script>alert('a plugin')</script>"),
    ]
    return result(rows, fast=("2", "4"), slow=("6", "9"))


def test_a_heat_map_has_a_cell_for_each_pair_of_values(two):
    [heat] = [each for each in heats(two) if each.figure == "sharpe"]

    assert (0, 1) == (heat.x, heat.y)
    assert [[0.5, 1.5], [-0.1, None]] == heat.cells


def test_of_more_than_two_parameters_each_pair_is_mapped_by_the_best_and_by_the_median():
    at = [(x, y, z) for x in range(2) for y in range(2) for z in range(3)]
    rows = [row(n, each, tuple(map(str, each)), float(each[0] + each[2] ** 2)) for n, each in enumerate(at)]

    found = heats(result(rows, a=("0", "1"), b=("0", "1"), c=("0", "1", "2")))

    ofs = {(each.x, each.y, each.reduction): each.cells for each in found if each.figure == "sharpe"}
    assert 6 == len(ofs)
    assert [[4.0, 5.0], [4.0, 5.0]] == ofs[0, 1, "best"]
    assert [[1.0, 2.0], [1.0, 2.0]] == ofs[0, 1, "median"]


def test_the_best_of_a_drawdown_is_the_smallest():
    rows = [
        replace(
            row(n, (0, 0, n), ("0", "0", str(n)), 1.0),
            statistics=replace(statistics(1.0), max_drawdown=0.1 * (n + 1)),
        )
        for n in range(2)
    ]

    found = heats(result(rows, a=("0",), b=("0",), c=("0", "1")))

    assert [[0.1]] == next(
        each.cells
        for each in found
        if (each.figure, each.x, each.y, each.reduction) == ("max_drawdown", 0, 1, "best")
    )


def test_one_parameter_is_one_row():
    rows = [row(n, (n,), (str(n),), float(n)) for n in range(3)]

    assert [[0.0, 1.0, 2.0]] == heats(result(rows, a=("0", "1", "2")))[0].cells


def test_a_lonely_peak_is_called_one(two):
    said = in_words(two)

    assert "The 2 trials next to the best have a median Sharpe of 0.20, it has 1.50: a lonely peak." in said
    assert "The best neighbours are those of fast=2, slow=9: 1.00." in said
    assert two.rows[2] is steadiest(two)


def test_a_page_needs_no_network_and_shows_what_a_plugin_says_as_text(two):
    page = page_of(two)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert [] == re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)""", page)
    assert "default-src 'none'" in page


def test_a_page_says_how_much_is_luck_and_how_to_run_the_best_again(two):
    page = page_of(two)

    assert LUCK.sentence in page
    assert "nicegold backtest --set plugins.cross.fast=2 --report report.html" in page


def test_the_data_of_the_heat_map_are_on_the_page(two):
    data = re.search(r'id="heat-data">(.*?)</script>', page_of(two), re.DOTALL)

    assert data
    found = json.loads(data[1])
    assert [1, 0] == found["best"]
    assert [[0.5, 1.5], [-0.1, None]] == found["heats"][0]["cells"]


def test_a_sweep_of_which_every_trial_failed_has_a_page(two):
    failed = [row(1, (0,), ("2",), None, failed="no luck")]

    page = page_of(replace(two, rows=failed, luck=None, command="", parameters={"fast": ("2",)}))

    assert "no luck" in page


@pytest.fixture
def walked() -> WalkResult:
    day = 86_400 * 10**9
    folds = folds_of(0, 30 * day, Lengths(in_sample=10 * day, out_of_sample=10 * day))
    steps = [
        Step(
            fold=fold,
            at=at,
            values=None if at is None else (str(at[0]),),
            in_sample=None if at is None else statistics(2.0),
            out_of_sample=None if at is None else statistics(-1.0),
            halted="",
            failed="",
            command="",
        )
        for fold, at in zip(folds, [(1,), None], strict=True)
    ]
    return WalkResult(
        configuration=Path("gold.toml"),
        strategy="ma_cross",
        currency="USD",
        cash=100.0,
        parameters={"cross.fast": ("0", "1")},
        metric="sharpe",
        trials=4,
        failures=0,
        steps=steps,
        closes={10: 101.0, 11: 99.0, 12: 104.0},
        total_return=0.04,
        annual_return=None,
        sharpe=1.2,
        sortino=None,
        max_drawdown=0.02,
        trades=5,
        efficiency=0.5,
        drift=[Drift("cross.fast", 0, ["1"])],
        luck=LUCK,
    )


def test_a_walk_has_its_curve_its_folds_and_its_drift(walked):
    page = walk_page_of(walked)

    [points] = re.findall(r'polyline class="line" points="([^"]*)"', page)
    assert 4 == len(points.split())
    assert "flat: no trial in sample could be ranked" in page
    assert "0 changes in 1 folds: 1" in page
    assert "a day earned 50% of what it earned in sample" in page
    assert [] == re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)""", page)


def test_a_walk_that_traded_nothing_has_a_page(walked):
    page = walk_page_of(replace(walked, steps=[], closes={}, total_return=None, efficiency=None))

    assert "Nothing was traded out of sample." in page


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 10.0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        ([99_000.0, 131_000.0], [100_000.0, 110_000.0, 120_000.0, 130_000.0]),
    ],
)
def test_an_axis_is_labelled_at_round_numbers(values, ticks):
    assert ticks == Axis.of(values).ticks


def test_an_axis_of_one_value_has_room():
    axis = Axis.of([5.0, 5.0])

    assert axis.low < 5.0 < axis.high
    assert 50.0 == axis.across(5.0)
