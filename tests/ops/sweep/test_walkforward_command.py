"""A walk-forward from the command line: what is chosen has not seen what it then trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.ops.commandline import CONFIGURATION, Shell, market_in

pytestmark = pytest.mark.slow

#: Holds *direction* lots from its first bar on: it earns what the market does, or loses that.
LEANING = """
from decimal import Decimal
from nicegold import Bar, Portfolio, hookimpl, plugin, reach

@plugin
class Leaning:
    instrument: str
    direction: Decimal = Decimal(1)
    name: str = ""

    @hookimpl
    def on_bar(self, bar, portfolio):
        return reach(self.direction, self.instrument, self.name, portfolio) or None
"""
WALK = ("walkforward", "--over", "lean.direction=-1,1", "--metric", "total_return", "--workers", "1")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def leaning_market(shell: Shell, step: Callable[[int], float], days: int) -> None:
    """Hourly bars whose price moves by *step* of the number of hours since the start."""
    shell.write("leaning.py", LEANING)
    strategy = '[plugins.lean]\nuse = "leaning:Leaning"\ninstrument = "XAUUSD"\n'
    head, _, rest = CONFIGURATION.partition("[plugins.cross]")
    text = f"{head}{strategy}\n[plugins.limit]{rest.partition('[plugins.limit]')[2]}"
    shell.write("nicegold.toml", text.replace("M15", "H1"))
    shell.write("bars.csv", "\n".join(["time,open,high,low,close,volume", *rows(step, days)]) + "\n")


def rows(step: Callable[[int], float], days: int) -> Iterable[str]:
    price, start = 2000.0, datetime(2026, 1, 5)
    for hour in range(24 * days):
        before, price = price, price + step(hour)
        high, low = max(before, price), min(before, price)
        yield f"{start + timedelta(hours=hour)},{before:.2f},{high:.2f},{low:.2f},{price:.2f},1"


def turn(hour: int) -> float:
    """Up for four days; with the bar that closes as the fourth day ends it falls, and keeps falling."""
    return 0.02 if hour < 4 * 24 - 1 else -5.0


@pytest.mark.parametrize("gap", ["0d", "1d"])
def test_nothing_after_the_choice_is_seen_by_it(shell, gap):
    leaning_market(shell, turn, 9)

    answer = shell(*WALK, "--in-sample", "4d", "--out-of-sample", "4d", "--gap", gap, "--json", "-")

    [step] = answer.json["steps"]
    # One bar of the fall, or of the gap, would have turned the choice, and made it a winner.
    assert ["1"] == step["values"]
    assert step["in_sample"]["total_return"] > 0
    assert step["out_of_sample"]["total_return"] < -0.1
    assert answer.json["efficiency"] < 0


def test_a_part_in_sample_that_reaches_into_the_fall_would_have_known(shell):
    """The test above can fail: this is what a leak looks like."""
    leaning_market(shell, turn, 9)

    answer = shell(*WALK, "--in-sample", "97h", "--out-of-sample", "4d", "--json", "-")

    [step] = answer.json["steps"]
    assert ["-1"] == step["values"]
    assert step["out_of_sample"]["total_return"] > 0.1


def test_out_of_sample_begins_flat_and_warm(shell):
    market_in(shell.folder, bars=96 * 12)
    options = ("--over", "cross.slow=30,40", "--in-sample", "4d", "--out-of-sample", "3d", "--workers", "1")

    walked = shell("walkforward", *options, "--json", "-").json
    words = walked["steps"][0]["command"].split()
    again = shell(*words[1:], "--json", "-").json
    cold = shell("walkforward", *options, "--warm-up", "0d", "--json", "-").json

    step = walked["steps"][0]
    first = min(trade["entry_time"] for trade in again["trades"])
    # A crossing comes about every sixteen bars; the slow mean alone needs thirty.
    assert 0 <= first - step["fold"]["trades_from"] < 25 * 900 * 10**9
    assert ["warm_up"] == [veto["plugin"] for veto in again["vetoes"]]
    assert step["out_of_sample"]["trades"] == len(again["trades"])
    assert step["out_of_sample"]["trades"] > cold["steps"][0]["out_of_sample"]["trades"]


def test_folds_are_chained_to_one_curve_and_resumed(shell):
    market_in(shell.folder, bars=96 * 14)
    walk = ("walkforward", "--over", "cross.fast=2,4", "--in-sample", "4d", "--out-of-sample", "3d")

    answer = shell(*walk, "--gap", "1d", "--json", "out.json", "--html", "out.html")
    again = shell(*walk, "--gap", "1d", "--json", "again.json")

    result = shell.json("out.json")
    growth = 1.0
    for step in result["steps"]:
        growth *= 1 + step["out_of_sample"]["total_return"]
    assert 3 == len(result["steps"])
    assert growth - 1 == pytest.approx(result["total_return"])
    assert 9 == len(result["closes"])
    assert (6, 6) == (result["trials"], result["luck"]["trials"])
    assert ["cross.fast"] == [drift["parameter"] for drift in result["drift"]]
    assert "out of sample" in answer.out
    assert "<polyline" in (shell.folder / "out.html").read_text()
    assert "6 of 6 trials are on the ledger already" in again.out
    assert result == shell.json("again.json")


def test_a_dry_run_shows_the_folds(shell):
    market_in(shell.folder, bars=96 * 12)

    answer = shell(
        *("walkforward", "--over", "cross.fast=2,4", "--in-sample", "4d", "--out-of-sample", "3d"),
        *("--anchored", "--dry-run", "--json", "-"),
    )

    day = 86_400 * 10**9
    assert [4, 7] == [(fold["chosen_at"] - fold["start"]) // day for fold in answer.json]
    assert not (shell.folder / "state").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--in-sample", "4x", "--out-of-sample", "3d"], "4x is not a length of time"),
        (["--in-sample", "40d", "--out-of-sample", "3d"], "a fold takes 43 days and the data have 4.2"),
    ],
)
def test_what_does_not_fit_is_refused(shell, options, reason):
    market_in(shell.folder)

    answer = shell("walkforward", "--over", "cross.fast=2,4", *options)

    assert 2 == answer.code
    assert reason in answer.err
