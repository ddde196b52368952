"""`nicegold simulate`: the live engine in a world made of a seed, where things go wrong."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import quote

import click
import msgspec
from msgspec.structs import replace
from rich.console import RenderableType

from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, console, facts
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.simulate import campaign
from nicegold_ops.simulate.campaign import Finding, Tally, lived
from nicegold_ops.simulate.disk import Disk
from nicegold_ops.simulate.plan import Plan, planned, spelled, spelt
from nicegold_ops.simulate.shrink import shrunk
from nicegold_ops.simulate.vfs import VfsUnavailable

#: Findings that are shrunk and told apart; all are in the JSON.
_SHOWN = 3


class Found(msgspec.Struct, frozen=True):
    """An invariant that did not hold, and the command that repeats it."""

    invariant: str
    text: str
    command: str


class Simulated(msgspec.Struct, frozen=True):
    """What a simulation, or many, came to: *seconds* of real time; *findings* are empty if all held."""

    sessions: int
    crash_points: int
    lives: int
    struck: dict[str, int]
    findings: list[Found]
    seconds: float


@click.command()
@click.option("--seed", type=int, metavar="N", help="Show the world of this seed, step by step.")
@click.option("--seeds", metavar="A-B", help="Live through these seeds, and say what did not hold.")
@click.option(
    "--crashes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Crash short scenarios at every point, until N crashes.",
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option(
    "--bars",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --seed: end the troubles after so many bars.",
)
@click.option(
    "--luck", type=int, default=0, metavar="N", help="With --seed: another fate of what was not synced."
)
@click.option(
    "--trouble",
    "troubles",
    multiple=True,
    metavar="T",
    help="With --seed: this instead of what the seed says, such as 'order:lose answer:3'.",
)
@click.option("--fool", is_flag=True, help="With --trouble or --calm: a plugin that only fails is there too.")
@click.option("--calm", is_flag=True, help="With --seed: no trouble at all.")
@json_option
def command(
    seed: int | None,
    seeds: str | None,
    crashes: int | None,
    workers: int,
    bars: int | None,
    luck: int,
    troubles: tuple[str, ...],
    fool: bool,
    calm: bool,
    json_to: Path | None,
) -> int:
    """Simulate a live engine: its journal, recovery and reconciliation, in a world where things go wrong.

    Clock, chance, disk, network and process follow from the seed, so what is found once is found again.
    The invariants are in docs/reliability.md. Exits with 1 when one does not hold.
    """
    _refuse_without_disk()
    if sum(each is not None for each in (seed, seeds, crashes)) != 1:
        raise click.UsageError("say one of --seed, --seeds and --crashes")
    began = time.perf_counter()
    if seed is not None:
        plan = _plan(seed, bars, luck, troubles, fool=fool, calm=calm)
        tally = _told(plan, quiet=json_to is not None)
    else:
        tally = _campaign(seeds, crashes or 0, workers)
    simulated = _simulated(tally, time.perf_counter() - began)
    answer(simulated, json_to, *_shown(simulated))
    return 1 if tally.findings else 0


def _refuse_without_disk() -> None:
    try:
        Disk(0).close()
    except VfsUnavailable as error:
        raise ConfigurationError(f"there can be no crash disk here: {error}") from None


def _plan(
    seed: int, bars: int | None, luck: int, troubles: tuple[str, ...], *, fool: bool, calm: bool
) -> Plan:
    plan = planned(seed)
    if troubles or calm:
        try:
            plan = replace(plan, troubles=tuple(sorted(map(spelt, troubles))), fool=fool)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return replace(plan, bars=bars or plan.bars, luck=luck)


def _told(plan: Plan, *, quiet: bool) -> Tally:
    """Live through *plan* and tell its story."""
    world, found = lived(plan)
    if not quiet:
        console().print(str(world.story), soft_wrap=True)
    return campaign.tallied(world, found)


def _campaign(seeds: str | None, crashes: int, workers: int) -> Tally:
    out = console(stderr=True)
    with stop_on_signals() as stop, out.status("simulating") as status:

        def progress(tally: Tally) -> None:
            status.update(
                f"{tally.sessions:,} sessions, {tally.crash_points:,} crashes, {len(tally.findings)} findings"
            )

        if seeds is None:
            return campaign.crashes(1, crashes, workers, stop, progress)
        return campaign.sessions(_seeds(seeds), workers, stop, progress)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise click.UsageError(f'--seeds is "{text}"; it is the first and the last, such as 1-5000')
    return range(int(first), int(last) + 1)


def _simulated(tally: Tally, seconds: float) -> Simulated:
    findings = [
        _found(shrunk(each) if number < _SHOWN else each) for number, each in enumerate(tally.findings)
    ]
    return Simulated(
        tally.sessions,
        tally.crash_points,
        tally.lives,
        dict(sorted(tally.struck.items())),
        findings,
        round(seconds, 1),
    )


def _found(finding: Finding) -> Found:
    return Found(finding.invariant, finding.text, command_of(finding.plan))


def command_of(plan: Plan) -> str:
    """What repeats *plan*."""
    words = ["nicegold", "simulate", "--seed", str(plan.seed), "--bars", str(plan.bars)]
    if plan.luck:
        words += ["--luck", str(plan.luck)]
    if plan.fool:
        words.append("--fool")
    if not plan.troubles:
        words.append("--calm")
    for trouble in plan.troubles:
        words += ["--trouble", quote(spelled(trouble))]
    return " ".join(words)


def _shown(simulated: Simulated) -> list[RenderableType]:
    counted = facts(
        ("sessions", f"{simulated.sessions:,}"),
        ("crashes", f"{simulated.crash_points:,}"),
        ("engines", f"{simulated.lives:,}"),
        ("troubles", f"{sum(simulated.struck.values()):,}"),
        ("seconds", f"{simulated.seconds:,}"),
    )
    if not simulated.findings:
        return [counted, "nothing lost, nothing doubled, nothing unexplained: every invariant held"]
    said = [f"{each.text}\n  repeat it: {each.command}" for each in simulated.findings[:_SHOWN]]
    return [counted, f"{len(simulated.findings)} findings", *said]
