"""A process that forks while it is scraped: what it is, its child is not."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import Metric
from prometheus_client.registry import Collector

from nicegold_ops.forks import lock
from nicegold_ops.telemetry import Telemetry, flight
from nicegold_ops.telemetry.flight import FILE
from nicegold_ops.telemetry.logs import Logs, logger
from tests.ops.telemetry.children import child, ended

#: Hooks whose calls are watched in C where there is a compiler, and in Python, by turns.
HOOKS = ("on_bar", "check_order", "health")
#: Labels of the calls of this plugin that went well.
FORKS = 'outcome="success",plugin="forks",plugin_kind="unknown"'


class Slow(Collector):
    """Is in the middle of a scrape until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def collect(self) -> Iterator[Metric]:
        self.begun.set()
        self.may_go_on.wait(30)
        yield from ()


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    telemetry = Telemetry(tmp_path, "run")
    yield telemetry
    telemetry.close()


def test_a_scrape_that_is_under_way_comes_whole_and_tells_of_the_parent_only(telemetry):
    calls = [telemetry.observe(hook, "forks", lambda asked: None) for hook in HOOKS]
    slow = Slow()
    port = telemetry.serve("127.0.0.1", 0, lambda: (True, {}))

    def call_all(times: int = 1) -> None:
        for call in calls * times:
            call("bar")

    call_all()
    slow.may_go_on.set()
    # It is asked what it has when it is registered.
    telemetry.registry.register(slow)
    slow.begun.clear()
    slow.may_go_on.clear()
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(lambda: urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read())
        assert slow.begun.wait(30)
        number = child(lambda: call_all(5))
        code = ended(number)
        slow.may_go_on.set()
        said = answer.result(30).decode()
    told = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()

    assert 0 == code
    assert "process_start_time_seconds" in said
    for hook in HOOKS:
        sample = f'nicegold_hook_calls_total{{hook="{hook}",{FORKS}}} 1.0'
        assert sample in said
        assert sample in told


def test_a_child_writes_nothing_into_its_parents_flight_recorder(telemetry, tmp_path):
    calls = [telemetry.observe(hook, "forks", lambda asked: None) for hook in HOOKS]
    for call in calls:
        call("parent")
    before = (tmp_path / FILE).read_bytes()

    code = ended(child(lambda: [call("child") for call in calls for _ in range(5000)]))

    assert 0 == code
    assert before == (tmp_path / FILE).read_bytes()
    for call in calls:
        call("parent")
    assert [1, 1, 1, 2, 2, 2] == sorted(each.sequence for each in flight.read(tmp_path / FILE).calls)


def test_a_plugin_that_forks_in_its_call_has_one_record_of_it(telemetry, tmp_path):
    numbers: list[int] = []

    def forks(asked: str) -> None:
        numbers.append(child(lambda: watched_too("child")))

    watched_too = telemetry.observe("check_order", "too", lambda asked: None)
    telemetry.observe("on_bar", "forks", forks)("bar")

    assert [0] == [ended(number) for number in numbers]
    found = flight.read(tmp_path / FILE)
    assert [("on_bar", "success")] == [(each.hook, each.outcome) for each in found.calls]
    assert [] == found.unfinished


def test_a_child_that_lives_on_keeps_nobody_from_the_port(telemetry, tmp_path):
    port = telemetry.serve("127.0.0.1", 0, lambda: (True, {}))
    number = child(signal.pause)
    try:
        telemetry.close()

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 10)
        after = Telemetry(tmp_path / "after", "after")
        assert port == after.serve("127.0.0.1", port, lambda: (True, {}))
        after.close()
    finally:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)


def test_a_child_may_close_what_is_its_parents_and_the_parent_goes_on(telemetry):
    call = telemetry.observe("on_bar", "forks", lambda bar: None)
    port = telemetry.serve("127.0.0.1", 0, lambda: (True, {}))

    code = ended(child(telemetry.close))
    call("bar")

    assert 0 == code
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert f'nicegold_hook_calls_total{{hook="on_bar",{FORKS}}} 1.0' in answer.read().decode()


def test_a_child_waits_for_no_lock_that_another_thread_held():
    held = lock()
    held.acquire()

    code = ended(child(held.acquire))

    assert 0 == code
    assert held.locked()
    held.release()


@pytest.mark.parametrize("to", ["file", "stream"])
def test_a_child_logs_while_a_thread_of_its_parent_is_in_the_middle_of_a_line(tmp_path, to):
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    stream = pipe.open("w") if to == "stream" else None
    logs = Logs(file=None if stream else pipe, stream=stream)
    line = "x" * 100_000
    with ThreadPoolExecutor(2) as beside:
        # More than there is room for.
        writing = beside.submit(logger("parent").warning, line)
        assert select.select([read], [], [], 30)[0]

        number = child(lambda: logger("child").warning("is here"))
        os.set_blocking(read, True)
        said = beside.submit(lambda: b"".join(iter(lambda: os.read(read, 65536), b"")))
        code = ended(number)
        writing.result(30)
        logs.close()
        if stream:
            stream.close()
        lines = said.result(30)
    os.close(read)

    assert 0 == code
    assert {"unwritable": 0, "unread": 0} == logs.lost
    assert 2 == lines.count(b"\n")
    assert b'"message":"is here"' in lines


def test_a_child_does_not_rename_the_log_that_its_parent_writes(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None, size=1000)

    code = ended(child(lambda: [logger("child").warning("is here") for _ in range(50)]))
    there = [path.name for path in tmp_path.iterdir()]
    logger("parent").warning("goes on")
    logs.close()

    assert 0 == code
    assert ["log"] == there
    assert "log.1" in {path.name for path in tmp_path.iterdir()}
    assert "goes on" in (tmp_path / "log").read_text()
