from __future__ import annotations

import logging

import pytest

from nicegold import Alert
from nicegold.testing import START, check_conformance
from nicegold_plugins.notifiers.log import Log


def alert(severity: str = "critical", text: str = "equity is 89000.00") -> Alert:
    return Alert(severity=severity, title="Halted by daily_loss", text=text, time=START)


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("info", logging.INFO),
        ("warning", logging.WARNING),
        ("critical", logging.CRITICAL),
        ("odd", logging.WARNING),
    ],
)
def test_an_alert_is_one_line_at_the_level_of_its_severity(caplog, severity, level):
    caplog.set_level(logging.INFO, "nicegold.notify")

    Log().notify(alert(severity))

    assert [("nicegold.notify", level, "Halted by daily_loss: equity is 89000.00")] == caplog.record_tuples


def test_text_from_outside_cannot_write_lines_of_its_own(caplog):
    Log().notify(alert(text="first\nsecond\r\x1b[31m %s third"))

    assert ["Halted by daily_loss: first second  [31m %s third"] == caplog.messages


def test_it_keeps_the_contract_of_a_plugin():
    check_conformance(Log)
