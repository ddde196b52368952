"""The class behind what a configuration says to `use`: an installed plugin's, or one in a file at hand."""

from __future__ import annotations

import re
import sys
from dataclasses import is_dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from nicegold.plugin import PROJECT
from nicegold_ops.errors import ConfigurationError, PluginError, in_one_line
from nicegold_ops.suggest import did_you_mean

_DOTTED = re.compile(r"(?P<module>\w+(?:\.\w+)*):(?P<name>\w+)")


def brought() -> EntryPoints:
    """The plugins of all installed distributions; a name may come twice. Nothing is imported."""
    return entry_points(group=PROJECT)


def find(use: str, entries: EntryPoints, folder: Path) -> type:
    """The plugin class that *use* names: one of *entries*, or "package.module:Class".

    The latter may be installed, in *folder*, or in the working directory. Raises
    ConfigurationError if there is no such thing, PluginError if it is broken; the messages go on
    after 'uses "..."'.
    """
    found = _in_module(use, folder) if ":" in use else _entry(use, entries)
    if not _is_plugin(found):
        raise PluginError("which is not a plugin; mark its class with @plugin")
    return found  # type: ignore[no-any-return]  # _is_plugin has seen that it is a class


def _is_plugin(found: Any) -> bool:
    # The fields of a subclass that is not marked itself would be no settings, and pluggy compares
    # plugins with ==.
    is_marked = isinstance(found, type) and "__dataclass_fields__" in vars(found) and is_dataclass(found)
    return is_marked and found.__eq__ is object.__eq__


def _entry(use: str, entries: EntryPoints) -> Any:
    match sorted(entries.select(name=use), key=_brought_by):
        case [entry]:
            return _load(entry)
        case []:
            hint = did_you_mean(use, entries.names) or "; `nicegold plugins` lists what is"
            raise ConfigurationError(f"which is not installed{hint}")
        case found:
            several = " and ".join(map(_brought_by, found))
            raise ConfigurationError(f'which {several} both bring; write "{found[0].value}" for the first')


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"which cannot be imported from {_brought_by(entry)}: {in_one_line(error)}"
        ) from None


def _brought_by(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module


def _in_module(use: str, folder: Path) -> Any:
    names = _DOTTED.fullmatch(use)
    if names is None:
        raise ConfigurationError('which names no class; write "package.module:Class"')
    module = _import(names["module"], folder)
    name = names["name"]
    if not hasattr(module, name):
        raise ConfigurationError(f"but {names['module']} has no {name}{did_you_mean(name, vars(module))}")
    return getattr(module, name)


def _import(name: str, folder: Path) -> Any:
    # At the end, so that a file beside the configuration cannot stand in for an installed module.
    for place in (folder, Path.cwd()):
        if str(place) not in sys.path:
            sys.path.append(str(place))
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _with_parents(name):
            raise ConfigurationError(
                f"but there is no module {error.name} in {folder}, in the working directory or installed"
            ) from None
        raise PluginError(f"which cannot be imported: {in_one_line(error)}") from None


def _with_parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
