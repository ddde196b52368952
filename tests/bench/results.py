"""What a bench has measured, and what it was to show."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nicegold import engine, pure
from nicegold_ops.telemetry.watch import native
from tests.bench import bulk, calls, memory, orders, scaling, shipping
from tests.bench.bulk import Bulk
from tests.bench.calls import Added
from tests.bench.costs import Costs
from tests.bench.memory import Memory
from tests.bench.orders import Orders
from tests.bench.peers import OURS, PEERS, Result
from tests.bench.scaling import Scaling
from tests.bench.shipping import Shipping

ROOT = Path(__file__).parents[2]


class Machine(msgspec.Struct, frozen=True):
    """Where and when it was measured, and what runs compiled there, what as Python."""

    processor: str
    cores: int
    kernel: str
    python: str
    commit: str
    date: str
    watching: str
    core: str


class Race(msgspec.Struct, frozen=True):
    """Every engine on the same bars, round after round, and what they did not agree on."""

    bars: int
    gap: bool
    rounds: list[list[Result]]
    left_out: dict[str, str]
    disagreements: list[str]

    def of(self, peer: str) -> list[Result]:
        """The runs of *peer*, in the order in which they were."""
        return [result for each in self.rounds for result in each if result.peer == peer]

    def times_as_fast(self, peer: str) -> list[float]:
        """How many times as fast as *peer* we were, round by round, in time of the processor."""
        return [_cpu(each, peer) / _cpu(each, OURS) for each in self.rounds]


def _cpu(results: list[Result], peer: str) -> float:
    return statistics.median(result.cpu for result in results if result.peer == peer)


class Spread(msgspec.Struct, frozen=True):
    """The middle of several figures, and how far they go."""

    median: float
    low: float
    high: float

    def told(self, form: str) -> str:
        """How far they go, each in the format *form*; nothing where there is one figure."""
        return f" ({self.low:{form}} to {self.high:{form}})" if self.low < self.high else ""


def spread(figures: list[float]) -> Spread:
    """The median, the lowest and the highest of *figures*."""
    return Spread(statistics.median(figures), min(figures), max(figures))


class Verdict(msgspec.Struct, frozen=True):
    """What was to be shown, what was measured, and whether that is enough; None where it was not measured."""

    what: str
    measured: str
    needed: str
    passed: bool | None


class Bench(msgspec.Struct, frozen=True):
    """Everything that one run of the bench has measured."""

    machine: Machine
    races: list[Race] = []
    added: Added | None = None
    scaling: Scaling | None = None
    memory: Memory | None = None
    costs: Costs | None = None
    orders: Orders | None = None
    bulk: Bulk | None = None
    shipping: Shipping | None = None
    observed: Added | None = None


def verdicts(bench: Bench) -> Iterator[Verdict]:
    """All that was to be shown."""
    for race in bench.races:
        yield from _agreement(race)
        if not race.gap:
            yield from _speed(race)
    if bench.added is not None:
        yield _added("a watched call costs more than an unwatched one", bench.added)
    if bench.observed is not None:
        yield _added("the same with traces to Jaeger and the audit trail to Elasticsearch", bench.observed)
    if bench.scaling is not None:
        yield from _scaling(bench.scaling)
    if bench.memory is not None:
        yield _memory(bench.memory)
    if bench.orders is not None:
        yield from _orders(bench.orders)
    if bench.bulk is not None:
        yield from _bulk(bench.bulk)
    if bench.shipping is not None:
        yield from _shipping(bench.shipping)


def _agreement(race: Race) -> Iterator[Verdict]:
    bars = f"{race.bars:,} bars{' with gaps' if race.gap else ''}"
    yield Verdict(
        f"{bars}: fills and final equity",
        "; ".join(race.disagreements) or "equal",
        "equal to the peers'",
        not race.disagreements,
    )


def _speed(race: Race) -> Iterator[Verdict]:
    for peer in PEERS:
        if not peer.needed:
            continue
        what, needed = f"{race.bars:,} bars: as fast as {peer.name}", f"at least {peer.needed:g} times"
        if race.of(peer.name) and race.of(OURS):
            times = spread(race.times_as_fast(peer.name))
            measured = f"{times.median:.2f} times{times.told('.2f')}"
            yield Verdict(what, measured, needed, times.median >= peer.needed)
        else:
            yield Verdict(what, "not measured", needed, None)


def _added(what: str, added: Added) -> Verdict:
    return Verdict(
        what,
        f"{added.scaled:.0f} ns at the reference's speed, {added.nanoseconds:.0f} ns here",
        f"at most {calls.MOST:.0f} ns",
        added.scaled <= calls.MOST,
    )


def _scaling(found: Scaling) -> Iterator[Verdict]:
    for axis in found.growth:
        yield Verdict(
            f"cost grows with {axis.axis} at most linearly",
            f"as their power {axis.slope:.2f} ± {axis.within:.2f}",
            f"at most {scaling.STEEPEST:g}",
            axis.slope <= scaling.STEEPEST,
        )
    size = found.largest
    yield Verdict(
        f"{size.bars:,} bars, {size.instruments} instruments, {size.plugins} plugins cost what a line says",
        f"{found.over:.2f} of it",
        f"at most {scaling.MOST_OVER:g} of it",
        found.over <= scaling.MOST_OVER,
    )


def _memory(found: Memory) -> Verdict:
    return Verdict(
        "a paper session's memory is flat",
        f"{found.slope:+.2f} MB a million bars ({found.low:+.2f} to {found.high:+.2f})",
        f"at most {memory.MOST:g} MB",
        found.low <= memory.MOST,
    )


def _orders(found: Orders) -> Iterator[Verdict]:
    yield Verdict(
        "from the journal to the broker, FULL sync, 99th percentile",
        f"{found.sent.p99 * 1e3:.2f} ms, {found.sent.p99 / found.commit.p99:.2f} of a bare commit",
        f"at most {orders.MOST_SEND * 1e3:g} ms",
        found.sent.p99 <= orders.MOST_SEND,
    )
    for (events, seconds), most in zip(
        found.recovered.items(), (orders.MOST_TAIL, orders.MOST_SNAPSHOT), strict=True
    ):
        yield Verdict(
            f"a recovery after {events:,} events{', by snapshot' if most == orders.MOST_SNAPSHOT else ''}",
            f"{seconds:.2f} s",
            f"at most {most:g} s",
            seconds <= most,
        )


def _shipping(found: Shipping) -> Iterator[Verdict]:
    yield Verdict(
        f"{found.count:,} audit documents to Elasticsearch",
        f"{found.ratio:.2f} of the bare client's speed",
        f"at least {shipping.LEAST:g}",
        found.ratio >= shipping.LEAST,
    )
    yield Verdict(
        "their count, their ids and the chain", "agree" if found.sound else "differ", "agree", found.sound
    )


def _bulk(found: Bulk) -> Iterator[Verdict]:
    for store, each in found.stores.items():
        ratio = each.kept / each.floor
        yield Verdict(
            f"{each.rows:,} bars kept in {store}",
            f"{each.rows / each.kept:,.0f} rows/s, {ratio:.2f} times what the driver alone takes",
            f"at most {bulk.MOST:g} times",
            ratio <= bulk.MOST,
        )


def this_machine() -> Machine:
    """The machine, now, and the commit that is checked out; with + when files differ from it."""
    return Machine(
        _processor(),
        os.cpu_count() or 0,
        f"{platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        _commit(),
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        _form(native(time.perf_counter) is not None),
        _form(pure.is_compiled(engine)),
    )


def _form(is_compiled: bool) -> str:
    return "compiled code" if is_compiled else "pure Python"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return described.stdout.strip() or "not a checkout"
