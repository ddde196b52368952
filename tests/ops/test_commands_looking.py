"""The commands that look and change nothing: check, plugins, doctor, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nicegold import pure
from nicegold_ops.commands import ours
from nicegold_ops.config import installed
from tests.ops.commandline import Shell, market_in, spawned

IDEAS = """
from nicegold import hookimpl, plugin


@plugin
class Greeter:
    word: str = "hello"

    @hookimpl
    def register_commands(self, cli):
        @cli.command()
        def greet():
            print(self.word)


@plugin
class Broken:
    @hookimpl
    def register_commands(self, cli):
        raise RuntimeError("boom")
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# check


def test_check_says_what_would_run_in_order_and_leaves_nothing_behind(shell):
    before = files_in(shell.folder)

    answer = shell("check", "--json", "-")

    assert 0 == answer.code
    assert ["gold", "cross", "limit", "venue"] == [each["name"] for each in answer.json["plugins"]]
    assert ["feed", "strategy", "risk", "broker"] == [each["kind"] for each in answer.json["plugins"]]
    assert ["gold", "venue"] == answer.json["calls"]["startup"]
    assert 3 == answer.json["plugins"][1]["settings"]["fast"]
    assert str(shell.folder / "bars.csv") == answer.json["sources"]["gold"]["location"]
    assert before == files_in(shell.folder)


def test_check_shows_a_person_the_same(shell):
    answer = shell("check")

    for part in ("XAUUSD", "ma_cross", "fast = 3", "check_order"):
        assert part in answer.out, part


def test_check_says_what_the_feeds_see_in_their_files(shell):
    answer = shell("check", "--json", "-")

    assert "file: text in UTF-8" == answer.json["recognised"]["gold"][0]
    assert "gold sees" in shell("check").out


def test_check_refuses_a_file_that_its_feed_does_not_understand(shell):
    (shell.folder / "bars.csv").write_text("one,two\n1,2\n")

    answer = shell("check")

    assert 3 == answer.code
    assert 'gold: bars.csv has no column for "time"; it has: one, two' in answer.err


def test_check_refuses_a_live_configuration_without_a_risk_check(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(re.sub(r"\[plugins\.limit\][^\[]*", "", config.read_text()))

    answer = shell("check", "--set", "run.mode=live")

    assert 2 == answer.code
    assert answer.err.startswith("error: live has no risk check")


# plugins


def test_plugins_lists_every_installed_one_with_its_kind_and_who_brought_it(shell):
    answer = shell("plugins", "--json", "-")

    assert list(installed()) == [each["name"] for each in answer.json]
    found = {each["name"]: each for each in answer.json}
    assert ("strategy", "nicegold") == (
        found["ma_cross"]["kind"],
        found["ma_cross"]["distribution"].split()[0],
    )
    assert ("broker", "") == (found["paper"]["kind"], found["paper"]["problem"])


def test_plugins_says_which_a_configuration_enables_and_under_which_names(shell):
    answer = shell("plugins", "--config", "nicegold.toml", "--json", "-")

    enabled = {each["name"]: each["enabled_as"] for each in answer.json if each["enabled_as"]}
    assert {"csv": ["gold"], "ma_cross": ["cross"], "max_position": ["limit"], "paper": ["venue"]} == enabled


def test_plugins_says_what_a_configuration_takes_from_a_file_beside_it(tmp_path):
    (tmp_path / "ideas.py").write_text(IDEAS)
    config = market_in(tmp_path)
    config.write_text(config.read_text() + '\n[plugins.greeter]\nuse = "ideas:Greeter"\n')

    answer = spawned(tmp_path, "plugins", "--config", "nicegold.toml", "--json", "-")

    found = {each["name"]: each["enabled_as"] for each in answer.json}
    assert ["greeter"] == found["ideas:Greeter"]


# doctor


def test_doctor_finds_a_machine_that_can_run_tests_fit(shell):
    shell("backtest")

    answer = shell("doctor", "--json", "-")

    assert 0 == answer.code, answer.out
    status = {each["about"]: each["status"] for each in answer.json}
    assert {"ok"} == {
        status[about] for about in ("python", "click", "sqlite", "clock", "configuration", "journal")
    }
    assert ["ok"] == [status[about] for about in status if about.startswith("run ")]


def test_doctor_finds_a_journal_that_was_tampered_with(shell):
    shell("backtest")
    journal = shell.folder / "state" / "journal.sqlite"
    journal.write_bytes(journal.read_bytes().replace(b'"event":"Fill"', b'"event":"Fi1l"', 1))

    answer = shell("doctor", "--json", "-")

    assert 1 == answer.code
    (run,) = (each for each in answer.json if each["about"].startswith("run "))
    assert "fail" == run["status"]
    assert run["way_out"]


def test_doctor_finds_a_configuration_that_cannot_be_meant(shell):
    answer = shell("doctor", "--config", "missing.toml")

    assert 1 == answer.code
    assert "missing.toml" in answer.out


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [(True, "ok", "pure Python: NICEGOLD_PURE=1 asks for it"), (False, "warn", "pure Python")],
)
def test_doctor_says_what_is_not_compiled(shell, monkeypatch, asked, status, says):
    monkeypatch.setitem(sys.modules, "nicegold_ops.telemetry._watched", None)
    monkeypatch.setattr(pure, "ASKED", asked)
    monkeypatch.setattr(pure, "is_compiled", lambda module: False)

    answer = shell("doctor", "--json", "-")

    found = [each for each in answer.json if each["about"] in ("watched calls", "core")]
    assert [(status, says)] * 2 == [(each["status"], each["says"]) for each in found]


# completion, and what plugins bring


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell, name):
    answer = shell("completion", name)

    assert 0 == answer.code
    assert "_NICEGOLD_COMPLETE" in answer.out


def test_bash_completes_subcommands(tmp_path):
    answer = spawned(
        tmp_path,
        env={
            **os.environ,
            "_NICEGOLD_COMPLETE": "bash_complete",
            "COMP_WORDS": "nicegold backt",
            "COMP_CWORD": "1",
        },
    )

    assert ["plain,backtest"] == answer.out.split()


def test_bash_takes_the_script(tmp_path):
    script = spawned(tmp_path, "completion", "bash").out

    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)


def test_a_plugin_that_is_enabled_brings_its_subcommand_with_its_settings(tmp_path):
    (tmp_path / "ideas.py").write_text(IDEAS)
    config = market_in(tmp_path)
    config.write_text(config.read_text() + '\n[plugins.greeter]\nuse = "ideas:Greeter"\nword = "good day"\n')

    answer = spawned(tmp_path, "greet")

    assert (0, "good day\n", "") == answer


def test_a_plugin_that_cannot_add_its_subcommand_is_warned_of_and_disturbs_nobody(tmp_path):
    (tmp_path / "ideas.py").write_text(IDEAS)
    config = market_in(tmp_path)
    config.write_text(config.read_text() + '\n[plugins.odd]\nuse = "ideas:Broken"\n')

    answer = spawned(tmp_path, "--help")

    assert 0 == answer.code
    assert "warning: odd cannot add its subcommands: RuntimeError: boom\n" == answer.err
    assert set(ours()) <= set(answer.out.split())
