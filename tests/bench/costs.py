"""Where the time of a run goes: by layer, each added in turn, and by function, sampled.

By layer: the same bars are only made, only decided on, handled by the engine alone, with the journal and
with everything; each the best of its rounds, since what disturbs a round only ever makes it longer.

By function: py-spy, in an environment of its own, looks from outside at a process that runs with everything
on. Python itself can be interrupted at few points only, and a sampler inside it would see those. It cannot
see into what is compiled, so all of core runs as Python there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from nicegold import Bar, Portfolio
from tests.bench.calls import in_turn
from tests.bench.engines import Alone, Everything
from tests.bench.peers import ROOT, made
from tests.bench.scenario import ACCOUNT, GOLD, Cross, Row, bars, rows
from tests.bench.walk import HOME, scratch

PROFILER = "profiler"
#: Looks a second.
_RATE = 500
_SHOWN = 20
#: The frame below which the work is; what is outside is the interpreter's start.
_WORK = "tests/bench/engines.py: fold"


class Layer(msgspec.Struct, frozen=True):
    """ns that a layer adds to each bar."""

    name: str
    nanoseconds: float


class Spot(msgspec.Struct, frozen=True):
    """The part of a run that is spent in a function itself, and in it with all that it calls."""

    function: str
    own: float
    whole: float


class Costs(msgspec.Struct, frozen=True):
    """What a bar costs, by layer and by function; *unseen* says why there are no functions."""

    layers: list[Layer]
    spots: list[Spot]
    looks: int
    unseen: str = ""


class ProfilerFailed(RuntimeError):
    """py-spy is there and did not look."""


def measure(count: int, rounds: int) -> Costs:
    """Layers and functions of runs over *count* bars."""
    walk = list(rows(count))
    seconds = in_turn(_ways(walk), rounds)
    best = [min(each) for each in seconds.values()]
    unseen = made(PROFILER)
    stacks = Counter[tuple[str, ...]]() if unseen else looked(count, rounds)
    found = layers(list(seconds), best, count)
    return Costs(found, spots(stacks), sum(stacks.values()), unseen)


def layers(names: Sequence[str], seconds: Sequence[float], count: int) -> list[Layer]:
    """What each way adds to the one before it, ns a bar."""
    before = [0.0, *seconds]
    return [
        Layer(name, (own - less) / count * 1e9)
        for name, own, less in zip(names, seconds, before, strict=False)
    ]


def _ways(walk: Sequence[Row]) -> dict[str, Callable[[], object]]:
    """Each with what the one before it does, and the layer that it is named by."""
    journaled, everything = Everything(watched=False), Everything(watched=True)
    return {
        "bars made": lambda: sum(1 for _ in bars(walk)),
        "the strategy's own work": lambda: _decide(bars(walk)),
        "engine, host, portfolio, venue": lambda: Alone()(bars(walk)),
        "journal and counters": lambda: journaled(bars(walk)),
        "watching every call": lambda: everything(bars(walk)),
    }


def _decide(market: Iterable[Bar]) -> None:
    cross, portfolio = Cross(name="cross"), Portfolio(ACCOUNT, {GOLD.symbol: GOLD})
    for bar in market:
        cross.on_bar(bar, portfolio)


# By function.


def looked(count: int, rounds: int) -> Counter[tuple[str, ...]]:
    """How often each stack of functions was seen in *rounds* runs over *count* bars, the innermost last.

    Raises ProfilerFailed.
    """
    with scratch() as folder:
        raw = Path(folder) / "stacks"
        spy = [str(HOME / PROFILER / "bin/py-spy"), "record", "--rate", str(_RATE), "--format", "raw"]
        work = [sys.executable, "-m", "tests.bench.costs", "--only-run", str(count), str(rounds)]
        pure = os.environ | {"NICEGOLD_PURE": "1"}
        command = [*spy, "--full-filenames", "--output", str(raw), "--", *work]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=pure)
        if done.returncode or not raw.exists():
            raise ProfilerFailed(f"py-spy ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return parsed(raw.read_text())


def parsed(raw: str) -> Counter[tuple[str, ...]]:
    """The stacks in py-spy's *raw* text, from `fold` on."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in raw.splitlines():
        frames, _, times = line.rpartition(" ")
        names = [_name(frame) for frame in frames.split(";")]
        if _WORK in names:
            stacks[tuple(names[names.index(_WORK) :])] += int(times)
    return stacks


def spots(stacks: Mapping[tuple[str, ...], int]) -> list[Spot]:
    """The functions in which most of the time is spent themselves."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, times in stacks.items():
        own[stack[-1]] += times
        whole.update(dict.fromkeys(stack, times))
    looks = max(sum(own.values()), 1)
    return [Spot(name, times / looks, whole[name] / looks) for name, times in own.most_common(_SHOWN)]


def _name(frame: str) -> str:
    """`Engine.handle (/.../core/nicegold/engine.py:119)` as `core/nicegold/engine.py: Engine.handle`."""
    function, _, place = frame.rpartition(" (")
    path = Path(place.rpartition(":")[0])
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}: {function}"


def main() -> None:
    """`--only-run BARS ROUNDS` is the process that py-spy looks at."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.costs", description=main.__doc__)
    parser.add_argument("--only-run", nargs=2, type=int, metavar=("BARS", "ROUNDS"), required=True)
    count, rounds = parser.parse_args().only_run
    run, walk = Everything(watched=True), list(rows(count))
    for _ in range(rounds):
        run(bars(walk))


if __name__ == "__main__":
    main()
