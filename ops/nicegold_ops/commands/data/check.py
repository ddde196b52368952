"""`nicegold data check`: what a feed makes of a file, before anybody trades on it."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import structs
from rich.console import RenderableType

from nicegold import OtherTimeframe, name_timeframe
from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, facts, moment, progress, table
from nicegold_ops.commands.data._reading import Asked, Reading, opened, reading_options
from nicegold_ops.conversion import provenance_of
from nicegold_ops.errors import DataError
from nicegold_ops.inspection import Inspected, Inspection
from nicegold_ops.inspection.finding import Finding
from nicegold_ops.inspection.page import page
from nicegold_ops.inspection.picture import picture


@click.command()
@reading_options
@click.option("--strict", is_flag=True, help="Exit with 3 if a line is not used, or if there is a warning.")
@click.option(
    "--html",
    "html_to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page with the findings and the picture too.",
)
@json_option
def check(strict: bool, html_to: Path | None, json_to: Path | None, **typed: object) -> None:
    """Read FILE as a run would, and say what is in it and what is wrong with it.

    Nothing has to be declared: the clock is then taken for UTC and checked, the timeframe seen.
    """
    asked = Asked(**typed)  # type: ignore[arg-type]
    reading, refused = _opened(asked)
    inspection = Inspection(reading.timezone, reading.length, reading.instrument)
    with progress(f"reading {asked.file.name}") as shown:
        for market in reading.stream(inspection.reject, shown):
            inspection.take(market)
    recognised = [*reading.recognised, *reading.assumed]
    found = inspection.result(asked.file, reading.use, recognised, provenance_of(asked.file), refused)
    if html_to is not None:
        html_to.write_text(
            page(found, inspection.coverage, reading.instrument.sessions.zone), encoding="utf-8"
        )
    drawn = picture(inspection.coverage, reading.instrument.sessions.zone)
    answer(found, json_to, *_shown(found, reading), *drawn)
    if strict:
        _refuse_findings(found)


def _opened(asked: Asked) -> tuple[Reading, list[Finding]]:
    """The feed; and that it refuses the timeframe, if it does: then it reads what there is."""
    try:
        return opened(asked, to_look=True), []
    except OtherTimeframe as error:
        timeframe = name_timeframe(error.length)
        advice = f"a run refuses the file; this is what it holds if read as {timeframe}"
        why = f"its first bars are {timeframe}, and {asked.timeframe} is declared"
        reading = opened(structs.replace(asked, timeframe=timeframe), to_look=True)
        return reading, [Finding("timeframe", "warning", 1, [], why, advice)]


def _refuse_findings(found: Inspected) -> None:
    severe = [finding for finding in found.findings if finding.severity != "note"]
    if severe:
        raise DataError(f"{found.file}: {', '.join(finding.kind for finding in severe)}; see the findings")


def _shown(found: Inspected, reading: Reading) -> list[RenderableType]:
    symbol = reading.instrument.symbol
    figures = [
        ("file", f"{found.file}, read by {found.feed}"),
        *(("" if number else "recognised", line) for number, line in enumerate(found.recognised)),
        *_origin(found),
        ("rows", f"{found.rows:,}: {found.events:,} used, {found.rows - found.events:,} not"),
        ("time", f"{moment(found.first)} to {moment(found.last)} UTC"),
        ("clock", _clock(found)),
        *(("" if number else "largest moves", line) for number, line in enumerate(found.largest_moves)),
    ]
    if not found.findings:
        return [facts(*figures), f"Nothing odd was found in it for {symbol}."]
    kinds = table("finding", "times", "first at (UTC)", "why, and what to do", right=("times",))
    for finding in found.findings:
        kinds.add_row(
            f"{finding.kind}\n{finding.severity}",
            f"{finding.count:,}",
            "\n".join(finding.first[:3]),
            f"{finding.why}\n→ {finding.advice}",
        )
    return [facts(*figures), kinds]


def _origin(found: Inspected) -> list[tuple[str, str]]:
    made = found.provenance
    if made is None:
        return []
    dropped = ", ".join(f"{kind} {count:,}" for kind, count in made.dropped.items()) or "nothing"
    settings = ", ".join(f"{name} {value}" for name, value in made.settings.items())
    return [
        ("made from", f"{made.source}, SHA-256 {made.sha256}"),
        ("", f"by nicegold {made.nicegold} with {made.feed}: {settings}"),
        ("", f"left out: {dropped}"),
    ]


def _clock(found: Inspected) -> str:
    verdict = found.clock
    said = f'{verdict.says}: "{verdict.declared}"' if verdict.says != "cannot tell" else "cannot tell"
    others = [clock for stretch in verdict.stretches for clock in stretch.clocks if clock != verdict.declared]
    apart = (
        f"; its bars do not tell it from {', '.join(others[:3])}"
        if verdict.says == "agrees" and others
        else ""
    )
    return f"{said}; {verdict.reason}{apart}"
