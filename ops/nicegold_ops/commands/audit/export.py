"""`nicegold audit export`: the trail as a file, for whoever must see all of it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from nicegold_ops.audit.query import WORDS, parse
from nicegold_ops.audit.trail import documents
from nicegold_ops.commands._options import config_option, state_option
from nicegold_ops.commands.audit._trail import query_names, store_at
from nicegold_ops.journal import all_runs


@click.command(epilog=f"Words are FIELD:VALUE, and * in a value is any text. Fields: {', '.join(WORDS)}.")
@click.argument("file", type=click.File("wb", atomic=True))
@click.argument("words", nargs=-1, metavar="[WORD]...")
@config_option
@state_option
def export(file: object, words: tuple[str, ...], config: Path, state: Path | None) -> None:
    """Write the documents of the journal to FILE, a line of JSON each, in their order; - is stdout.

    With words, as in `nicegold audit search`, those that have them all.
    """
    query = replace(parse(words), calls=True)
    wanted = dict(query.terms).get("nicegold.run.id")
    encode = msgspec.json.Encoder().encode
    count = 0
    with store_at(config, state) as store:
        for run in all_runs(store):
            if wanted is not None and not query_names(wanted, run.run):
                continue
            for document in documents(store, run.run):
                if query.fits(document):
                    count += _write(file, encode(document))
    click.echo(f"{count:,} documents", err=True)


def _write(file: object, line: bytes) -> int:
    file.write(line + b"\n")  # type: ignore[attr-defined]  # click opened it
    return 1
