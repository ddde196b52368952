"""`nicegold data`: look at market data, and make clean files of them."""

from __future__ import annotations

import click

from nicegold_ops.commands.data.check import check
from nicegold_ops.commands.data.convert import convert


@click.group(no_args_is_help=True)
def command() -> None:
    """Look at market data, and make clean files of them."""


command.add_command(check)
command.add_command(convert)
