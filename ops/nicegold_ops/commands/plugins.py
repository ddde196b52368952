"""`nicegold plugins`: what is installed, and what of it a configuration enables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import msgspec
from rich.text import Text

from nicegold.host import Call, Enabled, Host
from nicegold_ops.commands._options import json_option, set_option
from nicegold_ops.commands._output import answer, table
from nicegold_ops.config import Settings, installed, load
from nicegold_ops.errors import in_one_line


class Installed(msgspec.Struct, frozen=True):
    """A plugin that could run: what it is, who brought it, and under which names it is enabled.

    *problem* says why it could not run.
    """

    name: str
    kind: str
    hooks: tuple[str, ...]
    distribution: str
    says: str
    problem: str
    enabled_as: list[str]


@click.command()
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Say also what this configuration enables, and under which names.",
)
@set_option
@json_option
def command(config: Path | None, overrides: tuple[str, ...], json_to: Path | None) -> None:
    """List the installed plugins.

    Installed is not enabled: the configuration says what runs.
    """
    if overrides and config is None:
        raise click.UsageError("--set changes a configuration; name it with --config")
    settings = load(config, overrides) if config else None
    found = [*_installed(settings), *_not_installed(settings)]
    shown = table("plugin", "kind", "from", "says", *(["enabled as"] if settings else []))
    for each in found:
        says = Text(each.problem, "red") if each.problem else each.says
        names = [", ".join(each.enabled_as)] if settings else []
        shown.add_row(each.name, each.kind, each.distribution, says, *names)
    answer(found, json_to, shown)


def _installed(settings: Settings | None) -> Iterator[Installed]:
    for name, entry in installed().items():
        yield _described(name, entry.load, _distribution(entry), settings)


def _not_installed(settings: Settings | None) -> Iterator[Installed]:
    """What a configuration takes from a file beside it."""
    uses = {plugin.use: plugin.plugin for plugin in settings.plugins} if settings else {}
    for use, found in uses.items():
        if use not in installed():
            yield _described(use, partial(_same, found), "", settings)


def _same(found: type) -> type:
    return found


def _described(
    name: str, load_class: Callable[[], type], distribution: str, settings: Settings | None
) -> Installed:
    says, problem, kind = "", "", ""
    hooks: tuple[str, ...] = ()
    try:
        found = load_class()
        says = _first_line(found)
        bare = _bare(name, found)
        kind, hooks = bare.kind, bare.hooks
    except (Exception, SystemExit) as error:
        problem = f"cannot run: {in_one_line(error)}"
    names = [plugin.name for plugin in settings.plugins if plugin.use == name] if settings else []
    return Installed(name, kind, hooks, distribution, says, problem, names)


def _bare(name: str, found: type) -> Enabled:
    """What the host makes of *found*; never started and without settings, which may be required."""
    return Host(_unwatched, {name: object.__new__(found)}).plugins[name]


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    """Nothing is measured, since nothing is called."""
    return call


def _first_line(found: type) -> str:
    return (inspect.getdoc(found) or "").partition("\n")[0]


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module
