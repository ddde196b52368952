from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import hookspecs
from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.flight import FlightRecorder, read
from nicegold_ops.telemetry.watch import LAP, OBJECTING, SHORT_LAP, TRADING, Watch
from tests.ops.telemetry.twins import TWINS, WITH_A_CLOCK_OF_ITS_OWN, clock_of

HOOKS = sorted([*TRADING, "startup", "health", "notify"])


class Watched:
    """A watch on a recorder in *folder*; Python's clock goes on by 10 ns at each look."""

    def __init__(self, folder: Path, twin: str) -> None:
        self.path = folder / "flight"
        self.cause = [0]
        looks = count(1)
        self.recorder = FlightRecorder(self.path, "run", wall=lambda: 0, clock=lambda: 0.0)
        self.watch = Watch(self.recorder, self.cause, clock_of(twin, lambda: next(looks) * 10 / 1e9))
        self.observe = self.watch.observe


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def watched(tmp_path: Path, twin: str) -> Iterator[Watched]:
    made = Watched(tmp_path, twin)
    yield made
    made.recorder.close()


@WITH_A_CLOCK_OF_ITS_OWN
def test_a_call_leaves_one_record_with_its_cause_and_its_times(watched):
    on_bar = watched.observe("on_bar", "cross", lambda bar, portfolio: [bar])
    watched.cause[0] = 42

    on_bar("bar", "portfolio")

    assert [flight.Call("on_bar", "cross", 1, 42, 10, 10, "success")] == read(watched.path).calls


@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_that_raises_is_recorded_as_an_error(watched, hook):
    call = watched.observe(hook, "broken", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        call()

    assert ["error"] == [each.outcome for each in read(watched.path).calls]


@pytest.mark.parametrize("hook", HOOKS)
def test_only_a_checks_answer_is_a_veto(watched, hook):
    call = watched.observe(hook, "plugin", lambda: "an answer")

    call()

    assert ["vetoed" if hook in OBJECTING else "success"] == [
        each.outcome for each in read(watched.path).calls
    ]


def test_a_checks_silence_is_a_success(watched):
    call = watched.observe("check_order", "limit", lambda order, portfolio: None)

    call("order", "portfolio")

    assert ["success"] == [each.outcome for each in read(watched.path).calls]


ANSWERS = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
ERRORS = st.sampled_from(
    [ValueError("no"), KeyError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)


def result_of(call: Callable[..., Any], arguments: list[Any]) -> tuple[str, Any]:
    """What came out: the very object that was answered or raised."""
    try:
        return "answered", call(*arguments)
    except BaseException as error:
        return "raised", error


def functions(outcome: Any, seen: list[tuple[Any, ...]]) -> list[Callable[..., Any]]:
    """Functions of 0, 1, 2, 3 and any number of arguments that note them and answer or raise *outcome*."""

    def end(*arguments: Any) -> Any:
        seen.append(arguments)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def none() -> Any:
        return end()

    def one(a: Any) -> Any:
        return end(a)

    def two(a: Any, b: Any) -> Any:
        return end(a, b)

    def three(a: Any, b: Any, c: Any = None) -> Any:
        return end(a, b, c)

    return [none, one, two, three, end]


@given(
    hook=st.sampled_from(HOOKS),
    outcome=st.one_of(ANSWERS, ERRORS),
    size=st.integers(0, 4),
    closed=st.booleans(),
    # The first is C's.
    clock=st.sampled_from(
        [time.perf_counter, lambda: 7.0, lambda: -1.0, lambda: None, lambda: 1 / 0, lambda: "noon"]
    ),
)
def test_watching_changes_nothing_of_what_comes_out(tmp_path_factory, hook, outcome, size, closed, clock):
    recorder = FlightRecorder(tmp_path_factory.mktemp("f") / "flight", "run", lambda: 0, lambda: 0.0)
    watch = Watch(recorder, [0], clock)
    seen: list[tuple[Any, ...]] = []
    call = functions(outcome, seen)[size]
    arguments = [object() for _ in range(min(size, 3))]
    observed = watch.observe(hook, "plugin", call)
    if closed:
        watch.close()
        recorder.close()

    bare, watched = result_of(call, arguments), result_of(observed, arguments)

    assert bare[0] == watched[0]
    assert bare[1] is watched[1]
    assert seen[0] == seen[1]
    recorder.close()


def test_an_error_that_is_raised_does_not_carry_one_of_ours(watched):
    call = watched.observe("on_bar", "broken", lambda: 1 / 0)
    watched.recorder.close()

    with pytest.raises(ZeroDivisionError) as caught:
        call()

    assert caught.value.__context__ is None


def test_failures_of_the_watching_are_counted(watched):
    call = watched.observe("on_bar", "cross", lambda: None)
    watched.recorder.close()

    assert call() is None

    assert 0 < watched.watch.errors


@pytest.mark.parametrize(("hook", "lap"), [("on_bar", LAP), ("notify", SHORT_LAP)])
def test_what_is_counted_goes_on_when_the_ring_comes_round(watched, hook, lap):
    call = watched.observe(hook, "plugin", lambda: None)
    (implementation,) = watched.watch.implementations

    for made in (1, lap - 2, 1, 1, lap, 5):
        before = implementation.totals().calls
        for _ in range(made):
            call()
        assert before + made == implementation.totals().calls

    assert 2 * lap + 6 == implementation.totals().success
    assert 0 == watched.watch.errors


@WITH_A_CLOCK_OF_ITS_OWN
def test_the_time_that_calls_took_is_added_up_when_the_ring_comes_round(watched):
    call = watched.observe("on_bar", "cross", lambda: None)

    for _ in range(LAP + 1):
        call()

    assert 10 * (LAP + 1) == watched.watch.implementations[0].totals().nanoseconds


def test_what_was_counted_outlives_the_recorder(watched):
    call = watched.observe("on_bar", "cross", lambda: None)
    call()

    watched.watch.close()
    watched.recorder.close()

    assert 1 == watched.watch.implementations[0].totals().calls


def test_calls_from_several_threads_are_all_recorded(watched):
    call = watched.observe("notify", "mail", lambda alert: None)

    def work() -> None:
        for _ in range(1_000):
            call("alert")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4_000 == watched.watch.implementations[0].totals().success
    assert [] == read(watched.path).unfinished


def test_totals_that_are_read_while_calls_are_made_only_rise(watched):
    call = watched.observe("on_bar", "cross", lambda: None)
    (implementation,) = watched.watch.implementations
    stop = threading.Event()
    read_by_another: list[int] = []

    def work() -> None:
        while not stop.is_set():
            read_by_another.append(implementation.totals().calls)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(10 * LAP):
        call()
    stop.set()
    thread.join()

    assert sorted(read_by_another) == read_by_another
    assert 10 * LAP == implementation.totals().calls


def test_a_call_is_in_hand_until_it_ends(watched):
    seen: list[flight.Unfinished] = []
    for hook in ("on_bar", "startup"):
        watched.observe(hook, "cross", lambda: seen.extend(read(watched.path).unfinished))()

    assert [flight.Unfinished("on_bar", "cross"), flight.Unfinished("startup", "cross")] == seen
    assert [] == read(watched.path).unfinished


def test_every_hook_that_is_said_to_be_of_the_trading_thread_is_a_hook():
    assert TRADING <= set(vars(hookspecs))
