"""`nicegold data`: look at market data, make clean files of them, and keep them in a store."""

from __future__ import annotations

import click

from nicegold_ops.commands.data.check import check
from nicegold_ops.commands.data.convert import convert
from nicegold_ops.commands.data.store import forget, store, stored


@click.group(no_args_is_help=True)
def command() -> None:
    """Look at market data, make clean files of them, and keep them in a store."""


command.add_command(check)
command.add_command(convert)
command.add_command(store)
command.add_command(stored)
command.add_command(forget)
