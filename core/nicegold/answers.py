"""What plugins answer: whether it is what their hook promises, and how it is told.

A plugin may answer anything, and what it answers may raise on any touch. Whatever it is, a `Reply`
comes of it that the engine can branch on.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import msgspec

from nicegold.values import fits_of, misfit

#: Where an object happened to be: another place in each process, and the journal is to be the same.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Reply(msgspec.Struct, frozen=True):
    """What one plugin answered to one call: a *value*, or the *error* it made."""

    plugin: str
    hook: str
    value: Any = None
    error: BaseException | None = None

    @property
    def reason(self) -> str:
        """The answer in words; of an error, what went wrong. Never raises."""
        kind = type(self.error).__name__
        try:
            words = _ADDRESS.sub(
                "", str(self.value) if self.error is None else f"failed: {kind}: {self.error}"
            )
        except BaseException:  # what a plugin raised can raise again when it is put into words
            words = f"failed: {kind}"
        return _as_text(words)


#: Answers of the plugins that had one, in the order of the calls.
Replies: TypeAlias = Sequence[Reply]

NOTHING: Replies = ()

#: What a hook's specification is: a function of which only the signature counts.
Specification: TypeAlias = Callable[..., Any]
#: What is wrong with an answer, in words; empty when nothing is.
_Judge: TypeAlias = Callable[[Any], str]
_Fits: TypeAlias = Callable[[Any], bool]


def answerer(specification: Specification, plugin: str) -> Callable[[Any], Reply]:
    """Makes a Reply of a value other than None that *plugin* answered to the hook of *specification*."""
    judge, fits = _expectation(specification)
    hook = specification.__name__

    def answered(value: Any) -> Reply:
        try:
            # Most answers surely fit; only for others are words looked for.
            wrong = "" if fits(value) else judge(value)
        except BaseException as error:  # a value can raise on any touch
            return Reply(plugin, hook, error=error)
        return Reply(plugin, hook, error=TypeError(wrong)) if wrong else Reply(plugin, hook, value)

    return answered


def failer(specification: Specification, plugin: str) -> Callable[[BaseException], Reply]:
    """Makes a Reply of what *plugin* raised."""
    hook = specification.__name__
    return lambda error: Reply(plugin, hook, error=error)


def add(replies: list[Reply] | None, reply: Reply) -> list[Reply]:
    """*replies* and one more: most calls have none, and need no list."""
    if replies is None:
        return [reply]
    replies.append(reply)
    return replies


@cache
def _expectation(specification: Specification) -> tuple[_Judge, _Fits]:
    answer = get_type_hints(specification)["return"]
    words = str(inspect.signature(specification).return_annotation)
    return _judge_of(answer, words), _fits_of(answer)


def _judge_of(answer: Any, expects: str) -> _Judge:
    """Judges values other than None by the hook's annotation *answer*, in words *expects*."""
    allowed = [kind for kind in _union(answer) if kind is not type(None)]
    lists = [_union(get_args(kind)[0]) for kind in allowed if get_origin(kind) is list]
    if lists:
        judge_item = _judge_of_kinds(lists[0], expects)
        return lambda value: (
            next(filter(None, map(judge_item, value)), "")
            if type(value) is list
            else f"answered {shown(value)}, not {expects}"
        )
    if any(get_origin(kind) is Iterator for kind in allowed):
        return lambda value: "" if isinstance(value, Iterator) else f"answered {shown(value)}, not {expects}"
    return _judge_of_kinds(allowed, expects)


def _judge_of_kinds(allowed: Sequence[type], expects: str) -> _Judge:
    """By the exact type: a subclass, or a mock that says it is one, is not what the engine branches on."""
    kinds = frozenset(allowed)

    def judge(value: Any) -> str:
        if type(value) in kinds:
            wrong = misfit(value) if isinstance(value, msgspec.Struct) else ""
            return f"answered {type(value).__name__} whose {wrong}" if wrong else ""
        # Words are only read, so any kind of str will do.
        return "" if str in kinds and isinstance(value, str) else f"answered {shown(value)}, not {expects}"

    return judge


def _fits_of(answer: Any) -> _Fits:
    """Whether a value surely is what *answer* allows; False is a doubt, which the judge resolves."""
    allowed = [kind for kind in _union(answer) if kind is not type(None)]
    items = [kind for each in allowed if get_origin(each) is list for kind in _union(get_args(each)[0])]
    structs = frozenset(
        kind for kind in items or allowed if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    )

    def fits(value: Any) -> bool:
        kind = type(value)
        # Of a hook's twelve kinds of answer most runs see two, so the check of each is made when it comes.
        return kind in structs and fits_of(kind)(value)

    def all_fit(value: Any) -> bool:
        return type(value) is list and all(map(fits, value))

    return all_fit if items else fits


def shown(value: Any) -> str:
    """*value* for a message: its repr without its address, cut, or its type where the repr raises."""
    try:
        return _as_text(_ADDRESS.sub("", repr(value))[:80])
    except BaseException:  # a plugin's value can raise in its repr, and exit too
        return f"an unprintable {type(value).__name__}"


def _as_text(words: str) -> str:
    """The journal takes Unicode, and lone surrogates are not."""
    return words.encode(errors="backslashreplace").decode()


def _union(kind: Any) -> list[Any]:
    arguments = get_args(kind)
    if get_origin(kind) is list or not arguments or get_origin(kind) is Iterator:
        return [kind]
    return [each for argument in arguments for each in _union(argument)]
