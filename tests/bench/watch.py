"""What watching adds to one call: JSON, ns a call, to standard output.

Each way is timed in turn, round after round, so that a machine whose speed drifts slows all of
them; figures are medians of the thread's own time. `host` is a call through the compiled hook of a
host with one and three plugins; `event` is what counting a bar costs besides.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegold import Bar, Portfolio, hookimpl, plugin
from nicegold.host import Host, Observe
from nicegold.testing import ACCOUNT, GOLD, bar, unwatched
from nicegold_ops.telemetry import Telemetry

ROUNDS, CALLS = 15, 20_000


@plugin
class Idle:
    """Does nothing, so that what is measured is the call."""

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> None:
        return None

    @hookimpl
    def check_order(self, order: object, portfolio: Portfolio) -> None:
        return None

    @hookimpl
    def health(self) -> None:
        return None


def ways(telemetry: Telemetry) -> dict[str, tuple[Callable[..., Any], int]]:
    """Each call that is timed, and how many arguments it takes."""
    idle = Idle()
    observe = telemetry.observe
    return {
        "bare": (idle.on_bar, 2),
        "watched": (observe("on_bar", "idle", idle.on_bar), 2),
        "watched check": (observe("check_order", "idle", idle.check_order), 2),
        "bare, any thread": (idle.health, 0),
        "watched, any thread": (observe("health", "idle", idle.health), 0),
        "host, 1 plugin": (_host(unwatched, 1), 2),
        "host, 1 plugin watched": (_host(observe, 1), 2),
        "host, 3 plugins": (_host(unwatched, 3), 2),
        "host, 3 plugins watched": (_host(observe, 3), 2),
        "event": (telemetry.count, 1),
    }


def _host(observe: Observe, plugins: int) -> Callable[..., Any]:
    return Host(observe, {f"idle_{number}": Idle() for number in range(plugins)}).call("on_bar")


def measure(telemetry: Telemetry) -> dict[str, float]:
    """Median ns of each way."""
    arguments = (bar(), Portfolio(ACCOUNT, {"XAUUSD": GOLD}))
    timers = {
        way: timeit.Timer(
            f"call({', '.join(f'arguments[{number}]' for number in range(count))})",
            timer=time.thread_time,
            globals={"call": call, "arguments": arguments},
        )
        for way, (call, count) in ways(telemetry).items()
    }
    taken: dict[str, list[float]] = {way: [] for way in timers}
    for _ in range(ROUNDS):
        for way, timer in timers.items():
            taken[way].append(timer.timeit(CALLS) / CALLS * 1e9)
    return {way: round(statistics.median(each), 1) for way, each in taken.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        telemetry = Telemetry(Path(folder), "bench")
        medians = measure(telemetry)
        telemetry.close()
    added = {
        "one call": medians["watched"] - medians["bare"],
        "one call through the host": medians["host, 1 plugin watched"] - medians["host, 1 plugin"],
        "each of three calls": (medians["host, 3 plugins watched"] - medians["host, 3 plugins"]) / 3,
    }
    json.dump(
        {"ns": medians, "added": {way: round(ns, 1) for way, ns in added.items()}}, sys.stdout, indent=1
    )
    print()


if __name__ == "__main__":
    main()
