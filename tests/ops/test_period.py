"""`[run] start` and `end`: what is known before one, or from the other on, is left out everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.commandline import Shell, market_in

_DAY = 86_400 * 10**9
#: 2026-01-05T00:00:00Z
_START = 1_767_571_200 * 10**9


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def test_a_run_begins_at_its_start_and_is_over_before_its_end(shell):
    part = ("--set", "run.start=2026-01-06T00:00:00Z", "--set", "run.end=2026-01-07T00:00:00Z")

    result = shell("backtest", *part, "--json", "-").json

    # Bars of a quarter of an hour are known when they close: the first at midnight, none at the next.
    assert 96 == result["bars"]
    assert (_START + _DAY, _START + 2 * _DAY - 900 * 10**9) == (result["start"], result["end"])


def test_a_part_replays_as_it_ran(shell):
    shell("backtest", "--set", "run.start=2026-01-06T00:00:00Z", "--set", "run.end=2026-01-07T12:00:00Z")

    answer = shell("replay")

    assert 0 == answer.code, answer.err


def test_zones_are_understood(shell):
    result = shell("backtest", "--set", "run.start=2026-01-06T02:00:00+02:00", "--json", "-").json

    assert _START + _DAY == result["start"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["run.start=2026-01-06"], "it must be a date and time with its zone, such as 2026-01-05T00:00:00Z"),
        (["run.start=2026-01-06T00:00:00"], "it must be a date and time with its zone"),
        (
            ["run.start=2026-01-06T00:00:00Z", "run.end=2026-01-06T00:00:00Z"],
            "[run] start is 2026-01-06T00:00:00+00:00; it must be before end",
        ),
    ],
)
def test_what_is_no_period_is_refused(shell, options, reason):
    answer = shell("check", *(word for option in options for word in ("--set", option)))

    assert 2 == answer.code
    assert reason in answer.err
