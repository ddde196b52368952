"""One key that may be set: a field of the class that it configures.

The type of the field is what is checked, what a message asks for and what the reference page says.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from nicegold import Secret
from nicegold_ops.errors import ConfigurationError, PluginError, in_one_line
from nicegold_ops.reference import HOW, Reference
from nicegold_ops.suggest import did_you_mean
from nicegold_ops.toml import Float, Loose, to_toml

#: Characters of a value in a message.
_SHOWN = 60
#: A setting of these types is a secret: of a plugin, which gets it, or of our own, who get it ourselves.
_SECRETS = (Secret, Reference)
_WORDS: dict[Any, str] = {
    Secret: f"where the secret is: {HOW}",
    Reference: f"where the secret is: {HOW}",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: 'a decimal number in quotes, such as "0.01"',
    str: "text",
    Path: "a path",
    datetime: "a date and time",
    date: "a date",
    time: "a time",
    dict: "a table",
    list: "a list",
    tuple: "a list",
    set: "a list",
    frozenset: "a list",
}


class Setting(msgspec.Struct, frozen=True):
    """A key, the type of its value, and what that is if nobody sets it."""

    name: str
    kind: Any
    default: Any = dataclasses.MISSING

    @property
    def is_required(self) -> bool:
        return self.default is dataclasses.MISSING

    @property
    def is_secret(self) -> bool:
        """Whether it is written as a `Reference`, never as the value itself."""
        return any(each in _SECRETS for each in _alternatives(self.kind))

    def read(self, value: Any) -> Any:
        """*value*, as TOML or the command line has it, in this setting's type; of a secret, where it is.

        Raises ConfigurationError that says what it must be, PluginError if no value could be that.
        """
        if self.is_secret:
            return self._reference(value)
        self._refuse_what_is_not_exact(value)
        try:
            read = msgspec.convert(
                _plain(value), self.kind, strict=not isinstance(value, Loose), dec_hook=_from_text
            )
        except msgspec.ValidationError:
            raise self._refused(value, self._way_out(value)) from None
        except (TypeError, ValueError) as error:
            raise PluginError(f"{self.name} is of a type that cannot be read: {in_one_line(error)}") from None
        if not _is_finite(read):
            raise self._refused(value, "it must be finite")
        if read is None:
            raise self._refused(value, "leave it out instead")
        return read

    def _reference(self, value: Any) -> Reference:
        try:
            return Reference.parse(value)
        except ValueError as error:
            raise ConfigurationError(f"{self.name} {error}") from None

    def _refuse_what_is_not_exact(self, value: Any) -> None:
        kinds = set(_parts(self.kind))
        exact = _exact(value)
        if Decimal in kinds and float not in kinds and _is_finite(value) and exact != value:
            what = "it as a string" if isinstance(value, Float) else "each as a string"
            raise self._refused(value, f"binary floats are not exact, so write {what}: {to_toml(exact)}")

    def _refused(self, value: Any, way_out: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name} is {shown(value)}; {way_out}")

    def _way_out(self, value: Any) -> str:
        near = did_you_mean(str(value), map(str, choices(self.kind)))
        return near.removeprefix("; ") or f"it must be {words(self.kind)}"


def settings_of(cls: type) -> dict[str, Setting]:
    """What can be set of *cls*, a plugin's class or a Struct, in the order of its fields.

    Raises PluginError if its annotations or defaults make no sense; the message goes on after the
    name of the class.
    """
    try:
        kinds = get_type_hints(cls, include_extras=True)
    except Exception as error:
        raise PluginError(f"whose annotations cannot be read: {in_one_line(error)}") from None
    fields = _struct_fields(cls) if issubclass(cls, msgspec.Struct) else _plugin_fields(cls)
    settings = {name: Setting(name, kinds[name], default) for name, default in fields}
    for setting in settings.values():
        _refuse_unwritable(setting)
        _refuse_hidden_secret(setting)
    return settings


def _refuse_hidden_secret(setting: Setting) -> None:
    """One among other things could be written as it is, and one that is the default is in the code."""
    if len(_alternatives(setting.kind)) > 1 or not setting.is_secret:
        if any(part in _SECRETS for part in _parts(setting.kind)):
            raise PluginError(
                f"whose {setting.name} holds a secret among other things; "
                "make each secret a field of its own, of type Secret or Secret | None"
            )
    elif not (setting.is_required or setting.default is None):
        raise PluginError(f"whose {setting.name} is a secret with a default; it can have none but None")


def _refuse_unwritable(setting: Setting) -> None:
    if setting.is_required or setting.default is None:
        return
    try:
        to_toml(setting.default)
    except TypeError:
        raise PluginError(
            f"whose {setting.name} is no setting, since TOML cannot hold {setting.default!r}; "
            "make it a field(init=False)"
        ) from None


def _struct_fields(cls: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(cls):
        if field.default_factory is not msgspec.NODEFAULT:
            yield field.name, field.default_factory()
        else:
            yield field.name, dataclasses.MISSING if field.required else field.default


def _plugin_fields(cls: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(cls):
        # `name` is not for the user to set: it is the name of the plugin's table.
        if not field.init or field.name == "name":
            continue
        make = field.default_factory
        yield field.name, field.default if make is dataclasses.MISSING else make()


def shown(value: Any) -> str:
    """*value* as TOML, cut to fit into a message."""
    text = to_toml(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# Types, in words.


def words(kind: Any) -> str:
    """What a value of type *kind* is, said to a person. An `Annotated` type may bring its own words."""
    if get_origin(kind) is Annotated:
        plain, *extras = get_args(kind)
        said = (extra.description for extra in extras if isinstance(extra, msgspec.Meta))
        return next(filter(None, said), None) or words(plain)
    alternatives = [to_toml(choice) for choice in choices(kind)]
    if not alternatives:
        kinds = _alternatives(kind)
        alternatives = [words(each) for each in kinds] if len(kinds) > 1 else [_one_word(kinds[0])]
    return " or ".join(filter(None, [", ".join(alternatives[:-1]), alternatives[-1]]))


def choices(kind: Any) -> list[Any]:
    """The values that are allowed, if only some are."""
    found: list[Any] = []
    for each in _alternatives(kind):
        if get_origin(each) is Literal:
            found += get_args(each)
        elif isinstance(each, type) and issubclass(each, Enum):
            found += [choice.value for choice in each]
    return found


def _alternatives(kind: Any) -> list[Any]:
    """The members of a union, without None: TOML has no word for it."""
    if get_origin(kind) in (Union, UnionType):
        return [each for each in get_args(kind) if each is not NoneType]
    return [kind]


def _one_word(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return words(kind)
    base = get_origin(kind) or kind
    said = _WORDS.get(base, getattr(base, "__name__", str(base)))
    inner = [words(each) for each in get_args(kind) if each is not Ellipsis]
    match inner:
        case [_, values] if base is dict:
            return f"{said} ({values} each)"
        case [item]:
            return f"{said} ({item} each)"
        case [_, *_] if base is tuple:
            return f"{said} ({', '.join(inner)})"
    return said


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


# Values.


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{value!r} is not a {kind.__name__}")


def _plain(value: Any) -> Any:
    """*value* without our own types, which msgspec would not take for floats and strings."""
    match value:
        case Float():
            return float(value)
        case Loose():
            return str(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value


def _exact(value: Any) -> Any:
    """*value* with each float as the text that it was written as."""
    match value:
        case Float():
            return value.written
        case list():
            return [_exact(item) for item in value]
        case dict():
            return {name: _exact(item) for name, item in value.items()}
        case _:
            return value


def _is_finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case Decimal():
            return value.is_finite()
        case list() | tuple() | set() | frozenset():
            return all(map(_is_finite, value))
        case dict():
            return all(map(_is_finite, value.values()))
        case _:
            return True
