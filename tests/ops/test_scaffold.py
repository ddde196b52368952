"""`nicegold plugin new`: the package really installs, is found, and trades exactly as ours do."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.scaffold import KINDS, scaffold
from tests.ops.commandline import Shell, market_in, spawned

pytestmark = pytest.mark.slow


def outcomes_in(folder: Path) -> dict[str, str]:
    """What pytest makes of each test in *folder*: PASSED or FAILED, by its name."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return dict(re.findall(r"::(\w+) (PASSED|FAILED)", done.stdout))


def installed_to(target: Path, package: Path) -> dict[str, str]:
    """Install *package* as pip does; answers the environment in which it is installed."""
    # Where the build backend is at hand, nothing is fetched from anywhere.
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *offline, "--target"]
    subprocess.run([*command, str(target), str(package)], check=True, timeout=300)
    return {**os.environ, "PYTHONPATH": str(target)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_has_one_test_that_passes_and_one_to_fill_in(kind, tmp_path):
    folder = scaffold(kind, "my_idea", tmp_path)

    outcomes = outcomes_in(folder)

    assert ["FAILED", "PASSED"] == sorted(outcomes.values())
    assert "PASSED" == next(outcome for name, outcome in outcomes.items() if "keeps_what_every" in name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DailyLimit", "daily_limit"),
        ("daily-limit", "daily_limit"),
        ("9lives", "daily_limit"),
        ("class", "daily_limit"),
    ],
)
def test_a_name_that_is_none_is_refused_with_one_that_is(name, near, tmp_path):
    with pytest.raises(
        ConfigurationError, match=f'"{name}" is not a name in snake_case; write it such as {near}'
    ):
        scaffold("risk", name, tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match='"ma_cross" is installed already'):
        scaffold("strategy", "ma_cross", tmp_path, taken={"ma_cross"})


def test_nothing_is_overwritten(tmp_path):
    folder = scaffold("risk", "my_limit", tmp_path)
    (folder / "README.md").write_text("mine")

    with pytest.raises(ConfigurationError, match="exists already; nothing is overwritten"):
        scaffold("risk", "my_limit", tmp_path)

    assert "mine" == (folder / "README.md").read_text()


def test_plugin_new_says_what_it_wrote(tmp_path, capsys):
    shell = Shell(tmp_path, capsys)

    answer = shell("plugin", "new", "risk", "my_limit", "--into", str(tmp_path), "--json", "-")

    assert 0 == answer.code
    assert str(tmp_path / "nicegold-my-limit") == answer.json["folder"]
    assert [
        "README.md",
        "pyproject.toml",
        "src/nicegold_my_limit/__init__.py",
        "tests/test_my_limit.py",
    ] == answer.json["files"]


def test_plugin_new_refuses_a_kind_that_there_is_not(tmp_path, capsys):
    answer = Shell(tmp_path, capsys)("plugin", "new", "oracle", "delphi", "--into", str(tmp_path))

    assert 2 == answer.code
    assert "oracle" in answer.err


def test_an_installed_package_is_found_and_trades_exactly_as_ours_do(tmp_path):
    limit = scaffold("risk", "daily_limit", tmp_path)
    steps = scaffold("strategy", "steps_up", tmp_path)
    installed_to(tmp_path / "site", limit)
    environment = installed_to(tmp_path / "site", steps)
    config = market_in(tmp_path)
    text = config.read_text()
    theirs = (
        '[plugins.cross]\nuse = "steps_up"\ninstrument = "XAUUSD"\n\n[plugins.limit]\nuse = "daily_limit"\n'
    )
    start, end = text.index("[plugins.cross]"), text.index("[plugins.venue]")
    config.write_text(f"{text[:start]}{theirs}\n{text[end:]}")

    plugins = spawned(tmp_path, "plugins", "--json", "-", env=environment)
    trades = spawned(tmp_path, "backtest", "--json", "-", env=environment)
    strict = spawned(
        tmp_path, "backtest", "--set", "plugins.limit.limit=0.05", "--json", "-", env=environment
    )

    found = {each["name"]: each for each in plugins.json}
    assert ("risk", "nicegold-daily-limit 0.1.0", "") == (
        found["daily_limit"]["kind"],
        found["daily_limit"]["distribution"],
        found["daily_limit"]["problem"],
    )
    assert trades.json["fills"] > 0, trades.err
    assert {"cross": 400} == {
        each["plugin"]: each["calls"] for each in trades.json["hooks"] if each["hook"] == "on_bar"
    }
    assert 0 == strict.json["fills"]
    assert ["limit"] == [veto["plugin"] for veto in strict.json["vetoes"]]
