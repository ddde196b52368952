"""The tiers of docs/reliability.md: what `make check` proves each time, and what a night does.

`python -m tests.reliability.tiers gate` exits with 1 where anything is lost, doubled or unexplained.
`nightly` takes `--hours`, writes the page, and says how far each part came.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nicegold_ops.commands.simulate import command_of
from nicegold_ops.simulate import campaign
from nicegold_ops.simulate.campaign import Tally
from nicegold_ops.simulate.shrink import shrunk
from tests.reliability import endurance, identity, teeth
from tests.reliability.planted import BUGS
from tests.services.postgresql import postgresql

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_WORKERS = 2
CHAOS, CRASHES = "venue-chaos sessions", "crash points of scenarios that are crashed everywhere"


class Part(NamedTuple):
    """One line of a tier: what was done, how much of what was wanted, and what was found."""

    name: str
    done: int
    wanted: int
    findings: list[str]
    seconds: float
    note: str = ""


class Tier(NamedTuple):
    """How much of each there is."""

    crashes: int
    sessions: int
    identical: int
    kills: int
    kills_on_postgresql: int
    days: int


TIERS = {
    # As many crashes again are in the sessions.
    "gate": Tier(crashes=5_500, sessions=5_000, identical=200, kills=500, kills_on_postgresql=0, days=1),
    "nightly": Tier(
        crashes=1_000_000, sessions=200_000, identical=1_000, kills=10_000, kills_on_postgresql=1_000, days=30
    ),
}


def lived(tier: Tier, hours: float) -> Iterator[Part]:
    """Each part of *tier*; the long ones end after their share of *hours*."""
    yield _timed(_teeth)
    yield _timed(lambda: _identical(tier.identical))
    yield _timed(lambda: _endured(tier.days))
    yield _timed(lambda: _killed("SQLite", tier.kills, hours / 4))
    if tier.kills_on_postgresql:
        with postgresql() as server:
            store = ("--store", server.url())
            yield _timed(lambda: _killed("PostgreSQL", tier.kills_on_postgresql, hours / 8, *store))
    seeds = range(1, tier.sessions + 1)
    chaos = partial(campaign.sessions, seeds, _WORKERS, progress=_nobody)
    yield _timed(lambda: _simulated(CHAOS, tier.sessions, hours / 4, chaos))
    points = partial(campaign.crashes, 1, tier.crashes, _WORKERS, progress=_nobody)
    yield _timed(lambda: _simulated(CRASHES, tier.crashes, hours / 2, points))


def _timed(do: Callable[[], Part]) -> Part:
    began = time.perf_counter()
    return do()._replace(seconds=time.perf_counter() - began)


def _teeth() -> Part:
    found = list(teeth.all_seen(_WORKERS))
    missed = [f"not seen: {each.bug.name}" for each in found if not each.after]
    last = max(each.after for each in found)
    seen = len(found) - len(missed)
    return Part("planted bugs seen", seen, len(BUGS), missed, 0, f"the last after {last} simulations")


def _identical(seeds: int) -> Part:
    different = [f"seed {each} differs" for each in identity.differing(seeds, _WORKERS)]
    name = f"seeds byte-equal under {len(identity.HASH_SEEDS)} hash seeds"
    return Part(name, seeds - len(different), seeds, different, 0)


def _endured(days: int) -> Part:
    held = endurance.lived(days)
    slope = endurance.slope(held) if days > 1 else 0.0
    note = f"the engine holds {held[-1] / (1 << 20):.2f} MiB at the end, {slope:+.3f} MiB a day"
    findings = [f"memory grows by {slope:.3f} MiB a day"] if slope > endurance.MOST else []
    return Part("virtual days, one bar in twenty with trouble", len(held), days, findings, 0, note)


def _killed(where: str, kills: int, hours: float, *store: str) -> Part:
    # A life mostly waits: for its exchange, for the disk, for its end.
    limits = ["--kills", str(kills), "--seconds", str(int(hours * 3600)), "--workers", "4"]
    command = [sys.executable, "-m", "tests.live.campaign", *limits, *store]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    *_, last = done.stdout.strip().splitlines() or [""]
    number = int(last.split()[0].replace(",", "")) if last else 0
    findings = [done.stdout + done.stderr] if done.returncode else []
    return Part(f"SIGKILLs of a real session on {where}", number, kills, findings, 0, last)


def _simulated(name: str, wanted: int, hours: float, work: Callable[[threading.Event], Tally]) -> Part:
    """*work*, until it is done or its time is over."""
    stop = threading.Event()
    timer = threading.Timer(hours * 3600, stop.set)
    timer.daemon = True
    timer.start()
    tally = work(stop)
    timer.cancel()
    findings = [f"{each.text}\n  {command_of(shrunk(each).plan)}" for each in tally.findings[:3]]
    done = tally.crash_points if name == CRASHES else tally.sessions
    note = f"{tally.crash_points:,} crashes, {tally.lives:,} engines, {sum(tally.struck.values()):,} troubles"
    return Part(name, done, wanted, findings, 0, note)


def _nobody(tally: Tally) -> None:
    """Progress that is not shown."""


def page_with(parts: list[Part], command: str, seconds: float) -> str:
    """The page, with what was measured put in."""
    text = PAGE.read_text()
    before, after = text[: text.index(_BEGIN)], text[text.index(_END) :]
    rows = [
        f"| {each.name} | {each.done:,} | {each.wanted:,} | {len(each.findings)} | {each.seconds:,.0f} "
        f"| {each.note} |"
        for each in parts
    ]
    head = [
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()} with 2 workers, "
        f"Python {platform.python_version()}, {seconds / 60:,.0f} minutes:",
        "",
        "| what | done | wanted | findings | seconds | of which |",
        "|---|---:|---:|---:|---:|---|",
    ]
    return before + "\n".join([_BEGIN, *head, *rows]) + "\n" + after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    chosen = parser.parse_args()
    began, parts = time.perf_counter(), []
    for part in lived(TIERS[chosen.tier], chosen.hours):
        parts.append(part)
        print(f"{part.done:>9,} of {part.wanted:,} {part.name}: {len(part.findings)} findings, ", end="")
        print(f"{part.seconds:,.0f} s; {part.note}", *part.findings, sep="\n  ", flush=True)
    if chosen.write:
        command = f"python -m tests.reliability.tiers {chosen.tier} --hours {chosen.hours:g}"
        PAGE.write_text(page_with(parts, command, time.perf_counter() - began))
    return 1 if any(each.findings for each in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
