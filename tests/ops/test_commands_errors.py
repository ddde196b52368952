"""Whatever goes wrong in a way that a person can mend is one clear line, and the right exit code."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from nicegold_ops.commands import cli
from tests.ops.commandline import Answer, Shell, csv_of, market_in, spawn, spawned

USAGE, DATA, PLUGIN, OTHER = 2, 3, 5, 1


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def is_one_clear_error(answer: Answer) -> bool:
    lines = answer.err.splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in answer.err + answer.out


def test_a_missing_configuration_is_a_usage_error_that_names_it(shell):
    answer = shell("backtest", "--config", "missing.toml")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert "missing.toml" in answer.err


def test_a_missing_data_file_is_a_data_error_that_names_it(shell):
    (shell.folder / "bars.csv").unlink()

    answer = shell("backtest")

    assert DATA == answer.code
    assert is_one_clear_error(answer)
    assert "bars.csv" in answer.err
    assert [] == list(shell.folder.glob("state/runs/*"))


def test_a_wrong_column_is_a_data_error_that_names_the_file(shell):
    shell.write("bars.csv", csv_of(50).replace("close", "clsoe", 1))

    answer = shell("backtest")

    assert DATA == answer.code
    assert is_one_clear_error(answer)
    assert "bars.csv" in answer.err


def test_an_unknown_plugin_is_a_configuration_error_with_line_and_suggestion(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text().replace("ma_cross", "ma_corss"))

    answer = shell("backtest")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert re.search(r'nicegold\.toml:\d+: .*"ma_corss".*did you mean "ma_cross"', answer.err)


def test_a_misspelt_key_is_a_configuration_error_with_line_and_suggestion(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text().replace("fast = 3", "fsat = 3"))

    answer = shell("check")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert re.search(r'nicegold\.toml:\d+: .*"fsat".*did you mean "fast"', answer.err)


@pytest.mark.parametrize("setting", ["run.cash=plenty", "plugins.cross.fast=3.5", "plugins.limit.limit=NaN"])
def test_a_bad_number_is_a_configuration_error_that_names_the_setting(shell, setting):
    answer = shell("backtest", "--set", setting)

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert setting.partition("=")[0] in answer.err


def test_an_unreadable_journal_is_a_data_error_and_is_left_alone(shell):
    state = shell.folder / "state"
    state.mkdir()
    journal = state / "journal.sqlite"
    journal.write_bytes(b"no database at all" * 100)

    answer = shell("backtest")

    assert DATA == answer.code
    assert is_one_clear_error(answer)
    assert "journal.sqlite" in answer.err
    assert b"no database at all" * 100 == journal.read_bytes()


def test_a_plugin_that_cannot_be_imported_is_a_plugin_error(shell):
    shell.write("broken_ideas.py", "raise RuntimeError('boom')\n")

    answer = shell("backtest", "--set", "plugins.cross.use=broken_ideas:Idea")

    assert PLUGIN == answer.code
    assert "boom" in answer.err
    assert "Traceback" not in answer.err


def test_a_configuration_without_a_broker_is_refused_before_anything_is_recorded(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text().partition("[plugins.venue]")[0])

    answer = shell("backtest")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert "no broker" in answer.err


@pytest.mark.parametrize("mode", ["backtest", "replay"])
def test_run_refuses_a_mode_that_is_no_session_and_says_what_to_type(shell, mode):
    answer = shell("run", "--set", f"run.mode={mode}")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert f"nicegold {mode}" in answer.err


def test_a_full_disk_leaves_what_was_there_and_names_the_file(shell):
    answer = shell("plugins", "--json", "/dev/full")

    assert OTHER == answer.code
    assert is_one_clear_error(answer)
    assert "No space left on device" in answer.err


def test_an_unknown_subcommand_is_a_usage_error_with_a_suggestion(shell):
    answer = shell("bactest")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)
    assert 'did you mean "backtest"' in answer.err


def test_an_unknown_option_is_a_usage_error(shell):
    answer = shell("backtest", "--confg", "x.toml")

    assert USAGE == answer.code
    assert is_one_clear_error(answer)


def test_nothing_typed_shows_the_subcommands(shell):
    answer = shell()

    assert USAGE == answer.code
    assert "backtest" in answer.err


@pytest.fixture
def explode() -> Iterator[str]:
    """A subcommand with a defect, as a plugin could bring it."""
    cli.add_command(click.Command("explode", callback=lambda: 1 / 0))
    yield "explode"
    del cli.commands["explode"]


def test_what_should_not_happen_is_one_line_that_says_where_its_traceback_is(shell, explode):
    answer = shell(explode)

    assert OTHER == answer.code
    assert is_one_clear_error(answer)
    assert "ZeroDivisionError: division by zero" in answer.err
    kept = Path(answer.err.split()[-1])
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_a_pipe_that_closes_early_is_no_traceback(tmp_path):
    market_in(tmp_path)

    with spawn(tmp_path, "check") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()

    assert "Traceback" not in err


def test_a_disk_that_fills_up_on_the_way_loses_nothing_that_was_recorded(tmp_path):
    market_in(tmp_path, bars=6000, swing=0.3)
    # A file that may not grow is what a full disk is to whoever writes it; the recorder has 1.3 MB.
    limit = 2_000_000
    busy = ("--set", "plugins.cross.fast=1", "--set", "plugins.cross.slow=2")

    answer = spawned(
        tmp_path,
        "backtest",
        *busy,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert OTHER == answer.code
    assert is_one_clear_error(answer)
    assert "the journal cannot be written" in answer.err
    again = spawned(tmp_path, "replay", "--json", "-")
    assert 0 == again.code, again.err
    assert again.json["identical"]
    assert not again.json["finished"]
    assert again.json["events"] > 1000


def test_a_disk_that_is_full_at_the_start_is_said_before_anything_trades(tmp_path):
    market_in(tmp_path)
    limit = 500_000

    answer = spawned(
        tmp_path,
        "backtest",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert OTHER == answer.code
    assert is_one_clear_error(answer)
    assert "flight recorder cannot be written" in answer.err
