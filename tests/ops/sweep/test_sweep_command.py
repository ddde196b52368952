"""A sweep from the command line: what it writes, what it keeps, and that a kill loses nothing."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ops.commandline import Shell, market_in, spawn, spawned, wait_until

pytestmark = pytest.mark.slow

OVER = ("--over", "cross.fast=2,4", "--over", "cross.slow=6,9", "--workers", "2")

#: A strategy that does, at one value of its setting, what a strategy must not do.
MOODY = """
import os
from nicegold import Bar, Order, hookimpl, plugin, reach

@plugin
class Moody:
    instrument: str
    mood: str = "calm"
    name: str = ""

    @hookimpl
    def on_bar(self, bar, portfolio):
        print("said on every bar")
        if self.mood == "raises":
            raise RuntimeError("a bad day")
        if self.mood == "exits":
            os._exit(3)
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def ledger_of(folder: Path, state: str = "state") -> list[tuple[Any, ...]]:
    """The trials on the ledger, whole, in the order of their keys."""
    path = folder / state / "sweeps" / "ledger.sqlite"
    if not path.exists():
        return []
    with sqlite3.connect(path) as connection:
        try:
            return connection.execute("SELECT * FROM trials ORDER BY key").fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return []
        finally:
            connection.rollback()


def test_a_sweep_tries_each_combination_and_shows_the_best_first(shell):
    answer = shell("sweep", *OVER, "--json", "out.json", "--csv", "out.csv", "--html", "out.html")

    assert (0, "") == (answer.code, answer.err)
    result = shell.json("out.json")
    assert 4 == result["asked"] == len(result["rows"])
    assert {"cross.fast": ["2", "4"], "cross.slow": ["6", "9"]} == result["parameters"]
    sharpes = [row["statistics"]["sharpe"] for row in result["rows"]]
    assert sorted(sharpes, reverse=True) == sharpes
    assert "<table" in (shell.folder / "out.html").read_text()
    with (shell.folder / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["values"][0], row["fingerprint"]) for row in result["rows"]] == [
        (row["cross.fast"], row["fingerprint"]) for row in rows
    ]
    assert result["luck"]["trials"] == 4
    assert "With 4 trials" in answer.out


def test_a_trial_is_the_backtest_that_its_command_runs(shell):
    result = shell("sweep", *OVER, "--json", "-").json

    words = result["command"].split()
    assert "nicegold" == words[0]
    again = shell(*words[1:], "--json", "-").json
    best = result["rows"][0]
    assert best["fingerprint"] == again["fingerprint"]
    assert best["statistics"]["sharpe"] == again["statistics"]["sharpe"]


def test_the_same_command_runs_nothing_twice_and_a_wider_one_only_what_is_new(shell):
    first = shell("sweep", *OVER, "--json", "-").json
    before = ledger_of(shell.folder)

    again = shell("sweep", *OVER, "--json", "out.json")
    wider = shell("sweep", "--over", "cross.slow=6,9,12", "--over", "cross.fast=2,4")

    assert "4 of 4 trials are on the ledger already" in again.out
    assert first["rows"] == shell.json("out.json")["rows"]
    assert "4 of 6 trials are on the ledger already" in wider.out
    assert set(before) < set(ledger_of(shell.folder))


def test_other_data_or_settings_are_a_new_sweep_that_says_why(shell):
    shell("sweep", *OVER)
    bars = shell.folder / "bars.csv"
    bars.write_text(bars.read_text().rpartition("\n2026")[0] + "\n")

    other_data = shell("sweep", *OVER)
    other_costs = shell("sweep", *OVER, "--set", "plugins.venue.commission=1.00")

    assert "a new sweep, since the data of gold changed" in other_data.out
    assert 'a new sweep, since plugins.venue.commission was "7.00" and is "1.00"' in other_costs.out


def test_trials_of_earlier_sweeps_and_those_made_elsewhere_count(shell):
    shell("sweep", *OVER)

    answer = shell("sweep", "--over", "cross.slow=6,12", "--trials-before", "10", "--json", "-")

    # Of the earlier four none has fast = 3.
    luck = answer.json["luck"]
    assert (2 + 4 + 10, 4, 10) == (luck["trials"], luck["earlier"], luck["elsewhere"])


def test_trials_that_fail_are_shown_with_their_reason_and_do_not_stop_the_others(shell):
    shell.write("moody.py", MOODY)
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text() + '[plugins.moody]\nuse = "moody:Moody"\ninstrument = "XAUUSD"\n')

    answer = shell("sweep", "--over", "moody.mood=calm,raises,exits", "--json", "-")

    assert 0 == answer.code
    calm, *failed = answer.json["rows"]
    assert ("calm", "") == (calm["values"][0], calm["failed"])
    reasons = {row["values"][0]: row["failed"] for row in failed}
    assert "moody.on_bar failed 400 times: RuntimeError: a bad day" == reasons["raises"]
    assert "its process ended with code 3" == reasons["exits"]
    # What killed its process may have been the machine's fault: it is tried again.
    assert 2 == len(ledger_of(shell.folder))


def test_what_a_plugin_refuses_is_a_trial_that_failed(shell):
    answer = shell("sweep", "--over", "cross.fast=2,20", "--json", "-")

    assert "fast must be below slow" in answer.json["rows"][1]["failed"]
    assert 1 == answer.json["luck"]["trials"]


def test_when_nothing_can_be_run_it_is_an_error(shell):
    answer = shell("sweep", "--over", "cross.fast=20,30")

    assert 2 == answer.code
    assert "[plugins.cross] fast must be below slow: fast is 20, slow is 8" in answer.err


def test_a_halt_by_risk_is_noted_beside_the_figures(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text() + '\n[plugins.stop]\nuse = "daily_loss"\nlimit = "1"\n')

    answer = shell("sweep", "--over", "cross.fast=2,4", "--json", "-")

    assert all(row["halted"].startswith("stop") for row in answer.json["rows"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--over", "corss.fast=1,2"],
            '--over corss.fast: there is no [plugins.corss]; did you mean "cross"?',
        ),
        (
            ["--over", "cross.fsat=1,2"],
            '--over cross.fsat: [plugins.cross] has no setting "fsat"; did you mean "fast"?',
        ),
        (["--over", "cross.fast=1,x,y"], 'fast is "y"; it must be a whole number'),
        (["--over", "gold.timeframe=M1,M5"], "gold is what all trials read"),
        (["--over", "run.mode=paper,live"], "a backtest does not depend on it"),
        (["--over", "run.end=2026-01-06T00:00:00Z"], "`nicegold walkforward` goes through time"),
        (["--over", "cross.fast=1,2", "--metric", "sharp"], 'no figure "sharp"; did you mean "sharpe"?'),
        (["--over", "cross.fast=1,2", "--sort", "fasd"], 'no column "fasd"'),
        (["--over", "cross.fast=1,2", "--set", "plugins.gold.path=none.csv"], "none.csv"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(shell, options, reason):
    answer = shell("sweep", *options)

    assert answer.code in (2, 3)
    assert reason in answer.err
    assert not (shell.folder / "state").exists()


def test_a_dry_run_lists_the_trials_and_runs_none(shell):
    answer = shell("sweep", *OVER, "--where", "cross.fast < 3", "--dry-run", "--json", "-")

    assert ["cross.fast=2, cross.slow=6", "cross.fast=2, cross.slow=9"] == answer.json
    assert [] == ledger_of(shell.folder)


def test_trials_leave_no_run_behind(shell):
    shell("sweep", *OVER)

    assert ["sweeps"] == [path.name for path in (shell.folder / "state").iterdir()]


def test_the_number_of_workers_changes_nothing(shell):
    ledgers = []
    for workers in ("1", "2"):
        shell("sweep", *OVER[:-1], workers, "--set", f"run.state=of-{workers}")
        ledgers.append(ledger_of(shell.folder, f"of-{workers}"))

    assert 4 == len(ledgers[0])
    assert ledgers[0] == ledgers[1]


#: Some seconds of work in sixteen trials.
LONG = ("sweep", "--over", "cross.fast=2:17:1", "--set", "plugins.cross.slow=60", "--workers", "2")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_done_survives_a_kill_and_the_same_command_goes_on(tmp_path, number):
    market_in(tmp_path, bars=6_000, swing=3.0)
    # The workers' sockets are in it, and these want short names; pytest's own folder has a long one.
    aside = Path(tempfile.mkdtemp(dir="/tmp"))

    with spawn(tmp_path, *LONG, env={**os.environ, "TMPDIR": str(aside)}) as process:
        wait_until(lambda: len(ledger_of(tmp_path)) >= 2, process)
        workers = below(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    done = ledger_of(tmp_path)
    resumed = spawned(tmp_path, *LONG, "--json", "out.json")

    assert len(workers) >= 2, err
    assert all_end(workers)
    assert 2 <= len(done) < 16
    assert f"{len(done)} of 16 trials are on the ledger already" in resumed.out
    assert set(done) < set(ledger_of(tmp_path))
    assert 16 == len(ledger_of(tmp_path))
    if number == signal.SIGINT:
        assert f"error: interrupted: {len(done)} of 16 trials are done and kept" in err
        assert "Traceback" not in err
        assert [] == list(aside.glob("nicegold-*"))
    shutil.rmtree(aside)


def test_a_folder_for_sockets_with_too_long_a_name_is_named(tmp_path):
    market_in(tmp_path)
    aside = tmp_path / ("long" * 30)
    aside.mkdir()

    answer = spawned(tmp_path, "sweep", *OVER, env={**os.environ, "TMPDIR": str(aside)})

    assert 1 == answer.code
    assert f"in {aside}: set TMPDIR to a folder with a short name" in answer.err


def below(pid: int) -> list[int]:
    """The processes that *pid* has started, and those that they have."""
    try:
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended since it was listed
        return []
    return [each for child in map(int, started) for each in (child, *below(child))]


def all_end(processes: list[int]) -> bool:
    """Whether none of *processes* is left, soon."""
    ends = time.monotonic() + 20
    while any(map(is_running, processes)) and time.monotonic() < ends:
        time.sleep(0.05)
    return not any(map(is_running, processes))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
