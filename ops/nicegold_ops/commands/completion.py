"""`nicegold completion`: the script with which a shell completes our commands."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@json_option
@click.pass_context
def command(ctx: click.Context, shell: str, json_to: Path | None) -> None:
    """Print the script that completes these commands.

    For bash: nicegold completion bash > ~/.local/share/bash-completion/completions/nicegold
    """
    script = _SHELLS[shell](ctx.find_root().command, {}, "nicegold", "_NICEGOLD_COMPLETE").source()
    answer({"shell": shell, "script": script}, json_to, script)
