"""Brokers of a replay: they answer what their namesakes answered in the run, and nothing leaves.

What a venue did later is on the journal as inputs of their own. What a broker answered at once is not:
it is the event that follows the request.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import chain, pairwise
from typing import TypeAlias

from nicegold import (
    Absent,
    Accepted,
    Bar,
    Cancel,
    CancelRejected,
    Event,
    Order,
    Placed,
    Quote,
    Rejected,
    Replace,
    Snapshot,
    Statement,
    Unknown,
    hookimpl,
    plugin,
)
from nicegold.engine import Engine
from nicegold_ops.errors import DataError

Answer: TypeAlias = Accepted | Placed | Rejected | Unknown | CancelRejected | None
#: By order, what was answered to each request about it, first to last.
Answers: TypeAlias = Mapping[str, deque[Answer]]

_END = Absent(order_id="", time=0)
_ANSWERS = (Accepted, Placed, Rejected, Unknown, CancelRejected)


def answers_in(recorded: Iterable[Event]) -> Answers:
    """What brokers answered in the run whose events are *recorded*."""
    found: dict[str, deque[Answer]] = defaultdict(deque)
    for before, after in pairwise(chain(recorded, [_END])):
        order_id = _asked_about(before)
        if order_id:
            is_answer = isinstance(after, _ANSWERS) and after.order_id == order_id and _was_sent(after)
            found[order_id].append(after if is_answer else None)  # type: ignore[arg-type]
    return found


def _was_sent(answer: Event) -> bool:
    """Whether it can be about a request that left: what the engine refuses by itself never did."""
    return not isinstance(answer, CancelRejected) or answer.sent


def _asked_about(event: Event) -> str:
    match event:
        case Order():
            return event.id
        case Cancel() | Replace() | Absent():
            return event.order_id
        case _:
            return ""


def in_place_of(broker: type, answers: Answers) -> object | None:
    """A broker that answers as *broker* did; None where *broker* itself can be asked again: it simulates."""
    if not hasattr(broker, "place_order") or hasattr(broker, "match_orders"):
        return None
    return _Compared(answers=answers) if hasattr(broker, "fetch_statement") else _Replayed(answers=answers)


def repeat(engine: Engine, event: Event, *, is_received: bool) -> None:
    """Let *engine* do again what it did with *event*: what it was given, and the snapshots that it took."""
    if is_received or isinstance(event, Bar | Quote):
        engine.handle(event)
    elif isinstance(event, Snapshot):
        engine.snapshot()


@plugin
class _Replayed:
    answers: Answers

    @hookimpl
    def place_order(self, order: Order) -> Placed | Accepted | Rejected | None:
        answer = self._next(order.id)
        match answer:
            case Placed() | Accepted() | Rejected():
                return None if _is_nobodys(answer) else answer
            case _:
                raise DataError(f"the record says nothing of what became of {order.id} when it was sent")

    @hookimpl
    def cancel_order(self, cancel: Cancel, order: Order) -> Placed | None:
        return self._placed(cancel.order_id)

    @hookimpl
    def replace_order(self, replace: Replace, order: Order) -> Placed | None:
        return self._placed(replace.order_id)

    def _placed(self, order_id: str) -> Placed | None:
        refused = isinstance(self._next(order_id), CancelRejected)
        return None if refused else Placed(order_id=order_id)

    def _next(self, order_id: str) -> Answer:
        answers = self.answers.get(order_id)
        answer = answers.popleft() if answers else None
        if isinstance(answer, Unknown):
            raise _as_it_was(answer)
        return answer


@plugin
class _Compared(_Replayed):
    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        return None


def _is_nobodys(answer: Event) -> bool:
    """Whether it is the engine's own, for an order that no broker took."""
    return isinstance(answer, Rejected) and answer.reason == "no broker takes it"


def _as_it_was(unknown: Unknown) -> BaseException:
    """An error of which the engine says what it said then: `broker failed: Kind: text`."""
    _, _, said = unknown.reason.partition(" failed: ")
    kind, _, text = said.partition(": ")
    return type(kind, (Exception,), {})(text) if kind.isidentifier() else RuntimeError(unknown.reason)
