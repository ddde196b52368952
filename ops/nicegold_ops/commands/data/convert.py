"""`nicegold data convert`: clean Parquet of what a feed delivers, and where it came from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from rich.console import RenderableType

from nicegold import name_timeframe
from nicegold_ops import conversion
from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, facts, progress
from nicegold_ops.commands.data._reading import Asked, Reading, declared, reading_options, words_of
from nicegold_ops.conversion import Converted, Provenance
from nicegold_ops.errors import ConfigurationError


@click.command()
@reading_options
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@json_option
def convert(out: Path, force: bool, json_to: Path | None, **typed: object) -> None:
    """Write what is sound in FILE to OUT, as Parquet that `use = "parquet"` reads back as the same bars.

    Lines that are not used go to OUT with .rejected.csv after its name. OUT says where it came from.
    """
    asked = Asked(**typed)  # type: ignore[arg-type]
    if out.exists() and not force:
        raise ConfigurationError(f"{out} is there already; --force replaces it")
    if out.exists() and out.samefile(asked.file):
        raise ConfigurationError(f"{out} is the file itself; name another")
    reading = declared(asked)
    with progress(f"converting {asked.file.name}") as shown:
        converted = conversion.convert(partial(reading.stream, shown=shown), out, _made(reading))
    answer(converted, json_to, _shown(converted))


def _made(reading: Reading) -> Provenance:
    source = reading.source
    settings = {name: str(value) for name, value in reading.values.items() if value not in ("", None, {})}
    return Provenance(
        source=source.location,
        sha256=source.digest,
        feed=reading.use,
        settings=settings,
        instrument=reading.instrument.symbol,
        timezone=conversion.clock_to_keep(reading.timezone, reading.length),
        timeframe=name_timeframe(reading.length) if reading.length else "",
    )


def _shown(converted: Converted) -> RenderableType:
    made = converted.provenance
    dropped = words_of(made.dropped)
    settings = {
        "timezone": made.timezone,
        "timeframe": made.timeframe,
        "spread_in": made.timeframe and "price",
    }
    said = ", ".join(f'{name} = "{value}"' for name, value in settings.items() if value)
    return facts(
        ("written", f"{converted.out}: {made.events:,} {'bars' if made.timeframe else 'quotes'}"),
        ("not used", f"{dropped}; see {converted.rejected}" if dropped else "nothing was left out"),
        ("read it with", f'use = "parquet", {said}'),
    )
