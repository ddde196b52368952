"""A run repeated from its record, and the black box beside it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from nicegold import Canceled, Finished, Started
from nicegold_ops.commands.replay import first_difference
from tests.ops.commandline import Shell, csv_of, market_in


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def test_a_replay_gives_the_same_bytes_and_the_same_portfolio(shell):
    ran = shell("backtest", "--json", "-").json

    answer = shell("replay", "--json", "-")

    assert 0 == answer.code
    assert answer.json["identical"]
    for name in ("run", "fingerprint", "final_equity", "positions"):
        assert ran[name] == answer.json[name], name


def test_a_replay_tells_a_person_what_it_comes_to(shell):
    ran = shell("backtest", "--json", "-").json

    answer = shell("replay")

    assert "identical" in answer.out
    assert ran["fingerprint"] in answer.out


def test_a_replay_leaves_nothing_behind(shell):
    shell("backtest")
    before = sorted(shell.folder.rglob("*"))

    shell("replay")

    assert before == sorted(shell.folder.rglob("*"))


def test_a_replay_needs_no_configuration_but_the_one_on_record(shell):
    shell("backtest", "--set", "plugins.cross.fast=4")
    (shell.folder / "nicegold.toml").unlink()

    answer = shell("replay", "--state", "state", "--json", "-")

    assert 0 == answer.code, answer.err
    assert answer.json["identical"]


def test_a_replay_from_elsewhere_finds_the_data_again(shell, monkeypatch):
    shell("backtest")
    monkeypatch.chdir("/")

    answer = shell("replay", "--state", str(shell.folder / "state"), "--json", "-")

    assert 0 == answer.code, answer.err


def test_a_replay_refuses_data_that_have_changed_and_names_the_file(shell):
    shell("backtest")
    shell.write("bars.csv", csv_of(401))

    answer = shell("replay")

    assert 3 == answer.code
    assert answer.err.startswith("error: ")
    assert "bars.csv has changed since the run" in answer.err


def test_any_run_can_be_repeated_by_its_name(shell):
    first = shell("backtest", "--json", "-").json["run"]
    shell("backtest", "--set", "plugins.cross.fast=4")

    answer = shell("replay", first, "--json", "-")

    assert first == answer.json["run"]
    assert answer.json["identical"]


def test_a_run_that_is_not_there_is_a_data_error_that_names_those_that_are(shell):
    run = shell("backtest", "--json", "-").json["run"]

    answer = shell("replay", "20200101T000000Z-paper")

    assert 3 == answer.code
    assert run in answer.err


def test_a_state_folder_without_a_journal_is_a_data_error(shell):
    answer = shell("replay", "--state", "nowhere")

    assert 3 == answer.code
    assert "there is no journal" in answer.err
    assert not (shell.folder / "nowhere").exists()


STARTED = Started(
    version="1", seed=7, cash=Decimal(100), currency="USD", instruments=[], configuration="", sources={}
)
FINISHED = Finished(reason="the feeds ended", time=9)
CANCELED = Canceled(order_id="cross-1", time=5)


def test_the_first_event_that_differs_is_told_with_its_number():
    again = Canceled(order_id="cross-2", time=5)

    found = first_difference([STARTED, CANCELED, FINISHED], [STARTED, again, FINISHED], finished=True)

    assert found is not None
    assert (2, CANCELED, again) == (found.sequence, found.recorded, found.repeated)


def test_an_event_too_many_or_too_few_is_a_difference():
    more = first_difference([STARTED, FINISHED], [STARTED, CANCELED, FINISHED], finished=True)
    fewer = first_difference([STARTED, CANCELED, FINISHED], [STARTED, FINISHED], finished=True)

    assert more is not None
    assert fewer is not None


def test_what_comes_after_the_record_of_a_killed_run_is_no_difference():
    assert None is first_difference([STARTED], [STARTED, CANCELED, FINISHED], finished=False)


def test_the_version_that_recorded_and_its_settings_that_are_new_are_no_difference():
    newer = replace(STARTED, version="2", configuration="[run]\nnew = 7\n")

    assert None is first_difference([STARTED], [newer], finished=True)


def test_the_black_box_shows_the_last_calls_of_each_plugin(shell):
    run = shell("backtest", "--json", "-").json["run"]

    answer = shell("blackbox", run, "--last", "2", "--json", "-")

    assert 0 == answer.code
    assert run == answer.json["run"]
    assert {"gold", "cross", "limit", "venue"} == set(answer.json["plugins"])
    calls = answer.json["plugins"]["cross"]
    assert [399, 400] == [call["sequence"] for call in calls]
    assert {("on_bar", "success")} == {(call["hook"], call["outcome"]) for call in calls}


def test_the_black_box_shows_a_person_the_same(shell):
    shell("backtest")

    answer = shell("blackbox")

    assert "on_bar" in answer.out
    assert "success" in answer.out


def test_a_black_box_that_is_not_there_is_a_data_error(shell):
    answer = shell("blackbox", "--state", "nowhere")

    assert 3 == answer.code
    assert answer.err.startswith("error: ")
