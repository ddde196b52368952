"""Events that wait are counted once each, in their order, by whoever comes first."""

from __future__ import annotations

import threading

from nicegold import Event
from nicegold.testing import bar
from nicegold_ops.telemetry.backlog import Backlog


def test_what_waits_is_counted_before_a_reading_in_its_order():
    counted: list[Event] = []
    backlog = Backlog(counted.append)
    for number in range(3):
        backlog.take(bar(number=number))

    backlog.settle()
    backlog.settle()

    assert [bar(number=number) for number in range(3)] == counted


def test_much_is_counted_without_a_reading():
    counted: list[Event] = []
    backlog = Backlog(counted.append)

    for number in range(1000):
        backlog.take(bar(number=number))

    assert 750 <= len(counted)


def test_whoever_comes_while_another_counts_does_not_wait_for_it():
    counting, go_on = threading.Event(), threading.Event()

    def slowly(event: Event) -> None:
        counting.set()
        go_on.wait(10)

    backlog = Backlog(slowly)
    backlog.take(bar())
    reader = threading.Thread(target=backlog.settle)
    reader.start()
    counting.wait(10)

    backlog.settle()  # would stand still here until the reader is done

    assert reader.is_alive()
    go_on.set()
    reader.join()


def test_from_several_threads_each_event_is_counted_once():
    counted: list[Event] = []
    backlog = Backlog(counted.append)

    def read_often() -> None:
        for _ in range(200):
            backlog.settle()

    readers = [threading.Thread(target=read_often) for _ in range(3)]
    for reader in readers:
        reader.start()

    for number in range(5000):
        backlog.take(bar(number=number))
    for reader in readers:
        reader.join()
    backlog.settle()

    assert [bar(number=number) for number in range(5000)] == counted
