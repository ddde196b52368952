"""A backtest from the command line: what it writes, what it prints, and that it comes out the same."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.ops.commandline import Shell, market_in, spawn, spawned, wait_until

PROMISED = {
    "bars",
    "quality",
    "orders",
    "fills",
    "trades",
    "final_equity",
    "total_return",
    "max_drawdown",
    "sharpe",
    "sortino",
    "profit_factor",
    "exposure",
    "hooks",
    "fingerprint",
    "seconds",
    "bars_per_second",
}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def test_a_backtest_writes_json_and_report_and_prints_a_summary(shell):
    answer = shell("backtest", "--config", "nicegold.toml", "--json", "out.json", "--report", "out.html")

    assert 0 == answer.code
    written = shell.json("out.json")
    assert set() == PROMISED - written.keys()
    assert 400 == written["bars"]
    assert written["fingerprint"] in answer.out
    assert "<html" in (shell.folder / "out.html").read_text()
    assert answer.err == ""


def test_json_on_stdout_is_json_and_nothing_else(shell):
    answer = shell("backtest", "--json", "-")

    assert 400 == answer.json["bars"]
    assert answer.json["trades"]


def test_a_result_stays_in_the_folder_of_its_run(shell):
    answer = shell("backtest", "--json", "-")

    kept = shell.json(f"state/runs/{answer.json['run']}/result.json")
    assert answer.json == kept


def test_two_runs_have_names_of_their_own_and_the_same_fingerprint(shell):
    first, second = shell("backtest", "--json", "-"), shell("backtest", "--json", "-")

    assert first.json["run"] != second.json["run"]
    assert first.json["fingerprint"] == second.json["fingerprint"]


def test_a_backtest_does_not_care_which_mode_is_configured(shell):
    answer = shell("backtest", "--set", "run.mode=paper", "--json", "-")

    assert "backtest" == answer.json["mode"]


def test_a_setting_can_be_changed_for_one_time(shell):
    usual, none = (
        shell("backtest", "--json", "-"),
        shell("backtest", "--set", "plugins.limit.limit=0.01", "--json", "-"),
    )

    assert usual.json["fills"] > 0
    assert 0 == none.json["fills"]
    assert "limit" == none.json["vetoes"][0]["plugin"]


def test_a_halt_by_risk_has_an_exit_code_of_its_own_and_still_a_result(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text() + '\n[plugins.stop]\nuse = "daily_loss"\nlimit = "1"\n')

    answer = shell("backtest", "--json", "out.json")

    assert 4 == answer.code
    assert answer.err.startswith("error: halted by risk: stop")
    assert shell.json("out.json")["halted"].startswith("stop")


def test_lines_that_cannot_be_right_are_counted_and_kept(shell):
    bars = shell.folder / "bars.csv"
    lines = bars.read_text().splitlines()
    bars.write_text("\n".join([*lines[:10], lines[9], *lines[10:]]) + "\n")

    answer = shell("backtest", "--json", "-")

    assert {"duplicate": 1} == answer.json["quality"]
    assert "duplicate" in (shell.folder / f"state/runs/{answer.json['run']}/quarantine/gold.csv").read_text()


def test_the_hash_seed_changes_nothing(tmp_path):
    market_in(tmp_path)

    answers = [
        spawned(tmp_path, "backtest", "--json", "-", env={**os.environ, "PYTHONHASHSEED": seed}).json
        for seed in ("1", "2")
    ]

    assert answers[0]["fingerprint"] == answers[1]["fingerprint"]
    assert answers[0]["trades"] == answers[1]["trades"]


def test_the_report_of_a_run_can_be_written_again(shell):
    shell("backtest")

    answer = shell("report", "--out", "again.html", "--json", "-")

    assert 0 == answer.code
    assert "<html" in (shell.folder / "again.html").read_text()
    assert "again.html" == answer.json["report"]


def test_a_report_can_be_made_of_a_result_that_was_moved(shell):
    shell("backtest", "--json", "elsewhere.json")

    answer = shell("report", "elsewhere.json")

    assert 0 == answer.code
    assert (shell.folder / "report.html").exists()


def test_without_bokeh_nothing_runs_that_was_to_be_reported(shell, monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "bokeh"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "nicegold_ops.report.chart", raising=False)
    monkeypatch.setitem(sys.modules, "bokeh", None)

    answer = shell("backtest", "--report", "out.html")

    assert 2 == answer.code
    assert "install nicegold[report]" in answer.err
    assert not (shell.folder / "state").exists()


def test_the_summary_has_the_costs_the_intervals_and_the_verdict(tmp_path, shell):
    market_in(tmp_path, bars=3000)

    answer = shell("backtest", "--json", "out.json")

    result = shell.json("out.json")
    interval = result["significance"]["intervals"]["sharpe"]
    said = " ".join(answer.out.split())
    assert f"sharpe {result['sharpe']:.2f}, {interval['low']:.2f} to {interval['high']:.2f} at 95%" in said
    assert f"{result['costs']['slippage']:,.2f} slippage" in said
    assert f"chance alone would do as well in {result['significance']['chance_of_mean']:.1%} of runs" in said
    assert "holding XAUUSD instead brought" in said


def test_the_json_carries_what_the_report_shows(shell):
    result = shell("backtest", "--json", "-").json

    assert 2 == result["schema"]
    assert 400 == len(result["prices"]["XAUUSD"])
    assert ["XAUUSD"] == result["benchmark"]["symbols"]
    assert "market" == result["slippage"][0]["order_type"]
    assert {"cross": "ma_cross"} == result["strategies"]


def test_a_secret_of_the_configuration_reaches_neither_json_nor_page(shell):
    shell.write(
        "shy.py",
        "from nicegold import Bar, Portfolio, hookimpl, plugin\n"
        "@plugin\nclass Shy:\n    api_key: str\n    @hookimpl\n"
        "    def on_bar(self, bar: Bar, portfolio: Portfolio) -> None:\n        pass\n",
    )
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text() + '\n[plugins.shy]\nuse = "shy:Shy"\napi_key = "hunter2"\n')

    answer = shell("backtest", "--json", "out.json", "--report", "out.html")

    assert 0 == answer.code
    for name in ("out.json", "out.html"):
        text = (shell.folder / name).read_text()
        assert "hunter2" not in text
        assert "********" in text


def test_a_result_of_another_schema_says_what_to_do(shell):
    shell.write("old.json", '{"run": "20260101T000000Z-backtest", "version": "0.0.9"}')

    answer = shell("report", "old.json")

    assert 3 == answer.code
    assert "old.json has schema 1, of nicegold 0.0.9, and this one reads 2" in answer.err


def test_a_report_of_a_run_that_is_not_there_is_a_data_error(shell):
    answer = shell("report", "20200101T000000Z-paper")

    assert 3 == answer.code
    assert answer.err.startswith("error: ")
    assert "there is no result" in answer.err


def test_a_file_that_is_no_result_is_a_data_error(shell):
    shell.write("other.json", "{}")

    answer = shell("report", "other.json")

    assert 3 == answer.code
    assert "other.json is not the result of a run" in answer.err


def test_a_backtest_that_is_interrupted_says_so_and_keeps_what_it_has(tmp_path):
    # Some seconds of work, so that the signal comes in the middle.
    market_in(tmp_path, bars=100_000, swing=0.3)

    with spawn(tmp_path, "backtest", "--json", "out.json") as process:
        wait_until((tmp_path / "state" / "journal.sqlite").exists, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert 1 == process.returncode, out
    assert err.splitlines() == ["error: interrupted: this is the result of a part of the data"]
    assert (tmp_path / "out.json").exists()
