"""The broker of a simulated engine: its line to the exchange, on which what the plan says goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from nicegold import (
    Absent,
    Accepted,
    Cancel,
    Execution,
    Order,
    Placed,
    Rejected,
    Replace,
    Statement,
    hookimpl,
    plugin,
)
from nicegold_ops.simulate.exchange import Exchange, Fenced
from nicegold_ops.simulate.plan import Trouble, Where

Answer = TypeVar("Answer")
#: How long a request is waited for (ns).
_PATIENCE = 300_000_000


class Outside(Protocol):
    """What a line needs of the world that it runs through."""

    exchange: Exchange
    #: What was made of an order and not yet told: its answer says it, or nobody does.
    unheard: list[Accepted]

    def befall(self, where: Where) -> Trouble | None:
        """The trouble of this one, if any."""

    def is_cut_off(self) -> bool:
        """Whether the exchange cannot be reached now."""

    def pass_time(self, ns: int = 0) -> None:
        """Let time pass while the engine waits: so many ns, or what an answer takes."""

    def later(self, ns: int, action: Callable[[], object]) -> None:
        """Do *action* out there after so many ns, whatever becomes of the engine."""

    def deliver(self) -> None:
        """Tell what is unheard."""

    def delay(self, ns: int) -> None:
        """Let the answer to this question take so much longer."""

    def lose_power(self) -> None: ...

    def kill(self) -> None: ...

    def leaving(self, request: Order | Cancel | Replace) -> None:
        """Look whether this may leave."""


@plugin
class Line:
    """One engine's connection. An exchange that was told to forget a session takes nothing of it any more."""

    world: Outside

    @hookimpl
    def startup(self) -> None:
        if self.world.befall("start"):
            raise ConnectionError("the exchange cannot be reached")
        self._session = self.world.exchange.log_in()
        self._is_connected = True

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        world, session = self.world, self._session
        if world.is_cut_off() or not self._is_connected:
            return Rejected(order_id=order.id, time=order.time, reason="not sent, there is no connection")
        trouble = world.befall("order")
        what = trouble.what if trouble else ""
        if what == "refuse":
            return Rejected(order_id=order.id, time=order.time, reason="not sent, nobody takes it")
        if what == "power before":
            world.lose_power()
        world.leaving(order)
        self._send(trouble, lambda: world.exchange.take(order, session))
        answer = world.unheard.pop()
        world.pass_time()
        if what == "garble":
            world.unheard.append(answer)
            world.deliver()
            return Accepted(order_id=f"{order.id}?", time=order.time)
        return answer

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        return self._change(cancel, lambda session: self.world.exchange.cancel(cancel.order_id, session))

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        return self._change(replace, lambda session: self.world.exchange.replace(replace, session))

    def _change(self, request: Cancel | Replace, act: Callable[[int], object]) -> Placed:
        session = self._session
        if self.world.is_cut_off() or not self._is_connected:
            raise ConnectionError("not sent, there is no connection")
        trouble = self.world.befall("change")
        self.world.leaving(request)
        self._send(trouble, lambda: act(session))
        self.world.pass_time()
        return Placed(order_id=request.order_id, time=request.time)

    def _send(self, trouble: Trouble | None, act: Callable[[], object]) -> None:
        """Let the exchange *act*; what befalls the request may keep it from that, or us from knowing."""
        world, what = self.world, trouble.what if trouble else ""
        if what == "hold" and trouble is not None:
            world.later(trouble.amount, lambda: self._arrive(act))
        elif what != "lose request":
            act()
        match what:
            case "lose request" | "hold" | "lose answer":
                world.deliver()
                world.pass_time(_PATIENCE)
                raise TimeoutError("the exchange has not answered")
            case "cut":
                self._is_connected = False
                world.deliver()
                raise ConnectionError("the connection was cut")
            case "power after":
                world.lose_power()
            case "kill after":
                world.kill()

    def _arrive(self, act: Callable[[], object]) -> None:
        """What was on its way has arrived; nobody waits for the answer any more."""
        with suppress(Fenced):
            act()
        self.world.deliver()

    # What the exchange is asked.

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | str:
        return self._ask(lambda: self.world.exchange.statement(since))

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | str:
        return self._ask(lambda: self._find(order.id))

    def _find(self, order_id: str) -> list[Execution | Absent]:
        # What is on its way still is of an older session than this, and nobody takes it.
        self._session = self.world.exchange.log_in()
        return [*self.world.exchange.find(order_id)] or [self.world.exchange.absent(order_id)]

    def _ask(self, question: Callable[[], Answer]) -> Answer | str:
        world = self.world
        if world.is_cut_off():
            raise ConnectionError("the exchange cannot be reached")
        if not self._is_connected:
            self._session = world.exchange.log_in()
            self._is_connected = True
        trouble = world.befall("question")
        match trouble and trouble.what:
            case "silence":
                raise TimeoutError("the exchange has not answered")
            case "garble":
                return "no answer that anybody could read"
            case "late":
                world.delay(trouble.amount if trouble else 0)
            case "power":
                world.lose_power()
        return question()
