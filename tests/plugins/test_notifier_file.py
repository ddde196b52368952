from __future__ import annotations

import json
from pathlib import Path

import pytest

from nicegold import Alert
from nicegold.testing import START, check_conformance
from nicegold_plugins.notifiers.file import File


def alert(title: str = "Halted by daily_loss", text: str = "equity is 89000.00") -> Alert:
    return Alert(severity="critical", title=title, text=text, time=START)


def started(path: Path) -> File:
    plugin = File(path=path)
    plugin.startup()
    return plugin


def test_each_alert_is_one_line_that_can_be_read_at_once(tmp_path):
    path = tmp_path / "alerts.jsonl"
    plugin = started(path)

    plugin.notify(alert(text="two\nlines"))
    first = path.read_text("utf-8")
    plugin.notify(alert(title="Ω"))

    assert {
        "time": "2026-01-05T00:00:00+00:00",
        "severity": "critical",
        "title": "Halted by daily_loss",
        "text": "two\nlines",
    } == json.loads(first)
    assert ["Halted by daily_loss", "Ω"] == [
        json.loads(line)["title"] for line in path.read_text("utf-8").splitlines()
    ]


def test_what_is_in_the_file_stays(tmp_path):
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"title": "before"}\n', "utf-8")

    started(path).notify(alert())

    assert 2 == len(path.read_text("utf-8").splitlines())


def test_a_missing_folder_is_made_at_the_start(tmp_path):
    path = tmp_path / "state" / "today" / "alerts.jsonl"

    started(path)

    assert "" == path.read_text("utf-8")


def test_a_file_that_was_rotated_away_is_made_again(tmp_path):
    path = tmp_path / "alerts.jsonl"
    plugin = started(path)
    path.rename(tmp_path / "alerts.jsonl.1")

    plugin.notify(alert())

    assert 1 == len(path.read_text("utf-8").splitlines())


def test_text_that_is_no_unicode_is_written_too(tmp_path):
    path = tmp_path / "alerts.jsonl"

    started(path).notify(alert(text="\ud800"))

    assert "\ud800" == json.loads(path.read_text("utf-8"))["text"]


def test_a_path_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    (tmp_path / "occupied").write_text("", "utf-8")

    with pytest.raises(
        ValueError, match=r"cannot write alerts to .*occupied/alerts\.jsonl: .*; choose another path"
    ):
        started(tmp_path / "occupied" / "alerts.jsonl")
    with pytest.raises(ValueError, match=r"cannot write alerts to .*: Is a directory; choose another path"):
        started(tmp_path)


def test_it_keeps_the_contract_of_a_plugin(tmp_path):
    check_conformance(lambda: File(path=tmp_path / "alerts.jsonl"))
