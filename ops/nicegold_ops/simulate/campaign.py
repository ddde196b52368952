"""Many simulations: sessions of one seed after another, and a crash at every operation of short scenarios."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from random import Random
from typing import TypeAlias, TypeVar

import msgspec

from nicegold_ops.errors import NicegoldError
from nicegold_ops.simulate.invariants import Violated
from nicegold_ops.simulate.plan import Plan, Trouble, Where, planned
from nicegold_ops.simulate.world import World
from nicegold_ops.sweep.pool import Died, Pool

Task = TypeVar("Task")
#: Bars of a scenario that is crashed everywhere.
BARS_OF_CRASHES = 8
#: Of one crash, how many fates of unsynced writes are tried, and how many crashes in the recovery from it.
_FATES, _AGAIN = 2, 3
#: Where the process can end besides at the disk, and how.
_ENDS: tuple[tuple[Where, str], ...] = (
    ("order", "power before"),
    ("order", "power after"),
    ("order", "kill after"),
    ("change", "kill after"),
    ("execution", "kill"),
    ("question", "power"),
    ("step", "power"),
    ("step", "kill"),
)
#: Seeds that a worker takes at once.
_BATCH = 10


class Finding(msgspec.Struct, frozen=True):
    """What does not hold in *plan*."""

    plan: Plan
    invariant: str
    text: str


class Tally(msgspec.Struct, frozen=True):
    """Sessions, crashes in them, engines that lived, and how often each trouble struck."""

    sessions: int = 0
    crash_points: int = 0
    lives: int = 0
    struck: dict[str, int] = {}
    findings: tuple[Finding, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.sessions + other.sessions,
            self.crash_points + other.crash_points,
            self.lives + other.lives,
            dict(Counter(self.struck) + Counter(other.struck)),
            self.findings + other.findings,
        )


Progress: TypeAlias = Callable[[Tally], None]


def lived(plan: Plan) -> tuple[World, Finding | None]:
    """The world of *plan*, lived through, and what was found in it."""
    world = World(plan)
    try:
        world.run()
    except Violated as violated:
        return world, Finding(plan, violated.invariant, str(violated))
    return world, None


def sessions(seeds: Iterable[int], workers: int, stop: threading.Event, progress: Progress) -> Tally:
    """Each of *seeds*, as it is planned."""
    return _all(_sessions, _batches(seeds), workers, stop, progress)


def crashes(seed: int, points: int, workers: int, stop: threading.Event, progress: Progress) -> Tally:
    """Scenarios from *seed* on, each crashed at every point, and in the recovery, until so many *points*."""
    tasks = ((each, trouble) for each in count(seed) for trouble in points_of(each))
    return _all(_crash, tasks, workers, stop, progress, points)


def points_of(seed: int) -> Iterator[Trouble]:
    """Every operation of the disk, and all that leaves or comes in a scenario: places to crash at."""
    world, found = lived(Plan(seed, BARS_OF_CRASHES))
    # Of what goes wrong by itself there is nothing to crash.
    operations = 0 if found else world.operations[0]
    for at in range(1, operations + 1):
        yield Trouble("disk", "power", at, life=1)
    for where, what in _ENDS:
        for at in range(1, world.counts[where] + 1):
            yield Trouble(where, what, at)


def _sessions(seeds: list[int]) -> Tally:
    return sum((_one(planned(seed)) for seed in seeds), Tally())


def _crash(task: tuple[int, Trouble]) -> Tally:
    """One point: with each fate of what was not synced, and crashed again after it."""
    seed, first = task
    tally, random = Tally(), Random(f"{seed} {first}")  # noqa: S311  # repeated, not guarded
    for luck in range(_FATES):
        world, found = lived(Plan(seed, BARS_OF_CRASHES, (first,), luck))
        tally += tallied(world, found)
        if luck or world.lives < 2:
            continue
        for again in range(_AGAIN):
            # Most often while it recovers, and now and then thrice.
            reach = world.operations[1] if again else min(40, world.operations[1])
            more = [Trouble("disk", "power", random.randint(1, reach), life=life) for life in (2, 3)]
            troubles = (first, *more[: 1 + (again == 1)])
            tally += _one(Plan(seed, BARS_OF_CRASHES, tuple(sorted(troubles)), luck))
    return tally


def _one(plan: Plan) -> Tally:
    return tallied(*lived(plan))


def tallied(world: World, found: Finding | None) -> Tally:
    """What one world adds."""
    struck = {f"{where}: {what}": number for (where, what), number in world.struck.items()}
    findings = () if found is None else (found,)
    return Tally(1, world.crashes, world.lives, struck, findings)


def _batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    waiting = iter(seeds)
    while batch := list(islice(waiting, _BATCH)):
        yield batch


def _all(
    work: Callable[[Task], Tally],
    tasks: Iterable[Task],
    workers: int,
    stop: threading.Event,
    progress: Progress,
    points: int | None = None,
) -> Tally:
    tally = Tally()
    with Pool(work, workers) as pool:
        for task, answer in pool.run(tasks, stop):
            if isinstance(answer, Died):
                raise NicegoldError(f"a worker has died of {task}: {answer}")
            tally += answer
            progress(tally)
            if points is not None and tally.crash_points >= points:
                break
    return tally
