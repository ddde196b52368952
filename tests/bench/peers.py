"""The engines that are compared: where each lives, how it is run, and what must be true of the results.

Their scripts are not ours and are read from the folder `shared/bench/peers`; where that is absent, they
are left out. Each has an environment of its own below HOME, with the versions that `environments/` pins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.scenario import EXPECTED
from tests.bench.walk import DATA, HOME
from tests.shared import SHARED

ROOT = Path(__file__).parents[2]
SCRIPTS = SHARED / "bench/peers"
PINS = Path(__file__).parent / "environments"
#: Seconds that one run may take.
PATIENCE = 590


class Peer(msgspec.Struct, frozen=True):
    """An engine. *needed* is how many times as fast we must be, 0 for one that is there to orient.

    *environment* is the folder of its own, empty for ours. *rounds_fees* is of one that books every fee in
    whole cents; *at_close* of one that fills at the close that signalled, so that gaps change its result.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    environment: str = ""
    package: str = ""
    needed: float = 0.0
    rounds_fees: bool = False
    at_close: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether its script is in this repository."""
        return not self.script


OURS = "nicegold"
PEERS = (
    Peer("bare Python loop", "", ("--mode", "bare")),
    Peer("hand-written loop, watched", "floor_pyevent.py", ("--mode", "clever")),
    Peer("hand-written loop, pluggy", "floor_pyevent.py", ("--mode", "pluggy")),
    Peer("nicegold, engine alone", "", ("--mode", "alone")),
    Peer("nicegold, unwatched", "", ("--mode", "unwatched")),
    Peer("nicegold, whole backtest", "", ("--mode", "whole")),
    Peer(OURS, "", ("--mode", "everything")),
    Peer("backtesting.py", "backtesting_peer.py", (), "pv-backtesting", "backtesting", 2.0),
    Peer(
        "nautilus_trader",
        "nautilus_peer.py",
        (),
        "pv-nautilus311",
        "nautilus-trader",
        12.0,
        rounds_fees=True,
        at_close=True,
    ),
    Peer("backtrader", "backtrader_peer.py", (), "pv-backtrader", "backtrader", 25.0),
)


class Result(msgspec.Struct, frozen=True):
    """One run of one engine: seconds of the processor and of the wall, and what it came to."""

    peer: str
    cpu: float
    wall: float
    fills: int
    equity: float
    #: Most memory held, and before the work began, MB.
    peak_mb: float
    base_mb: float
    version: str = ""


class PeerFailed(RuntimeError):
    """An engine that is there and did not do the work."""


def turns(contenders: Sequence[Peer]) -> list[Peer]:
    """Who runs after whom in a round: we before and after each engine that we are held against.

    Such an engine can run for a minute, and the machine is not the same at both ends of it.
    """
    ours = next(peer for peer in PEERS if peer.name == OURS)
    others = [peer for peer in contenders if peer != ours]
    return [turn for peer in others for turn in ([ours, peer] if peer.needed else [peer])] + [ours]


# Environments.


def left_out(peers: Iterable[Peer]) -> dict[str, str]:
    """The peers that cannot be measured here, each with the reason. Makes missing environments."""
    reasons = {}
    for peer in peers:
        if not peer.is_ours and not (SCRIPTS / peer.script).exists():
            reasons[peer.name] = f"there is no {SCRIPTS / peer.script}"
        elif peer.environment:
            failure = made(peer.environment)
            if failure:
                reasons[peer.name] = failure
    return reasons


def pinned(peer: Peer) -> str:
    """The version of *peer* that is measured; empty for what is ours."""
    if not peer.environment:
        return ""
    pins = (PINS / f"{peer.environment}.txt").read_text().split()
    return dict(pin.split("==") for pin in pins)[peer.package]


def made(environment: str) -> str:
    """Make *environment* where it is missing; answers why it cannot be made, or nothing."""
    python = HOME / environment / "bin/python"
    if python.exists():
        return ""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    pins = PINS / f"{environment}.txt"
    for step in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])],
        [uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(pins)],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(python.parents[1], ignore_errors=True)
            return f"its environment cannot be made: {done.stderr.strip()[-300:]}"
    return ""


# Runs.


def run(peer: Peer, bars: int, *, gap: bool) -> Result:
    """Run *peer* in a process of its own, on one core. Raises PeerFailed."""
    command = [*_pin(), *_command(peer), str(bars), *peer.arguments, *(["--gap"] if gap else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=_surroundings(),
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"{peer.name} was not through with {bars:,} bars after {PATIENCE} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise PeerFailed(f"{peer.name} gave no result: {done.stderr.strip()[-1000:]}")
    return result_of(peer, json.loads(lines[-1]))


def result_of(peer: Peer, line: Mapping[str, Any]) -> Result:
    """What the *line* of *peer* says. Raises PeerFailed when it is not what this bench is about."""
    on_journal = line.get("trades_on_journal", line["trades"])
    if on_journal != line["trades"]:
        raise PeerFailed(f"{peer.name} made {line['trades']} fills, and {on_journal} are on its journal")
    if peer.environment and line["version"] != pinned(peer):
        raise PeerFailed(
            f"{peer.name} is {line['version']} and this bench is about {pinned(peer)}; "
            f"remove {HOME / peer.environment}, and it is made again"
        )
    return Result(
        peer.name,
        line["cpu_seconds"],
        line["seconds"],
        line["trades"],
        line["final_equity"],
        line["peak_mb"],
        line["base_mb"],
        line["version"],
    )


def _command(peer: Peer) -> list[str]:
    if peer.is_ours:
        return [sys.executable, "-m", "tests.bench.nicegold_peer"]
    python = str(HOME / peer.environment / "bin/python") if peer.environment else sys.executable
    return [python, str(Path(__file__).parent / "timed.py"), str(SCRIPTS / peer.script)]


def _pin() -> list[str]:
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(max(os.sched_getaffinity(0)))] if taskset else []


def _surroundings() -> dict[str, str]:
    return {**os.environ, "NICEGOLD_BENCH_DATA": str(DATA), "PYTHONHASHSEED": "0"}


# What must be true.


def disagreements(results: Iterable[Result], bars: int, *, gap: bool) -> list[str]:
    """What the *results* on the same bars do not agree on, in words; empty when they do.

    All must fill as often, and end on the same equity to the cent. Excused is half a cent a fill of one
    that books fees in whole cents, and with *gap* the price of one that fills at the close.
    """
    results = list(results)
    ours = next(result for result in results if result.peer == OURS)
    expected = EXPECTED.get((bars, gap), (ours.fills, ours.equity))
    said = [what for result in results for what in _differs(result, *expected, gap=gap)]
    return list(dict.fromkeys(said))


def _differs(result: Result, fills: int, equity: float, *, gap: bool) -> Iterator[str]:
    peer = next(peer for peer in PEERS if peer.name == result.peer)
    if result.fills != fills:
        yield f"{peer.name} fills {result.fills:,} times, not {fills:,}"
    excused = 0.005 * fills if peer.rounds_fees else 0.005
    if not (gap and peer.at_close) and not abs(result.equity - equity) <= excused:
        yield f"{peer.name} ends on {result.equity:,.2f}, not on {equity:,.2f}"
