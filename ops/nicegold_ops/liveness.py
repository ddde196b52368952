"""Whether the engine is alive, judged by completed work: an open socket proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegold import Health
from nicegold.answers import Replies


class Liveness:
    """Alive while an event was handled, or the session began, within *patience* seconds.

    *monotonic* gives seconds; *health* asks the plugins, whose answers are shown and do not decide:
    a strategy that cannot fit its model is no reason to restart the engine.
    """

    def __init__(
        self, patience: float, monotonic: Callable[[], float], health: Callable[[], Replies]
    ) -> None:
        self._patience = patience
        self._monotonic = monotonic
        self._health = health
        self._worked = monotonic()

    def worked(self) -> None:
        """An event was handled to its end."""
        self._worked = self._monotonic()

    def __call__(self) -> tuple[bool, dict[str, Any]]:
        """Whether it is alive, and what /healthz says about it."""
        age = self._monotonic() - self._worked
        alive = age <= self._patience
        plugins = {
            reply.plugin: _words(reply.value or Health(False, reply.reason)) for reply in self._health()
        }
        return alive, {
            "status": "ok" if alive else "stale",
            "last_work_seconds_ago": round(age, 3),
            "patience_seconds": self._patience,
            "plugins": plugins,
        }


def _words(health: Health) -> dict[str, Any]:
    return {"ok": health.ok, "detail": health.detail}
