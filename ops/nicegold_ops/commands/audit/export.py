"""`nicegold audit export`: the trail as a file, for whoever must see all of it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from msgspec.structs import replace

from nicegold_ops.audit.query import WORDS, parse
from nicegold_ops.commands._options import config_option, state_option
from nicegold_ops.commands.audit._trail import all_of, store_at


@click.command(epilog=f"Words are FIELD:VALUE, and * in a value is any text. Fields: {', '.join(WORDS)}.")
@click.argument("file", type=click.File("wb", atomic=True))
@click.argument("words", nargs=-1, metavar="[WORD]...")
@config_option
@state_option
def export(file: BinaryIO, words: tuple[str, ...], config: Path, state: Path | None) -> None:
    """Write the documents of the journal to FILE, a line of JSON each, in their order; - is stdout.

    With words, as in `nicegold audit search`, those that have them all.
    """
    query = replace(parse(words), calls=True)
    encode = msgspec.json.Encoder().encode
    count = 0
    with store_at(config, state) as store:
        for document in all_of(store, query):
            file.write(encode(document) + b"\n")
            count += 1
    click.echo(f"{count:,} documents", err=True)
