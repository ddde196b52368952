"""Virtual days of one account: what its engine holds in memory, day by day.

The world around it (the exchange's books, the disk in memory, the checks' ledger) grows with all that ever
happened. So what is measured is what the engine holds: all that can be reached from it, its portfolio, its
journal and its reconciler.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from random import Random
from types import FunctionType, MethodType, ModuleType
from typing import Any

import sqlalchemy as sa

from nicegold_ops.simulate.life import Life
from nicegold_ops.simulate.plan import KINDS, SECOND, Plan, Trouble, Where
from nicegold_ops.simulate.world import World

MINUTE = 60 * SECOND
BARS_A_DAY = 24 * 60
#: Of so many bars one goes wrong, or what follows from it does.
_ONE_IN = 20
#: Strategies want something on one bar in seven: some two hundred orders a day.
_REST = 0.85
#: A few of these in all: each reads the whole journal again, and a recovery is no day's work.
_RARE = {"power", "kill", "halt"}
_BESIDES: tuple[Where, ...] = ("order", "change", "execution", "question", "step")
#: What may go wrong day after day: not what only a person ends, nor what takes the machine along.
_LEFT_OUT = {"bust", "our clock", "their clock", "power before", "power after", "kill after"}
_MEBIBYTE = 1 << 20
#: What it may grow by, in mebibytes a day.
MOST = 0.5


def plan_of(seed: int, days: int) -> Plan:
    """*days* of a bar a minute, 5 % of them with trouble, and an end of the process each day."""
    random = Random(f"endurance {seed}")
    kinds = [
        (where, what)
        for where in _BESIDES
        for what in KINDS[where]
        if what not in _LEFT_OUT and what not in _RARE
    ]
    bars = days * BARS_A_DAY
    troubles = {_drawn(random, *random.choice(kinds), bars) for _ in range(bars // _ONE_IN)}
    ends = {Trouble("step", random.choice(("power", "kill")), day * BARS_A_DAY + 700) for day in range(days)}
    return Plan(seed, bars, tuple(sorted(troubles | ends)), pace=MINUTE, rest=_REST)


def _drawn(random: Random, where: Where, what: str, bars: int) -> Trouble:
    often = {"order": 0.1, "change": 0.03, "execution": 0.15, "question": 5.0}.get(where, 1.0)
    amount = random.randint(SECOND, 20 * SECOND) if what in ("hold", "late", "outage", "adjust") else 0
    return Trouble(where, what, random.randint(1, int(bars * often)), amount)


class Watched(World):
    """A world that notes what its engine holds at the end of each virtual day, in bytes."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.held: list[int] = []
        self._next_day = self.now + BARS_A_DAY * MINUTE

    def _after(self, life: Life) -> None:
        super()._after(life)
        if self.now >= self._next_day:
            self._next_day += BARS_A_DAY * MINUTE
            self.held.append(size_of(life.engine, life.portfolio, life.journal, life.reconciler, life.pager))
            self.story.lines.clear()


def size_of(*roots: object) -> int:
    """Bytes of all that can be reached from *roots*, but for code, the store and the world around."""
    seen: set[int] = set()
    return sum(sys.getsizeof(each) for each in _reached(list(roots), seen))


def _reached(waiting: list[Any], seen: set[int]) -> Iterator[object]:
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _OUTSIDE):
            continue
        seen.add(id(each))
        yield each
        waiting += gc.get_referents(each)


_OUTSIDE = (type, ModuleType, FunctionType, MethodType, World, sa.Engine)


def slope(held: list[int]) -> float:
    """Mebibytes a day, by least squares, after the first tenth of the days."""
    warm = held[len(held) // 10 :]
    middle, mean = (len(warm) - 1) / 2, sum(warm) / len(warm)
    above = sum((day - middle) * (size - mean) for day, size in enumerate(warm))
    return above / sum((day - middle) ** 2 for day in range(len(warm))) / _MEBIBYTE


def lived(days: int, seed: int = 1) -> list[int]:
    """What the engine held at the end of each of *days*. Raises Violated."""
    world = Watched(plan_of(seed, days))
    world.run()
    return world.held


if __name__ == "__main__":
    held = lived(int(sys.argv[1]))
    print([round(each / _MEBIBYTE, 2) for each in held], f"{slope(held):.3f} MiB a day")
