"""What must hold between parameters, as `--where "cross.fast < cross.slow"` says it."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.suggest import did_you_mean

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_PLAIN = frozenset({ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Load})
_SIGNS = frozenset({ast.And, ast.Or, ast.Not, ast.USub, *_OPERATORS})


class Condition:
    """Comparisons of parameters, numbers and quoted text, with + - * /, and, or, not and brackets."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        """Raises ConfigurationError if *text* is no condition on parameters of these *names*."""
        self._text = text
        self._names = names
        try:
            self._tree = ast.parse(_with_places(text, names).strip(), mode="eval")
        except SyntaxError:
            raise self._refused('write a comparison, such as "cross.fast < cross.slow"') from None
        for node in ast.walk(self._tree):
            self._refuse_other(node)

    def __str__(self) -> str:
        return self._text

    def holds(self, values: Mapping[str, Decimal | str]) -> bool:
        """Whether it holds for *values* by name. Raises ConfigurationError if that cannot be asked."""
        try:
            return bool(self._value(self._tree.body, [values[name] for name in self._names]))
        except (TypeError, ArithmeticError):
            given = ", ".join(f"{name}={value}" for name, value in values.items())
            raise self._refused(f"this cannot be asked of {given}") from None

    def _value(self, node: ast.expr, values: Sequence[Decimal | str]) -> Any:
        match node:
            case ast.Name(id=place):
                return values[int(place[1:])]
            case ast.Constant(value=str() as text):
                return text
            case ast.Constant(value=number):
                return Decimal(str(number))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, values)
            case ast.UnaryOp(operand=operand):
                return -self._value(operand, values)
            case ast.BinOp(left=left, op=sign, right=right):
                return _OPERATORS[type(sign)](self._value(left, values), self._value(right, values))
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(self._value(part, values) for part in parts)
            case ast.BoolOp(values=parts):
                return any(self._value(part, values) for part in parts)
            case ast.Compare(left=left, ops=signs, comparators=rest):
                sides = pairwise(self._value(side, values) for side in (left, *rest))
                return all(_OPERATORS[type(sign)](*pair) for sign, pair in zip(signs, sides, strict=True))
        raise AssertionError(ast.dump(node))  # _refuse_other knows no other

    def _refuse_other(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=place) if place in _identifiers(self._names).values():
                return
            case ast.Constant(value=int() | float() | str()):
                return
            case ast.Name() | ast.Attribute():
                known = ", ".join(self._names)
                name = ast.unparse(node)
                hint = did_you_mean(name, self._names) or f"; there are {known}"
                raise self._refused(f"no --over {name}{hint}")
        if type(node) not in _PLAIN | _SIGNS:
            raise self._refused(f"{ast.unparse(node)} is neither a parameter, a number nor a comparison")

    def _refused(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f'--where "{self._text}": {reason}')


def _with_places(text: str, names: Sequence[str]) -> str:
    """*text* in which each of *names* is an identifier: a plugin's may hold hyphens, and all hold dots."""
    return "".join(_places(text, _identifiers(names)))


def _identifiers(names: Sequence[str]) -> dict[str, str]:
    return {name: f"_{place}" for place, name in enumerate(names)}


def _places(text: str, places: Mapping[str, str]) -> Iterator[str]:
    longest_first = sorted(map(re.escape, places), key=len, reverse=True)
    name = rf"(?<![\w.])(?:{'|'.join(longest_first)})(?![\w.])"
    for part in re.split(rf"""("[^"]*"|'[^']*'|{name})""", text):
        yield places.get(part, part)
