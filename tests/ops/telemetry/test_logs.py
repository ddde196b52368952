from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nicegold_ops.errors import NicegoldError
from nicegold_ops.telemetry import logs as log_module
from nicegold_ops.telemetry.logs import Logs, logger
from nicegold_ops.trace import span_id
from tests.ops.telemetry.pipes import pipe

#: 2026-01-05T00:00:00.123Z, and a bit.
NOW = 1_767_571_200_123_456_789


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Open = Callable[..., Logs]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens logs that are closed after the test."""
    opened: list[Logs] = []

    def open_logs(**options: Any) -> Logs:
        opened.append(Logs(wall=lambda: NOW, **options))
        return opened[-1]

    yield open_logs
    for logs in opened:
        logs.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_ecs_fields(opened, tmp_path):
    opened(file=tmp_path / "logs" / "nicegold.json", stream=None)

    logger("engine").info(
        "order sent", **{"event.action": "order.submitted", "nicegold.order.client_id": "x-1"}
    )

    assert [
        {
            "@timestamp": "2026-01-05T00:00:00.123Z",
            "log.level": "info",
            "message": "order sent",
            "ecs.version": "9.0.0",
            "service.name": "nicegold",
            "log.logger": "nicegold.engine",
            "event.action": "order.submitted",
            "nicegold.order.client_id": "x-1",
        }
    ] == lines((tmp_path / "logs" / "nicegold.json").read_text())


def test_the_standard_librarys_loggers_go_the_same_way(opened):
    stream = io.StringIO()
    opened(stream=stream)

    logging.getLogger("nicegold.plugins.gold").warning(
        "%d lines left out", 3, extra={"event.dataset": "gold"}
    )

    assert [
        {
            "@timestamp": "2026-01-05T00:00:00.123Z",
            "log.level": "warning",
            "message": "3 lines left out",
            "ecs.version": "9.0.0",
            "service.name": "nicegold",
            "log.logger": "nicegold.plugins.gold",
            "event.dataset": "gold",
        }
    ] == lines(stream.getvalue())


@pytest.mark.parametrize(
    "log", [logger("x").exception, logging.getLogger("nicegold.x").exception], ids=["structlog", "logging"]
)
def test_an_exception_is_told_in_ecs_fields(opened, log):
    stream = io.StringIO()
    opened(stream=stream)

    try:
        raise ValueError("no price")
    except ValueError:
        log("plugin failed")

    (line,) = lines(stream.getvalue())
    assert ("ValueError", "no price") == (line["error.type"], line["error.message"])
    assert line["error.stack_trace"].startswith("Traceback (most recent call last):\n")
    assert "exc_info" not in line


def test_an_exception_can_be_handed_over(opened):
    stream = io.StringIO()
    opened(stream=stream)

    logger("x").error("plugin failed", exc_info=KeyError("symbol"))

    assert "KeyError" == lines(stream.getvalue())[0]["error.type"]


def test_a_person_at_a_terminal_gets_words(opened):
    terminal = Terminal()
    opened(stream=terminal)

    logger("engine").info("order sent", order="x-1")

    assert "order sent" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_a_persons_traceback_does_not_show_local_variables(opened):
    terminal = Terminal()
    opened(stream=terminal)
    password = "hunter" + "2"

    try:
        raise ValueError(len(password))
    except ValueError:
        logger("x").exception("plugin failed")

    assert "ValueError: 7" in terminal.getvalue()
    assert "hunter2" not in terminal.getvalue()


def test_what_json_has_no_form_for_is_told_in_words(opened):
    stream = io.StringIO()
    opened(stream=stream)

    logger("x").info("read", path=Path("gold.csv"), count=float("inf"))

    line = lines(stream.getvalue())[0]
    assert ("gold.csv", None) == (line["path"], line["count"])


def test_below_the_level_nothing_is_logged(opened):
    stream = io.StringIO()
    opened(stream=stream, level=logging.WARNING)

    logger("x").info("quiet")
    logging.getLogger("nicegold.x").info("quiet")

    assert "" == stream.getvalue()


def test_the_root_logger_is_left_to_whoever_embeds_us(opened, caplog):
    opened(stream=io.StringIO())

    logger("x").error("ours")

    assert [] == caplog.records


def test_once_closed_nothing_is_written_and_nothing_complains(opened, capsys):
    stream = io.StringIO()
    opened(stream=stream).close()

    logger("x").error("too late")
    logging.getLogger("nicegold.x").error("too late")

    assert "" == stream.getvalue()
    assert ("", "") == capsys.readouterr()


def test_a_file_that_cannot_be_written_is_named(opened, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(NicegoldError, match=r"file/log\.jsonl: the log cannot be written \("):
        opened(file=tmp_path / "file" / "log.jsonl")


def test_a_log_that_nobody_opened_is_silent(capsys):
    logger("x").error("unheard")
    logging.getLogger("nicegold.x").error("unheard")

    assert ("", "") == capsys.readouterr()


def test_opened_anew_each_line_is_written_once(opened):
    first, second = io.StringIO(), io.StringIO()
    opened(stream=first)
    opened(stream=second)

    logger("x").info("once")

    assert ("", 1) == (first.getvalue(), len(lines(second.getvalue())))


def test_a_line_names_the_trace_of_the_cycle_in_which_it_is_logged(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None, wall=lambda: 0)
    logger("strategy").info("before")
    logs.trace = lambda: "0" * 31 + "1"
    logger("strategy").info("within")
    logs.close()

    before, within = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert "trace.id" not in before
    assert ("0" * 31 + "1", span_id("0" * 31 + "1")) == (within["trace.id"], within["span.id"])


def test_a_full_file_is_renamed_and_no_line_is_torn_lost_or_doubled(opened, tmp_path):
    logs = opened(file=tmp_path / "log", stream=None, size=3000, kept=1000)

    def work(name: str) -> None:
        for number in range(300):
            logger(name).info("said", **{"event.sequence": number, "message.filler": "é" * (number % 50)})

    threads = [Thread(target=work, args=(f"thread{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    files = list(tmp_path.glob("log*"))
    written = [each for file in files for each in lines(file.read_text("utf-8"))]
    assert sorted((f"nicegold.thread{name}", number) for name in range(4) for number in range(300)) == sorted(
        (each["log.logger"], each["event.sequence"]) for each in written
    )
    assert 10 < len(files)
    # The last line of a file is counted by its letters.
    assert all(file.stat().st_size < 3100 for file in files)
    assert {"unwritable": 0, "unread": 0} == logs.lost


def test_so_many_files_are_kept_and_no_more(opened, tmp_path):
    opened(file=tmp_path / "log", stream=None, size=1000, kept=2)

    for number in range(100):
        logger("x").info(f"line {number}")

    assert ["log", "log.1", "log.2"] == sorted(each.name for each in tmp_path.iterdir())
    assert "line 99" == lines((tmp_path / "log").read_text())[-1]["message"]


def test_where_a_file_cannot_be_renamed_it_grows(opened, tmp_path):
    (tmp_path / "log.1").mkdir()
    logs = opened(file=tmp_path / "log", stream=None, size=1000, kept=1)

    for number in range(100):
        logger("x").info(f"line {number}")

    assert [f"line {number}" for number in range(100)] == [
        each["message"] for each in lines((tmp_path / "log").read_text())
    ]
    assert {"unwritable": 0, "unread": 0} == logs.lost


def test_a_reader_that_stops_holds_up_nobody_and_what_is_lost_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "_MOST_LINES", 20)
    monkeypatch.setattr(log_module, "_PATIENCE", 0.0)
    told = 200
    with pipe() as (_, stream):
        logs = Logs(file=tmp_path / "log", stream=stream, wall=lambda: NOW)

        for number in range(told):
            # A pipe holds 64 kB.
            logger("engine").info("x" * 10_000, number=number)
        lost_at_once = logs.lost["unread"]
        logs.close()

    assert told == len((tmp_path / "log").read_text().splitlines())
    # Some are in the pipe, one is on its way into it, and twenty waited until the end.
    assert told - 30 <= lost_at_once < told - 20
    assert told - 10 <= logs.lost["unread"] < told


def test_a_reader_that_is_slow_gets_all_of_it_in_its_order():
    found: list[bytes] = []
    with pipe() as (reads, stream):
        logs = Logs(stream=stream, wall=lambda: NOW)

        for number in range(200):
            logger("engine").info("x" * 10_000, number=number)
        reader = Thread(target=lambda: found.extend(iter(lambda: os.read(reads, 65_536), b"")))
        reader.start()
        logs.close()
        stream.close()
        reader.join(10)

    assert list(range(200)) == [each["number"] for each in lines(b"".join(found).decode())]
    assert {"unwritable": 0, "unread": 0} == logs.lost
