"""`make bench`: this engine watched and journaled, against itself unwatched and a bare loop.

Rounds go round robin in one process and each figure is the median of the thread's own time, so that a
machine whose speed drifts slows all of them, and other processes none. Ends with 1 when a watched call
costs more than it may.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nicegold import Event, Portfolio, Started
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import unwatched
from nicegold_ops.app import recorded
from nicegold_ops.journal import Journal, Run, open_journal
from nicegold_ops.telemetry import Telemetry
from nicegold_plugins.brokers.paper import Paper

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.scenario import ACCOUNT, GOLD, Cross, Limit, Looker, bare_loop, bars, rows

#: What a watched call may cost more than an unwatched one, end to end, on a machine where the bare
#: loop does so many bars a second: other machines, and this one on a bad day, are measured by that.
MOST_NANOSECONDS = 600.0
REFERENCE_BARS_A_SECOND = 3_860_000.0

Rows = list[tuple[int, float, float, float, float, float]]
Way = Callable[[Rows], object]


#: Strategies that only look: with them, most of what a bar costs is calls, so that what watching adds is
#: not lost in the noise of everything else.
LOOKERS = 8


def plugins(lookers: int = 0) -> dict[str, object]:
    working = {"cross": Cross(name="cross"), "limit": Limit()}
    venue = {"venue": Paper(commission_rate=Decimal("0.0001"))}
    return {**working, **{f"looker{number}": Looker() for number in range(lookers)}, **venue}


def run_engine(
    table: Rows, host: Host, record: Callable[[Event], None], cause: list[int]
) -> tuple[int, float]:
    portfolio = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    engine = Engine(host, record, portfolio, cause=cause)
    engine.start(
        Started(
            version="bench",
            seed=7,
            cash=ACCOUNT.cash,
            currency=ACCOUNT.currency,
            instruments=[GOLD],
            configuration="",
            sources={},
        )
    )
    handle = engine.handle
    for bar in bars(table):
        handle(bar, "bench")
    return engine.sequence, portfolio.equity


def unrecorded(event: Event) -> None:
    """The record port of an engine whose work nobody wants to keep."""


def alone(table: Rows) -> float:
    """The engine alone: nobody watches, nothing is recorded."""
    return run_engine(table, Host(unwatched, plugins()), unrecorded, [0])[1]


class Everything:
    """Journal and counters on; with *watched*, every call too. Remembers how many calls there were."""

    def __init__(self, *, watched: bool, lookers: int = 0) -> None:
        self._watched = watched
        self._lookers = lookers
        self.calls = 0

    def __call__(self, table: Rows) -> float:
        with tempfile.TemporaryDirectory() as folder:
            telemetry = Telemetry(Path(folder), "bench")
            journal = _journal(Path(folder), telemetry.cause)
            host = Host(telemetry.observe if self._watched else unwatched, plugins(self._lookers))
            record = recorded(journal, telemetry)
            equity = run_engine(table, host, record, telemetry.cause)[1]
            journal.flush()
            self.calls = sum(hook.calls for hook in telemetry.summary())
            telemetry.close()
        return equity


def _journal(folder: Path, cause: list[int]) -> Journal:
    store = open_journal(folder / "journal.sqlite", durable=False)
    run = Run("bench", "backtest", 0)
    return Journal(store, run, cause=cause, durable=False, by_reference=True)


def measure(table: Rows, rounds: int) -> dict[str, float]:
    """Median seconds of each way to do the work; journal and counters are on with and without watching."""
    ways: dict[str, Way] = {
        "bare loop": bare_loop,
        "engine alone": alone,
        "engine, unwatched": Everything(watched=False),
        "engine, watched": Everything(watched=True),
    }
    seconds = in_turn(ways, table, rounds)
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    return medians | {"watched call": watched_call(table[: len(table) // 4], rounds)}


def watched_call(table: Rows, rounds: int) -> float:
    """Median seconds that watching adds to a call, round by round."""
    watched = Everything(watched=True, lookers=LOOKERS)
    seconds = in_turn({"off": Everything(watched=False, lookers=LOOKERS), "on": watched}, table, 2 * rounds)
    pairs = zip(seconds["on"], seconds["off"], strict=True)
    return statistics.median((on - off) / watched.calls for on, off in pairs)


def in_turn(ways: dict[str, Way], table: Rows, rounds: int) -> dict[str, list[float]]:
    """Seconds of the thread's own time for each of the *rounds* of each of the *ways*."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            gc.collect()
            began = time.thread_time()
            work(table)
            seconds[way].append(time.thread_time() - began)
    return seconds


def scaled(medians: dict[str, float], count: int) -> float:
    """What a watched call costs more, ns, at the reference machine's speed."""
    speed = count / medians["bare loop"] / REFERENCE_BARS_A_SECOND
    return medians["watched call"] * 1e9 * speed


def show(medians: dict[str, float], count: int) -> None:
    table = Table(title=f"{count:,} bars, {platform.python_version()} on {platform.machine()}")
    for column in ("way", "bars/s", "µs a bar", "x bare loop"):
        table.add_column(column, justify="left" if column == "way" else "right")
    bare = medians["bare loop"]
    for way, seconds in medians.items():
        if way != "watched call":
            table.add_row(
                way, f"{count / seconds:,.0f}", f"{seconds / count * 1e6:.2f}", f"{seconds / bare:.1f}"
            )
    console = Console()
    console.print(table)
    console.print(
        f"a watched call costs {medians['watched call'] * 1e9:.0f} ns more here, "
        f"{scaled(medians, count):.0f} ns where the bare loop does {REFERENCE_BARS_A_SECOND:,.0f} bars/s; "
        f"at most {MOST_NANOSECONDS:.0f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    medians = measure(list(rows(options.bars)), options.rounds)
    show(medians, options.bars)
    if options.json:
        options.json.write_text(json.dumps({"bars": options.bars, "seconds": medians}, indent=1))
    return int(scaled(medians, options.bars) > MOST_NANOSECONDS)


if __name__ == "__main__":
    sys.exit(main())
