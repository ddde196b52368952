"""The pool: a process that dies costs the task that it had in hand, and nothing else."""

from __future__ import annotations

import threading
import time

import pytest

from nicegold_ops.sweep.pool import Died, Pool
from tests.ops.sweep import work


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_each_task_gets_its_answer(stop):
    with Pool(work.double, 2) as pool:
        answers = dict(pool.run(range(20), stop))

    assert {number: 2 * number for number in range(20)} == answers


def test_a_process_that_dies_costs_its_own_task_only(stop):
    with Pool(work.crash_at_three, 1) as pool:
        answers = dict(pool.run(range(6), stop))

    died = answers.pop(3)
    assert isinstance(died, Died)
    assert "its process ended with code 7" == str(died)
    assert {0: 0, 1: 1, 2: 2, 4: 4, 5: 5} == answers


def test_what_a_task_raises_is_raised(stop):
    with Pool(work.refuse, 1) as pool, pytest.raises(ValueError, match="not 1"):
        list(pool.run([1], stop))


def test_what_is_printed_in_a_process_is_not_shown(stop, capfd):
    with Pool(work.speak, 1) as pool:
        assert [(1, 1)] == list(pool.run([1], stop))

    assert "" == capfd.readouterr().out


def test_a_wish_to_stop_does_not_wait_for_the_work(stop):
    began = time.monotonic()
    threading.Timer(0.5, stop.set).start()

    with Pool(work.sleep, 1) as pool:
        assert [] == list(pool.run([60, 60], stop))

    assert time.monotonic() - began < 20


def test_a_pool_can_be_asked_again(stop):
    with Pool(work.double, 1) as pool:
        assert [(1, 2)] == list(pool.run([1], stop))
        assert [(2, 4)] == list(pool.run([2], stop))
        assert [] == list(pool.run([], stop))
