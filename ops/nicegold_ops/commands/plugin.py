"""`nicegold plugin new`: a plugin's first package."""

from __future__ import annotations

from pathlib import Path

import click

from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer
from nicegold_ops.config import installed
from nicegold_ops.scaffold import KINDS, scaffold


@click.group(no_args_is_help=True)
def command() -> None:
    """Write a plugin of your own."""


@command.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="Where the package's folder is made; here if not said.",
)
@json_option
def new(kind: str, name: str, into: Path, json_to: Path | None) -> None:
    """Write the package of a plugin: it installs, and has a test for you to fill in.

    NAME is what `use` will say in nicegold.toml, in snake_case, such as daily_limit.
    """
    folder = scaffold(kind, name, into, taken=installed())
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    answer(
        {"kind": kind, "name": name, "folder": folder, "files": written},
        json_to,
        f"{folder} holds your {kind}:",
        *(f"  {path}" for path in written),
        f"Next: cd {folder} && pip install -e . && pytest",
    )
