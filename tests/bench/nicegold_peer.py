"""The same work on this engine, as one line of JSON like the peers' scripts print.

Seconds go from arrays in memory to the final equity: our own Bar objects, the host, the journal's file and
its last block are inside; imports and reading the bars are not.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# SQLAlchemy imports it when the first journal is opened, and imports are outside of what is measured.
import sqlalchemy.dialects.sqlite  # noqa: F401

from nicegold import Bar
from tests.bench.engines import Alone, Everything, Outcome, backtest, fills_on_journal
from tests.bench.scenario import GOLD, MINUTE, bare_loop
from tests.bench.timed import most_held
from tests.bench.walk import COLUMNS, file_of, scratch

Table = npt.NDArray[np.void]
_PART = 512


def bars_of(table: Table) -> Iterator[Bar]:
    """The bars as the engine takes them, made one at a time of Python's own numbers.

    These are made some thousands at a time: all at once, they would have left the caches when they are used.
    """
    parts = (table[begin : begin + _PART] for begin in range(0, len(table), _PART))
    return chain.from_iterable(map(_bars_of_part, parts))


def _bars_of_part(part: Table) -> Iterator[Bar]:
    starts, *figures = (part[name] for name in COLUMNS.names or ())
    return map(Bar, repeat(GOLD.symbol), *(each.tolist() for each in (starts, starts + MINUTE, *figures)))


def everything(table: Table, folder: Path) -> Outcome:
    """Every call watched, the journal on a file, counters on."""
    return Everything(watched=True).run(bars_of(table), folder)


def whole(table: Table, folder: Path) -> Outcome:
    """A whole backtest: everything, and the equity curve and the feed's counters."""
    return backtest(lambda: bars_of(table), folder)


def unwatched(table: Table, folder: Path) -> Outcome:
    """The same with nobody watching the calls."""
    return Everything(watched=False).run(bars_of(table), folder)


def alone(table: Table, folder: Path) -> Outcome:
    """The engine, with nothing recorded either."""
    return Alone()(bars_of(table))


def bare(table: Table, folder: Path) -> Outcome:
    """A loop that does the work, with no engine around it."""
    return Outcome(*bare_loop(table["open"].tolist(), table["close"].tolist()))


MODES: dict[str, Callable[[Table, Path], Outcome]] = {
    each.__name__: each for each in (everything, whole, unwatched, alone, bare)
}


def measure(mode: str, table: Table, folder: Path) -> dict[str, Any]:
    """What one run took and came to."""
    base = most_held()
    began, worked = time.perf_counter(), time.process_time()
    outcome = MODES[mode](table, folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    return {
        "name": f"nicegold:{mode}",
        "bars": len(table),
        "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu, 4),
        "bars_per_s": round(len(table) / seconds),
        "trades": outcome.fills,
        "final_equity": round(outcome.equity, 2),
        "peak_mb": round(most_held(), 1),
        "base_mb": round(base, 1),
        "version": version("nicegold"),
        "python": platform.python_version(),
        "hook_calls": outcome.calls,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.nicegold_peer", description=__doc__)
    parser.add_argument("bars", type=int)
    parser.add_argument("--gap", action="store_true")
    parser.add_argument("--mode", choices=MODES, default="everything")
    options = parser.parse_args()
    table = np.load(file_of(options.bars, gap=options.gap))
    with scratch() as folder:
        line = measure(options.mode, table, Path(folder))
        if options.mode in ("everything", "whole", "unwatched"):
            line["trades_on_journal"] = fills_on_journal(Path(folder))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
