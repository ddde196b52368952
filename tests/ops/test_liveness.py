"""Alive is who has done work lately."""

from __future__ import annotations

from nicegold import Health
from nicegold.answers import Reply
from nicegold_ops.liveness import Liveness


def test_an_engine_that_has_not_worked_for_too_long_is_not_alive():
    now = [100.0]
    liveness = Liveness(60.0, lambda: now[0], lambda: ())

    now[0] = 160.0
    assert liveness()[0]
    now[0] = 160.1
    alive, said = liveness()

    assert (False, "stale", 60.1) == (alive, said["status"], said["last_work_seconds_ago"])


def test_work_keeps_it_alive():
    now = [100.0]
    liveness = Liveness(60.0, lambda: now[0], lambda: ())
    now[0] = 500.0

    liveness.worked()

    assert (True, "ok") == (liveness()[0], liveness()[1]["status"])


def test_how_plugins_are_is_shown_and_does_not_decide():
    replies = (
        Reply("model", "health", Health(False, "cannot fit")),
        Reply("desk", "health", error=OSError("gone")),
    )
    alive, said = Liveness(60.0, lambda: 0.0, lambda: replies)()

    assert alive
    assert {"ok": False, "detail": "cannot fit"} == said["plugins"]["model"]
    assert (False, True) == (said["plugins"]["desk"]["ok"], "gone" in said["plugins"]["desk"]["detail"])
