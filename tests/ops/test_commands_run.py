"""A paper session from the command line, in a process of its own, as an operator starts and stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.ops.commandline import Shell, logged, market_in, spawn, spawned, wait_until

pytestmark = pytest.mark.slow

PAPER = ("--set", "run.mode=paper")
#: Bars that last for longer than any test, at so many a second.
SLOWLY = (*PAPER, "--set", "run.pace=100")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    market_in(tmp_path, bars=20_000)
    return tmp_path


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def begun(process: subprocess.Popen[str]) -> str:
    """Where the metrics of the session are that *process* has begun."""
    assert process.stdout is not None
    found = re.fullmatch(r"run \S+-paper, metrics at (http://\S+)/metrics\n", process.stdout.readline())
    assert found, process.communicate()
    return found[1]


def fetched(url: str) -> str:
    # The session has just said what it is, and that it is on this machine.
    with urlopen(url, timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def bars_seen(metrics: str) -> float:
    found = re.search(r'nicegold_hook_calls_total\{hook="on_bar",.*outcome="success".*\} (\S+)', metrics)
    return float(found[1]) if found else 0.0


def results(folder: Path) -> Iterator[Any]:
    for path in sorted(folder.glob("state/runs/*/result.json")):
        yield json.loads(path.read_bytes())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_session_that_is_told_to_stop_ends_well_and_says_what_it_came_to(folder, how):
    with spawn(folder, "run", *SLOWLY) as process:
        begun(process)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)

    assert 0 == process.returncode
    assert ["engine.started", "engine.finished"] == [
        each["event.action"] for each in logged(err) if each["log.logger"] == "nicegold.run"
    ]
    (result,) = results(folder)
    assert "stopped" == result["ended"]
    assert result["fingerprint"] in out
    assert str(folder / "state" / "runs" / result["run"] / "report.html") in out
    assert (folder / "state" / "runs" / result["run"] / "report.html").exists()


def test_a_session_ends_by_itself_after_so_many_seconds(shell):
    market_in(shell.folder, bars=20_000)

    answer = shell("run", *SLOWLY, "--seconds", "0.5", "--json", "-")

    assert 0 == answer.code
    assert {"info"} == {each["log.level"] for each in logged(answer.err)}
    assert "stopped" == answer.json["ended"]


def test_a_running_session_answers_for_its_metrics_and_its_health(folder):
    with spawn(folder, "run", *SLOWLY) as process:
        url = begun(process)
        metrics, health = fetched(f"{url}/metrics"), json.loads(fetched(f"{url}/healthz"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert 'nicegold_hook_calls_total{hook="on_bar"' in metrics
    assert "ok" == health["status"]


def test_a_taken_port_is_one_clear_error(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        answer = shell("run", *PAPER, "--set", f"run.metrics_port={port}")

    assert 2 == answer.code
    assert re.fullmatch(rf"error: .*127\.0\.0\.1:{port}.*\n", answer.err)
    # A run that never began is not what anybody wants to repeat.
    assert 3 == shell("replay").code
    ran = shell("backtest", "--json", "-").json["run"]
    shell("run", *PAPER, "--set", "run.metrics_host=192.0.2.1")
    assert ran == shell("replay", "--json", "-").json["run"]


def test_paper_backtest_and_the_replay_of_either_are_the_same(shell):
    paper = shell("run", *PAPER, "--json", "-").json
    backtest = shell("backtest", "--json", "-").json

    assert backtest["trades"] == paper["trades"]
    assert backtest["fingerprint"] == paper["fingerprint"]
    for run in (paper["run"], backtest["run"]):
        again = shell("replay", run, "--json", "-")
        assert 0 == again.code, again.err
        assert again.json["identical"]
        assert again.json["finished"]
        assert backtest["fingerprint"] == again.json["fingerprint"]


def test_a_session_halted_by_risk_says_so_with_its_exit_code(shell):
    config = shell.folder / "nicegold.toml"
    config.write_text(config.read_text() + '\n[plugins.stop]\nuse = "daily_loss"\nlimit = "1"\n')

    answer = shell("run", *PAPER)

    assert 4 == answer.code
    assert "error: halted by risk: stop" in answer.err.splitlines()[-1]
    assert "halted" in answer.out


def test_after_sigkill_the_black_box_and_the_journal_tell_what_happened(folder):
    with spawn(folder, "run", *SLOWLY) as process:
        url = begun(process)
        wait_until(lambda: bars_seen(fetched(f"{url}/metrics")) > 50, process)
        process.kill()
        process.communicate(timeout=60)

    (folder / "nicegold.toml").unlink()
    box = spawned(folder, "blackbox", "--state", "state", "--last", "3", "--json", "-")
    again = spawned(folder, "replay", "--state", "state", "--json", "-")
    calls = {plugin: {call["hook"] for call in calls} for plugin, calls in box.json["plugins"].items()}
    assert {"on_bar"} == calls["cross"]
    assert "match_orders" in calls["venue"]
    assert 3 == len(box.json["plugins"]["cross"])
    assert 0 == again.code, again.err
    assert again.json["identical"]
    assert not again.json["finished"]


def test_on_a_terminal_the_session_is_seen_as_it_goes(folder):
    ours, theirs = os.openpty()

    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"}
    with spawn(folder, "run", *SLOWLY, "--seconds", "2", stdout=theirs, env=environment) as process:
        os.close(theirs)
        seen = read_terminal(ours)
        process.wait(timeout=60)

    assert 0 == process.returncode
    for part in ("XAUUSD", "last heard", "equity", "on_bar", "metrics", "fill", "report"):
        assert part in seen, part


def read_terminal(ours: int) -> str:
    """All that was shown until whoever writes there has gone."""
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # what Linux says when the other side has closed
            more = b""
        if not more:
            os.close(ours)
            return shown.decode(errors="replace")
        shown += more


def test_no_progress_bar_is_drawn_where_nobody_looks(tmp_path):
    market_in(tmp_path)

    answer = spawned(tmp_path, "backtest")

    assert "" == answer.err
    assert "\x1b" not in answer.out
