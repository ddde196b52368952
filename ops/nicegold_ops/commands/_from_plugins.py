"""Subcommands that plugins bring: installed is enough, since nothing runs until somebody types it.

A plugin that the configuration at hand enables has its settings; any other must be buildable
without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint

import click
from msgspec.structs import replace

from nicegold.host import Call, Host
from nicegold_ops.commands._options import CONFIGURATION
from nicegold_ops.config import PluginSettings, Settings, build, installed, load
from nicegold_ops.errors import NicegoldError, in_one_line

_HOOK = "register_commands"


def register(group: click.Group, warn: Callable[[str], None]) -> None:
    """Let plugins add subcommands to *group*; *warn* is told of each that cannot."""
    for name, make in _makers():
        try:
            plugin = make()
            if plugin is not None:
                _ask(name, plugin, group)
        except (Exception, SystemExit) as error:
            warn(f"{name} cannot add its subcommands: {in_one_line(error)}")


def _ask(name: str, plugin: object, group: click.Group) -> None:
    for reply in Host(_unwatched, {name: plugin}).call(_HOOK)(group):
        if reply.error is not None:
            raise reply.error


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    """Nothing is measured: no run is on."""
    return call


def _makers() -> Iterator[tuple[str, Callable[[], object | None]]]:
    for name, entry in installed().items():
        yield name, partial(_without_settings, entry)
    try:
        settings = load(CONFIGURATION)
    except NicegoldError:
        return  # the subcommands that need it say what is wrong with it
    for plugin in settings.plugins:
        yield plugin.name, partial(_with_settings, settings, plugin)


def _without_settings(entry: EntryPoint) -> object | None:
    found = entry.load()
    return found() if hasattr(found, _HOOK) else None


def _with_settings(settings: Settings, plugin: PluginSettings) -> object | None:
    if not hasattr(plugin.plugin, _HOOK):
        return None
    return build(replace(settings, plugins=(plugin,)))[plugin.name]
