from __future__ import annotations

from nicegold_ops.telemetry.waiting import Waiting


def test_what_waits_has_waited_since_it_was_first_seen_until_it_is_gone():
    seen: list[list[str]] = [[], ["a"], ["a", "b"], ["b"], []]
    times = iter(range(1, 6))
    waiting = Waiting(lambda: seen.pop(0), lambda: next(times))

    assert [0, 2, 2, 3, 0] == [waiting.oldest() for _ in range(5)]


def test_one_that_comes_back_waits_anew():
    seen: list[list[str]] = [["a"], [], ["a"]]
    times = iter(range(1, 4))
    waiting = Waiting(lambda: seen.pop(0), lambda: next(times))

    assert [1, 0, 3] == [waiting.oldest() for _ in range(3)]
