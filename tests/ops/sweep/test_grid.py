"""What `--over` says: values kept exactly, combinations in order, and what cannot be meant refused."""

from __future__ import annotations

import pytest

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.sweep.condition import Condition
from nicegold_ops.sweep.grid import Grid, Parameter


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("cross.fast=5:20:5", ("5", "10", "15", "20")),
        ("cross.fast=5:22:5", ("5", "10", "15", "20")),
        ("cross.fast=20:5:-5", ("20", "15", "10", "5")),
        ("cross.quantity=0.10:0.30:0.1", ("0.10", "0.20", "0.30")),
        ("cross.quantity=0.1:0.4:0.1", ("0.1", "0.2", "0.3", "0.4")),
        ("cross.fast=7", ("7",)),
        ("cross.timeframe=M5, M15", ("M5", "M15")),
        ('stop.hours=["08:00:00", "a,b"]', ('"08:00:00"', '"a,b"')),
        ("cross.windows=[[1, 2], [3]]", ("[1, 2]", "[3]")),
    ],
)
def test_values_are_a_range_with_both_ends_a_list_or_toml(option, values):
    assert values == Parameter.parse(option).values


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cross.fast", "plugins.cross.fast"),
        ("plugins.cross.fast", "plugins.cross.fast"),
        ("run.cash", "run.cash"),
        ("instruments.XAUUSD.spread", "instruments.XAUUSD.spread"),
        ('instruments."XAU/USD".spread', 'instruments."XAU/USD".spread'),
        ('"gold-cross".fast', "plugins.gold-cross.fast"),
    ],
)
def test_a_key_may_begin_with_the_plugin(name, key):
    assert key == Parameter.parse(f"{name}=1,2").key


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("cross.fast", "write KEY=VALUES"),
        ("cross.fast=", "write KEY=VALUES"),
        ("fast=1,2", "this is no setting"),
        ("a b=1", "this is not a key"),
        ("cross.fast=1,,2", "has an empty value"),
        ("cross.fast=1,2,1", "has 1 twice"),
        ("cross.fast=1:5:0", "steps of 0 do not lead from 1 to 5"),
        ("cross.fast=1:5:-1", "steps of -1 do not lead from 1 to 5"),
        ("cross.fast=0:9999999:1", "are 10,000,000 values"),
        ("cross.fast=[1, 2", "is not a list"),
        ("cross.fast=[]", "the list is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(option, reason):
    with pytest.raises(ConfigurationError, match=reason):
        Parameter.parse(option)


def test_a_parameter_is_given_once():
    with pytest.raises(ConfigurationError, match=r"--over cross\.fast is given twice"):
        Grid.parse(["cross.fast=1,2", "plugins.cross.fast=3"])


def test_all_combinations_come_in_order_and_as_options():
    grid = Grid.parse(["cross.fast=1,2", "cross.slow=10,20"])

    found = grid.combinations()

    assert [(0, 0), (0, 1), (1, 0), (1, 1)] == found
    assert ("plugins.cross.fast=2", "plugins.cross.slow=10") == grid.overrides(found[2])


def test_a_condition_leaves_combinations_out():
    grid = Grid.parse(["cross.fast=5,20", "cross.slow=10,20"])

    found = grid.combinations(Condition("cross.fast < cross.slow", ["cross.fast", "cross.slow"]))

    assert [("5", "10"), ("5", "20")] == list(map(grid.values, found))


def test_a_condition_that_leaves_nothing_is_an_error():
    grid = Grid.parse(["cross.fast=5,20"])

    with pytest.raises(ConfigurationError, match=r'--where "cross.fast > 20" holds for none'):
        grid.combinations(Condition("cross.fast > 20", ["cross.fast"]))


def test_a_sample_is_a_subset_that_its_seed_repeats():
    grid = Grid.parse(["cross.fast=1:30:1", "cross.slow=1:30:1"])

    one, again, other = (grid.combinations(sample=20, seed=seed) for seed in (1, 1, 2))

    assert 20 == len(set(one))
    assert one == again == sorted(one)
    assert one != other
    assert set(one) <= set(grid.combinations())


def test_more_than_a_million_combinations_are_refused():
    grid = Grid.parse(["a.b=1:2000:1", "a.c=1:2000:1"])

    with pytest.raises(ConfigurationError, match="more than 1,000,000 combinations"):
        grid.combinations()


def test_neighbours_are_one_step_away_in_each_number():
    grid = Grid.parse(["cross.fast=1,2,3", "cross.slow=10,20", "cross.mode=a,b"])

    assert {(0, 0, 1), (2, 0, 1), (0, 1, 1), (1, 1, 1), (2, 1, 1)} == set(grid.neighbours((1, 0, 1)))
