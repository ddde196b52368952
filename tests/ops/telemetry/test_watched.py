"""The watched call in C against its twin in Python, and what C alone could get wrong."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import sys
import threading
import time
import traceback
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hatch_build
from nicegold import pure
from nicegold_ops.telemetry import flight, watch
from nicegold_ops.telemetry.flight import FIRST, FlightRecorder
from nicegold_ops.telemetry.watch import Watch, native
from tests.ops.telemetry.twins import TWINS, C, clock_of

SIZE = flight.RECORD.size


class Scripted:
    """A watch in *twin*, with rings of three slots, whose plugin does what a script says."""

    def __init__(self, folder: Path, twin: str) -> None:
        clock = clock_of(twin, iter(range(1, 1_000_000)).__next__)
        self.cause: list[Any] = [0]
        self.recorder = FlightRecorder(folder / twin, "run", wall=lambda: 0, clock=lambda: 0.0)
        self.watch = Watch(self.recorder, self.cause, clock)
        with patch.object(watch, "LAP", 3):
            self.calls = {
                hook: self.watch.observe(hook, "plugin", self.act) for hook in ("on_bar", "check_order")
            }

    def act(self, step: Any) -> Any:
        match step:
            case BaseException():
                raise step
            case hook, inner:
                return self.result(hook, inner)
        return step

    def result(self, hook: str, step: Any) -> Any:
        """What came out: the very object that was answered or raised."""
        try:
            return self.calls[hook](step)
        except BaseException as error:
            return "raised", error

    def rings(self) -> list[bytes]:
        """All records, without their times."""
        return [timeless(each.ring.records()) for each in self.watch.implementations]


def timeless(records: bytes) -> bytes:
    words = np.frombuffer(records, "<u8").reshape(-1, SIZE // 8).copy()
    words[:, 2:4] = 0
    return words.tobytes()


HOOKS = st.sampled_from(["on_bar", "check_order"])
ERRORS = [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(1)]
STEPS = st.recursive(
    st.sampled_from([None, "no", 0, *ERRORS]), lambda inner: st.tuples(HOOKS, inner), max_leaves=3
)
CAUSES = st.sampled_from([0, 1, True, 2**64 - 1, np.int64(7), 2**64, -1, "x", 1.5, None])


@given(script=st.lists(st.tuples(HOOKS, STEPS, CAUSES), max_size=12))
@example([("on_bar", None, number) for number in range(8)])
@example([("check_order", ("check_order", ("on_bar", ERRORS[1])), 1)] * 5)
@example([("on_bar", None, 1), ("on_bar", None, "x"), ("on_bar", "no", 2)])
def test_the_twins_write_the_same_bytes_and_answer_the_same(tmp_path_factory, script):
    folder = tmp_path_factory.mktemp("twins")
    python, c = (Scripted(folder, twin) for twin in TWINS)

    for hook, step, cause in script:
        python.cause[0] = c.cause[0] = cause
        assert python.result(hook, step) == c.result(hook, step)
        assert python.rings() == c.rings()

    assert python.watch.errors == c.watch.errors
    for each in (python, c):
        each.recorder.close()


@pytest.fixture
def c(tmp_path: Path) -> Iterator[Scripted]:
    made = Scripted(tmp_path, C)
    yield made
    made.recorder.close()


def watched(call: Callable[..., Any], **other: Any) -> Callable[..., Any]:
    """*call* watched in C, with three slots and nobody who looks at them."""
    make = native(clock_of(C, time.perf_counter))
    assert make is not None
    parts: dict[str, Any] = {
        "ring": bytearray(FIRST + 3 * SIZE),
        "first": FIRST,
        "last": FIRST + 2 * SIZE,
        "silence": 1 << 8,
        "answer": 2 << 8,
        "error": 3 << 8,
        "cause": [7],
        "lap": lambda: None,
        "broken": lambda: None,
    }
    return make(call, **parts | other)


def records(ring: bytearray) -> list[tuple[Any, ...]]:
    return list(flight.RECORD.iter_unpack(ring[FIRST:]))


def test_arguments_by_name_reach_the_plugin_as_they_are():
    call = watched(lambda *arguments, **named: (arguments, named))

    assert ((1, 2), {"three": 3}) == call(1, 2, three=3)
    assert ((), {"three": 3}) == call(**{"three": 3})
    assert ((), {}) == call()


def test_arguments_that_the_plugin_does_not_take_are_its_error():
    ring = bytearray(FIRST + 3 * SIZE)
    call = watched(lambda bar: None, ring=ring)

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'bar'"):
        call()

    assert 3 << 8 == records(ring)[0][0]


def test_times_are_those_of_perf_counter():
    ring = bytearray(FIRST + SIZE)
    seen: list[float] = []
    call = watched(lambda: seen.append(time.perf_counter()), ring=ring, last=FIRST)

    for _ in range(1_000):
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        _, _, start, end, _ = records(ring)[0]
        assert before <= start <= seen[-1] <= end <= after
        assert is_of_nanoseconds(start)
        assert is_of_nanoseconds(end)


def is_of_nanoseconds(seconds: float) -> bool:
    """Whether this is a whole number of nanoseconds, divided in double, as perf_counter does it."""
    near = round(seconds * 1e9)
    return seconds in [each / 1e9 for each in (near - 1, near, near + 1)]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_exception_keeps_its_traceback_and_gets_no_other(c, error):
    def fails(step: object) -> None:
        raise error.with_traceback(None)

    call = c.watch.observe("on_bar", "plugin", fails)
    c.cause[0] = "what is swallowed meanwhile"
    caught = None
    try:
        call(None)
    except BaseException as raised:
        caught = raised

    assert error is caught
    assert caught.__context__ is None
    assert "fails" == traceback.extract_tb(caught.__traceback__)[-1].name
    assert 1 == c.watch.errors


@pytest.mark.parametrize("outcome", ["yes", None, ValueError("no")], ids=repr)
@pytest.mark.parametrize("lap", [ValueError("lap"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_lap_that_raises_changes_nothing_of_what_comes_out(outcome, lap):
    ring, broken = bytearray(FIRST + 3 * SIZE), []
    act = watched(raising(outcome), ring=ring, lap=raising(lap), broken=lambda: broken.append(1))

    came = []
    for _ in range(5):
        with contextlib.suppress(ValueError):
            came.append(act())

    assert ([] if isinstance(outcome, ValueError) else [outcome] * 5) == came
    assert 3 == len(broken)
    # The last slot is written again and again.
    assert [1, 2, 5] == [record[-1] for record in records(ring)]


def raising(outcome: object) -> Callable[[], object]:
    def act() -> object:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return act


def test_nothing_comes_out_of_a_count_of_failures_that_fails():
    call = watched(lambda: "answer", cause=[], broken=raising(SystemExit(1)))

    assert "answer" == call()


def test_a_cause_cell_that_calls_back_meets_whole_records():
    class Restless:
        def __index__(self) -> int:
            cause[0] = 5
            return int(call() == "answer")

    ring = bytearray(FIRST + 3 * SIZE)
    cause: list[Any] = [Restless()]
    call = watched(lambda: "answer", ring=ring, cause=cause)

    assert "answer" == call()

    assert [(5, 2), (1, 2), (0, 0)] == [(cause, sequence) for _, cause, _, _, sequence in records(ring)]


def test_a_ring_that_becomes_shorter_is_not_written_beyond(c):
    ring, broken = bytearray(FIRST + 3 * SIZE), []
    call = watched(lambda: "answer", ring=ring, broken=lambda: broken.append(1))

    del ring[FIRST:]

    assert "answer" == call()
    assert 2 == len(broken)
    assert FIRST == len(ring)


def test_a_recorder_can_be_closed_within_a_call(c):
    closing = c.watch.observe("on_bar", "plugin", c.recorder.close)

    assert closing() is None
    assert closing() is None

    assert 1 + 2 == c.watch.errors


@pytest.mark.parametrize(
    ("first", "last"),
    [(-SIZE, 0), (FIRST, 0), (FIRST, FIRST + 3 * SIZE), (FIRST, FIRST + 1), (FIRST, sys.maxsize)],
)
def test_slots_that_do_not_fit_into_the_ring_are_refused(first, last):
    with pytest.raises(
        ValueError, match=f"slots of 48 bytes from {first} to {last} do not fill a ring of 4240"
    ):
        watched(print, first=first, last=last)


@pytest.mark.parametrize("ring", [b"read only", None, mmap.mmap(-1, 4096, access=mmap.ACCESS_READ)])
def test_a_ring_that_cannot_be_written_is_refused(ring):
    with pytest.raises((TypeError, BufferError)):
        watched(print, ring=ring)


def test_it_has_no_attributes_of_its_own():
    call = watched(print)

    with pytest.raises(AttributeError):
        call.call = print  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        type(call).call = print  # type: ignore[attr-defined]


# Memory.


def test_calls_keep_nothing(c):
    answer, error, argument, number = object(), ValueError("no"), object(), 10**15
    c.cause[0] = number
    act = {"answer": answer, "error": error}
    call = c.watch.observe("on_bar", "plugin", lambda _, what: raising(act[what])())

    def work(count: int) -> None:
        for _ in range(count):
            call(argument, "answer")
            with contextlib.suppress(ValueError):
                call(argument, "error")
            error.__traceback__ = None

    def held() -> list[int]:
        kept = (answer, error, argument, number, c.cause, call, FIRST)
        return [sys.getrefcount(each) for each in kept]

    work(100)
    gc.collect()
    before = held()
    objects = len(gc.get_objects())
    tracemalloc.start()
    work(1_000)
    traced = tracemalloc.get_traced_memory()[0]
    work(50_000)
    grown = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    gc.collect()

    # The sum of the laps is new.
    assert len(gc.get_objects()) < objects + 10
    assert before == held()
    assert grown < 10_000


def test_failures_of_the_watching_keep_nothing(c):
    call = c.calls["on_bar"]
    c.recorder.close()
    call(None)
    tracemalloc.start()
    traced = tracemalloc.get_traced_memory()[0]

    for _ in range(20_000):
        call(None)

    grown = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    assert grown < 10_000


def test_making_and_dropping_them_keeps_nothing():
    make = type(watched(print))
    parts: dict[str, Any] = {"cause": [0], "lap": raising(None), "broken": raising(None)}
    before = [sys.getrefcount(each) for each in (make, *parts.values())]

    for _ in range(1_000):
        watched(print, **parts)
        with contextlib.suppress(ValueError):
            watched(print, first=-1, **parts)

    assert before == [sys.getrefcount(each) for each in (make, *parts.values())]


def test_a_plugin_that_holds_its_own_watched_call_is_collected():
    class Plugin:
        def on_bar(self) -> None:
            pass

    plugin: Any = Plugin()
    plugin.watched = watched(plugin.on_bar)
    plugin.watched()
    seen = weakref.ref(plugin)

    del plugin
    gc.collect()

    assert seen() is None


# Threads and processes.


def test_several_threads_that_should_not_call_it_break_nothing(c):
    call = c.calls["on_bar"]
    came: list[bool] = []

    def work() -> None:
        for _ in range(5_000):
            answer = object()
            came.append(answer is call(answer))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)

    assert [True] * 20_000 == came
    assert 0 == c.watch.errors


def test_a_child_process_goes_on_with_calls_of_its_own(c):
    call = c.calls["on_bar"]
    call(None)

    child = os.fork()
    if child == 0:
        came = [call(number) for number in range(10)]
        c.recorder.close()
        os._exit(0 if came == list(range(10)) and call("closed") == "closed" else 1)
    _, status = os.waitpid(child, 0)
    came = [call(number) for number in range(10)]

    assert 0 == status
    assert list(range(10)) == came
    assert 0 == c.watch.errors


# Which of the two.


def test_c_is_left_alone_where_it_cannot_look_at_the_clock(monkeypatch):
    clock_of(C, time.perf_counter)

    assert native(lambda: 0.0) is None
    assert native(time.monotonic) is None
    monkeypatch.setattr(watch, "_CLOCK", "mach_absolute_time()")
    assert native(time.perf_counter) is None


def test_c_is_left_alone_where_the_environment_asks_for_python(monkeypatch):
    clock_of(C, time.perf_counter)

    monkeypatch.setattr(pure, "ASKED", True)

    assert native(time.perf_counter) is None


def test_without_c_there_is_python(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "nicegold_ops.telemetry._watched", None)
    recorder = FlightRecorder(tmp_path / "flight", "run", lambda: 0, time.perf_counter)

    call = Watch(recorder, [0], time.perf_counter).observe("on_bar", "cross", lambda bar: bar)

    assert "bar" == call("bar")
    assert "watched" == call.__name__
    recorder.close()


def test_hooks_that_several_threads_call_take_turns_in_python(c):
    assert "function" == type(c.watch.observe("notify", "mail", print)).__name__
    assert "Watched" == type(c.watch.observe("on_bar", "cross", print)).__name__


def test_a_machine_that_can_compile_it_has_it():
    """Else the tests of C are skipped, and nobody sees it."""
    try:
        hatch_build.command(Path("source"), Path("made"))
    except hatch_build.NotCompiled as reason:
        pytest.skip(str(reason))

    assert find_spec("nicegold_ops.telemetry._watched") is not None, "run `rm .venv/.ready; make venv`"
