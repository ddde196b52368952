"""TOML in which every key knows where it was written.

tomllib gives values without lines. But a statement of TOML ends at the first line with which it is
TOML by itself, so tomllib can also be asked which lines belong together, and no second grammar is
needed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from nicegold_ops.errors import ConfigurationError

Key: TypeAlias = tuple[str, ...]

#: Tables and lists in each other: more than anybody means.
_DEEPEST = 50
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WHERE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class Float(float):
    """A number with a point or an exponent, and how it was *written*."""

    written: str

    def __new__(cls, written: str) -> Float:
        self = super().__new__(cls, written)
        self.written = written
        return self


class Loose(str):
    """A value from the command line, where a shell has eaten the quotes: text, number or truth."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a key was written. Lines of the file come before options of the command line."""

    rank: tuple[int, int]
    text: str


class Document(msgspec.Struct, frozen=True):
    """The *tables* of a file, and the *places* of their keys."""

    tables: dict[str, Any]
    places: dict[Key, Place]

    @classmethod
    def parse(cls, name: str, text: str) -> Document:
        """Read the *text* of the file *name*.

        Raises ConfigurationError with the line if it is not TOML.
        """
        try:
            tables = _loads(text)
        except ValueError as error:
            raise ConfigurationError(_not_toml(name, text, error)) from None
        places = {key: Place((0, line), f"{name}:{line}") for key, line in _lines(text).items()}
        return cls(tables, {(): Place((0, 0), name), **places})

    def place(self, key: Key) -> Place:
        """Where *key* was written, or else the table that it is missing from."""
        while key not in self.places:
            key = key[:-1]
        return self.places[key]

    def with_option(self, number: int, option: str) -> Document:
        """This document after the *number*-th option ``KEY=VALUE`` of the command line.

        Raises ConfigurationError if it cannot be read.
        """
        readable = option.encode(errors="backslashreplace").decode()
        place = Place((1, number), f"--set {readable.partition('=')[0].strip() or readable}")
        try:
            key, value = _parse_option(option)
            tables = _put(self.tables, key, value)
        except ValueError as error:
            raise ConfigurationError(f"{place.text}: {error}") from None
        kept = {other: known for other, known in self.places.items() if other[: len(key)] != key}
        parents = {key[:depth]: place for depth in range(1, len(key))}
        return Document(tables, {**parents, **kept, key: place})


def _loads(text: str) -> dict[str, Any]:
    """The tables of *text*. Raises ValueError if it is not TOML, or nobody's: each level costs stack."""
    try:
        tables = tomllib.loads(text, parse_float=Float)
    except RecursionError:
        tables = None
    if tables is None or _is_deep(tables):
        raise ValueError(f"values are nested more than {_DEEPEST} deep")
    return tables


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _items(each)]
    return bool(level)


def _items(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _not_toml(name: str, text: str, error: ValueError) -> str:
    found = _WHERE.search(str(error))
    if found is None:
        return f"{name}: this is not TOML: {error}"
    line = found["line"] or text.rstrip().count("\n") + 1
    return f"{name}:{line}: this is not TOML: {str(error)[: found.start()]}"


def _lines(text: str) -> dict[Key, int]:
    """The line of each key of *text*: its own header's if it has one, else where it is said first."""
    lines: dict[Key, int] = {}
    header: Key = ()
    for line, statement, parsed in _statements(text):
        is_header = statement.lstrip().startswith("[")
        keys = [*_keys(parsed)] if is_header else [header + key for key in _keys(parsed)]
        for key in keys:
            lines.setdefault(key, line)
        if is_header:
            header = keys[-1]
            lines[header] = line
    return lines


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The first line, the text and the meaning of each statement."""
    start, statement = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            parsed = _loads(statement)
        except ValueError:
            continue
        if parsed:
            yield start, statement, parsed
        start, statement = number + 1, ""


def _keys(value: object) -> Iterator[Key]:
    """The keys in *value*, outer ones first. Items of a list have none of their own."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (name,)
            yield from ((name, *key) for key in _keys(inner))


def _parse_option(option: str) -> tuple[Key, Any]:
    name, equals, written = option.partition("=")
    if not equals:
        raise ValueError("write KEY=VALUE, such as run.mode=paper")
    if any(map(_is_surrogate, option)):
        raise ValueError("this is not UTF-8 text")
    return _parse_key(name), _parse_value(written.strip())


def _is_surrogate(character: str) -> bool:
    """Whether Python made it of a byte on the command line that is not UTF-8."""
    return "\ud800" <= character <= "\udfff"


def _parse_key(text: str) -> Key:
    try:
        return [*_keys(_loads(f"{text} = 0"))][-1]
    # A comment is TOML without a key.
    except (ValueError, IndexError):
        raise ValueError("this is not a key; write one such as plugins.cross.fast") from None


def _parse_value(text: str) -> Any:
    """Lists, tables and what is quoted are TOML; the rest is what the setting makes of it."""
    if not text.startswith(("[", "{", '"', "'")):
        return Loose(text)
    try:
        return _loads(f"value = {text}")["value"]
    except ValueError as error:
        # It is not repeated: it may have been meant as a secret.
        raise ValueError(f"the value is not TOML: {_WHERE.sub('', str(error))}") from None


def _put(table: Mapping[str, Any], key: Key, value: Any) -> dict[str, Any]:
    name, rest = key[0], key[1:]
    if not rest:
        return {**table, name: value}
    inner = table.get(name, {})
    if not isinstance(inner, dict):
        raise ValueError(f"{name} is {to_toml(inner)}, not a table")
    return {**table, name: _put(inner, rest, value)}


# Written, in the one way that the same values are always written.


def to_toml(value: object) -> str:
    """*value* on one line. Raises TypeError if TOML has no form for it."""
    match value:
        case Enum():
            return to_toml(value.value)
        case bool():
            return "true" if value else "false"
        case Float():
            return value.written
        case int() | float():
            return repr(value)
        case str() | Path() | Decimal():
            # TOML's strings are JSON's, but for one character that must be escaped.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(map(to_toml, value))}]"
        case set() | frozenset():
            return f"[{', '.join(sorted(map(to_toml, value)))}]"
        case dict():
            pairs = (f"{key_to_toml(name)} = {to_toml(inner)}" for name, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        case None:
            raise TypeError("TOML has no null")
        case _:
            return to_toml(msgspec.to_builtins(value))


def key_to_toml(*key: str) -> str:
    """*key* with dots between, quoted where it must be."""
    return ".".join(name if _BARE.fullmatch(name) else to_toml(name) for name in key)


def table_to_toml(key: Key, values: Mapping[str, object]) -> str:
    """A table with its header. None is what TOML says by leaving the key out."""
    lines = [f"{key_to_toml(name)} = {to_toml(value)}" for name, value in values.items() if value is not None]
    return "\n".join([f"[{key_to_toml(*key)}]", *lines, ""])
