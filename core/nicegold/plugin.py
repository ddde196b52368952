"""What makes a class a plugin: its fields are its settings, its marked methods are its hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

import pluggy

#: The project name that pluggy's markers share.
PROJECT = "nicegold"

Class = TypeVar("Class")
Method = TypeVar("Method", bound=Callable[..., object])

_hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def plugin(cls: type[Class]) -> type[Class]:
    """Make *cls* a plugin: a keyword-only dataclass whose fields are its settings.

    A field called ``name`` is filled with the plugin's name in the configuration.
    """
    # eq=False: pluggy compares plugins with ==, and two risk checks with equal limits would collide.
    return dataclass(eq=False, kw_only=True)(cls)


def hookimpl(method: Method | None = None, *, tryfirst: bool = False, trylast: bool = False) -> Method:
    """Mark a method as an implementation of the hook of its name.

    Plugins are called in the order of the configuration; *tryfirst* goes before all of them,
    *trylast* after. There are no wrappers: one could drop another plugin's objection.
    """
    marker = _hookimpl(tryfirst=tryfirst, trylast=trylast) if method is None else _hookimpl(method)
    return marker  # type: ignore[return-value]  # a decorator or the marked method, as pluggy's own
