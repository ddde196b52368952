"""`nicegold audit`: look for what happened, and prove that nobody changed it."""

from __future__ import annotations

import click

from nicegold_ops.commands.audit.export import export
from nicegold_ops.commands.audit.key import key
from nicegold_ops.commands.audit.people import erase, people
from nicegold_ops.commands.audit.search import search
from nicegold_ops.commands.audit.show import show
from nicegold_ops.commands.audit.verify import verify


@click.group(no_args_is_help=True)
def command() -> None:
    """Look for what happened, and prove that nobody changed it."""


for each in (search, show, verify, export, key, people, erase):
    command.add_command(each)
