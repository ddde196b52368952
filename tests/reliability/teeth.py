"""Plants each bug in a copy of the code and counts the seeds until the simulator sees it.

`python -m tests.reliability.teeth` does all; exits with 1 if one is not seen within `SEEDS`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.reliability.planted import BUGS, Bug

ROOT = Path(__file__).parents[2]
#: A bug that so many seeds do not show is not seen.
SEEDS = 600
#: What a copy lives through: drawn seeds and, in turn, scenarios that are crashed. Where the simulation that
#: showed the bug first does not any more, all are tried.
_LIVED = """
import sys
from itertools import chain, islice
from random import Random
from nicegold_ops.simulate.campaign import BARS_OF_CRASHES, lived, points_of
from nicegold_ops.simulate.plan import Plan, planned

def crashed():
    for seed in range(1, 100):
        points = list(points_of(seed))
        Random(seed).shuffle(points)
        for point in points[:20]:
            yield Plan(seed, BARS_OF_CRASHES, (point,))

def plans():
    drawn = map(planned, range(1, 10_000))
    return enumerate(chain.from_iterable(zip(drawn, crashed())), 1)

def shown(numbered):
    for number, plan in numbered:
        try:
            _, found = lived(plan)
        except Exception as error:
            return f"{number} {type(error).__name__}: {error}"
        if found is not None:
            return f"{number} {found.text}"
    return ""

first, last = map(int, sys.argv[1:])
print(shown(islice(plans(), first - 1, first)) or shown(islice(plans(), last)))
"""


class Seen(NamedTuple):
    """After how many simulations *bug* was seen, and by what; 0 if it was not."""

    bug: Bug
    after: int
    by: str


def seen(bug: Bug) -> Seen:
    """Plant *bug* and look."""
    with tempfile.TemporaryDirectory(prefix="nicegold-") as folder:
        copy = Path(folder)
        for part in ("core", "ops", "plugins"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        plant(bug, copy)
        path = os.pathsep.join(str(copy / part) for part in ("core", "ops", "plugins"))
        done = subprocess.run(
            [sys.executable, "-c", _LIVED, str(bug.shown), str(SEEDS)],
            env={**os.environ, "PYTHONPATH": path, "NICEGOLD_PURE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    number, _, by = done.stdout.strip().partition(" ")
    if done.returncode:
        raise RuntimeError(f"{bug.name}: {done.stderr}")
    return Seen(bug, int(number or 0), by)


def plant(bug: Bug, folder: Path) -> None:
    """Raises ValueError where the code is not as *bug* takes it to be."""
    file = folder / bug.file
    text = file.read_text()
    if text.count(bug.before) != 1:
        raise ValueError(f"{bug.name}: {bug.file} has {text.count(bug.before)} places such as {bug.before!r}")
    file.write_text(text.replace(bug.before, bug.after))


def all_seen(workers: int = 2) -> Iterator[Seen]:
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(seen, BUGS)


def main() -> int:
    missed = 0
    for each in all_seen():
        missed += not each.after
        print(f"{each.after or 'NOT SEEN':>8}  {each.bug.name:40}  {each.by[:100]}", flush=True)
    print(f"{len(BUGS) - missed} of {len(BUGS)} planted bugs seen within {SEEDS} simulations each")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
