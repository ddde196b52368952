"""The ledger: what was tried is found again, and counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from nicegold_ops.errors import DataError
from nicegold_ops.sweep.grid import Grid
from nicegold_ops.sweep.ledger import Ledger, LedgerFailed, differences
from nicegold_ops.sweep.plan import Plan, plan
from nicegold_ops.sweep.trial import Tried
from nicegold_ops.sweep.window import Window
from tests.ops.commandline import market_in


@pytest.fixture
def made(tmp_path: Path) -> Plan:
    return plan(market_in(tmp_path), (), Grid.parse(["cross.fast=2,3,4"]))


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(tmp_path / "state")
    yield opened
    opened.close()


def test_a_trial_is_found_again_with_its_closes_apart(made, ledger):
    trial = made.trial((0,))
    tried = made.bench.attempt(trial)

    ledger.add(made, trial, tried)

    assert {trial.key: tried.without_closes()} == ledger.find([trial.key, "other"])
    assert tried.closes == ledger.closes(trial.key)


def test_more_keys_than_one_question_takes_are_found(made, ledger):
    trial = made.trial((0,))
    ledger.add(made, trial, Tried(failed="no"))

    assert [trial.key] == list(ledger.find([*(str(number) for number in range(2000)), trial.key]))


def test_each_choice_counts_once_and_those_that_failed_do_not(made, ledger):
    whole, part = made.trial((0,)), made.trial((0,), Window(1, 2))
    ledger.add(made, part, Tried(sharpe=0.5))
    ledger.add(made, whole, Tried(sharpe=0.1))
    ledger.add(made, made.trial((1,)), Tried(failed="no"))
    ledger.add(made, made.trial((2,), Window(1, 2)), Tried(sharpe=0.2))

    before = ledger.tried_before(made, whole.seen)

    assert {whole.choice: 0.1, made.trial((2,)).choice: None} == before


def test_other_data_have_trials_of_their_own(tmp_path, made, ledger):
    ledger.add(made, made.trial((0,)), Tried(sharpe=0.1))
    (tmp_path / "bars.csv").write_text((tmp_path / "bars.csv").read_text().rpartition("\n2026")[0] + "\n")

    other = plan(tmp_path / "nicegold.toml", (), made.grid)

    assert {} == ledger.tried_before(other, other.trial((0,)).seen)


def test_a_sweep_is_told_what_has_changed_since_the_last_one(tmp_path, made, ledger):
    other = plan(tmp_path / "nicegold.toml", ["run.seed=8"], made.grid)

    assert [] == ledger.begin(made)
    assert [] == ledger.begin(made)
    assert ["run.seed was 7 and is 8"] == ledger.begin(other)


def test_no_secret_is_on_the_ledger(made, ledger):
    ledger.begin(replace(made, context={**made.context, "plugins.tell.password": '"hunter2"'}))

    assert b"hunter2" not in b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())


def test_differences_are_said_but_for_what_was_swept():
    before = {"a": "1", "b": "swept", "c": "3", "the data of x": "d", "the code of y": "e"}
    now = {"a": "2", "b": "5", "d": "4", "the data of x": "f", "the code of y": "g"}

    assert [
        "a was 1 and is 2",
        "c is gone",
        "the data of x changed",
        "d is new",
        "the code of y changed",
    ] == differences(before, now)


def test_a_file_that_is_no_ledger_is_a_data_error(tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "ledger.sqlite").write_text(
        "these are words, and long enough to be none of it" * 9
    )

    with pytest.raises(DataError, match="cannot be used as a ledger"):
        Ledger(tmp_path)


def test_a_ledger_that_cannot_be_written_says_so(made, ledger):
    with sqlite3.connect(ledger.path) as other:
        other.execute("DROP TABLE closes")
    other.close()

    with pytest.raises(LedgerFailed, match="cannot be written"):
        ledger.add(made, made.trial((0,)), Tried(failed="no"))

    assert {} == ledger.find([made.trial((0,)).key])
