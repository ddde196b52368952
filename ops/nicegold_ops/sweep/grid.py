"""The parameters of a sweep, and the combinations of their values that are tried."""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice, product
from typing import Any, TypeAlias

import msgspec

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.sweep.condition import Condition
from nicegold_ops.toml import key_to_toml, to_toml

#: One value of each parameter, by its place in the list of that parameter's values.
Combination: TypeAlias = tuple[int, ...]

#: More cannot be listed, and would not end.
MOST = 1_000_000
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(?P<start>{_NUMBER}):(?P<stop>{_NUMBER}):(?P<step>{_NUMBER})")
_TABLES = ("run", "instruments", "plugins")


class Parameter(msgspec.Struct, frozen=True):
    """A setting by its *key*, such as "plugins.cross.fast", and what it is tried with.

    *values* are written as after `--set KEY=`.
    """

    key: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, option: str) -> Parameter:
        """Read ``cross.fast=5:50:5`` (both ends belong to it), ``cross.fast=5,10`` or a TOML list.

        Raises ConfigurationError.
        """
        name, equals, written = (part.strip() for part in option.partition("="))
        if not (name and equals and written):
            raise ConfigurationError(
                f"--over {option}: write KEY=VALUES, such as cross.fast=5:50:5 or cross.fast=5,10,20"
            )
        try:
            return cls(_key(name), _values(written))
        except ValueError as error:
            raise ConfigurationError(f"--over {name}: {error}") from None

    @property
    def name(self) -> str:
        """The key as it is written after `--over`."""
        return self.key.removeprefix("plugins.")

    @property
    def plugin(self) -> str | None:
        """The plugin whose setting it is."""
        table, name, *_ = self.key.split(".")
        return name if table == "plugins" else None

    @property
    def is_ordered(self) -> bool:
        """Whether its values are numbers, so that one can be next to another."""
        return all(isinstance(meant(value), Decimal) for value in self.values)


class Grid(msgspec.Struct, frozen=True):
    """All combinations of the values of *parameters*."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, options: Sequence[str]) -> Grid:
        """Read what `--over` said, once for each parameter. Raises ConfigurationError."""
        parameters = tuple(map(Parameter.parse, options))
        keys = [each.key for each in parameters]
        twice = next((each.name for each in parameters if keys.count(each.key) > 1), None)
        if twice:
            raise ConfigurationError(f"--over {twice} is given twice; write its values in one list")
        return cls(parameters)

    def combinations(
        self, condition: Condition | None = None, *, sample: int | None = None, seed: int = 0
    ) -> list[Combination]:
        """Those for which *condition* holds, in order; *sample* of them picked by *seed*, if there are more.

        Raises ConfigurationError when none is left, or there are more than a million.
        """
        if math.prod(len(each.values) for each in self.parameters) > MOST:
            raise ConfigurationError(f"--over asks for more than {MOST:,} combinations; take larger steps")
        found = list(self._meeting(condition))
        if not found:
            raise ConfigurationError(f'--where "{condition}" holds for none of the combinations')
        if sample is None or sample >= len(found):
            return found
        # Which ones are picked is to be repeated, not to be kept from anybody.
        return sorted(random.Random(seed).sample(found, sample))  # noqa: S311

    def values(self, combination: Combination) -> tuple[str, ...]:
        """The values that *combination* stands for, in the order of the parameters."""
        return tuple(each.values[at] for each, at in zip(self.parameters, combination, strict=True))

    def overrides(self, combination: Combination) -> tuple[str, ...]:
        """*combination* as options of `--set`."""
        return tuple(
            f"{each.key}={value}"
            for each, value in zip(self.parameters, self.values(combination), strict=True)
        )

    def neighbours(self, combination: Combination) -> Iterator[Combination]:
        """Those at most one step away in each parameter; values that are no numbers have no next one."""
        steps = [(0, -1, 1) if each.is_ordered else (0,) for each in self.parameters]
        for step in islice(product(*steps), 1, None):
            near = tuple(at + by for at, by in zip(combination, step, strict=True))
            if all(0 <= at < len(each.values) for each, at in zip(self.parameters, near, strict=True)):
                yield near

    def _meeting(self, condition: Condition | None) -> Iterator[Combination]:
        known = [[(each.name, meant(value)) for value in each.values] for each in self.parameters]
        for combination in product(*(range(len(each.values)) for each in self.parameters)):
            if condition is None or condition.holds(
                dict(values[at] for values, at in zip(known, combination, strict=True))
            ):
                yield combination


def meant(value: str) -> Decimal | str:
    """The number that *value* is, or its text."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    return number if number.is_finite() else value


def _key(name: str) -> str:
    """The whole key of *name*, which may begin with a plugin's. Raises ValueError that says what to write."""
    try:
        found: Any = tomllib.loads(f"{name} = 0")
    except tomllib.TOMLDecodeError:
        raise ValueError("this is not a key; write one such as cross.fast") from None
    parts: list[str] = []
    while isinstance(found, dict):
        [(part, found)] = found.items()
        parts.append(part)
    key = parts if parts[0] in _TABLES else ["plugins", *parts]
    if len(key) < 2 or (key[0] != "run" and len(key) < 3):
        raise ValueError("this is no setting; write one such as cross.fast or run.cash")
    return key_to_toml(*key)


def _values(written: str) -> tuple[str, ...]:
    """Raises ValueError that says what to write."""
    ends = _RANGE.fullmatch(written)
    if ends:
        return _range(*(Decimal(ends[name]) for name in ("start", "stop", "step")))
    if written.startswith("["):
        values = tuple(map(to_toml, _listed(written)))
    else:
        values = tuple(value.strip() for value in written.split(","))
    if not all(values):
        raise ValueError(f"{written} has an empty value")
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice:
        raise ValueError(f"{written} has {twice} twice")
    return values


def _listed(written: str) -> list[object]:
    try:
        values: list[object] = tomllib.loads(f"values = {written}", parse_float=Decimal)["values"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{written} is not a list: {error}") from None
    if not values:
        raise ValueError("the list is empty")
    return values


def _range(start: Decimal, stop: Decimal, step: Decimal) -> tuple[str, ...]:
    if not step or (stop - start) / step < 0:
        raise ValueError(f"steps of {step} do not lead from {start} to {stop}")
    count = int((stop - start) / step) + 1
    if count > MOST:
        raise ValueError(f"{start}:{stop}:{step} are {count:,} values; take larger steps")
    return tuple(f"{start + number * step:f}" for number in range(count))
