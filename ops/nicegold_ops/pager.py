"""Turns what a person should know into alerts, and tells the notifiers off the trading thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from nicegold import (
    Absent,
    Adopted,
    Alert,
    Break,
    Busted,
    Event,
    Fill,
    Halted,
    HaltLifted,
    Mended,
    PluginFailed,
    Rejected,
    Unknown,
    Vetoed,
    hookimpl,
    plugin,
)
from nicegold.answers import Replies

#: Alerts that wait for slow notifiers; more are dropped and counted, since trading does not wait.
_WAITING = 1000


def _nobody(severity: str, seconds: float, failures: int) -> None:
    """Nobody wants to know."""


@plugin
class Pager:
    """Watch the events, queue an alert for each that a person should know."""

    def __post_init__(self) -> None:
        #: Each with the time at which it was queued, s.
        self._alerts: queue.Queue[tuple[Alert, float] | None] = queue.Queue(_WAITING)
        self._clock = time.monotonic
        self._thread: threading.Thread | None = None
        #: Alerts so far, and of those the ones that found the queue full.
        self.alerts = self.dropped = 0

    @hookimpl
    def on_event(self, event: Event) -> None:
        alert = alert_about(event)
        if alert is not None:
            self.alarm(alert)

    def alarm(self, alert: Alert) -> None:
        """Queue *alert*."""
        self.alerts += 1
        try:
            self._alerts.put_nowait((alert, self._clock()))
        except queue.Full:
            self.dropped += 1

    def waiting(self) -> int:
        """Alerts that nobody was told yet."""
        return self._alerts.qsize()

    def lost(self) -> int:
        """Alerts that found the queue full."""
        return self.dropped

    def start(
        self,
        notify: Callable[[Alert], Replies],
        failed: Callable[[str, str], None],
        told: Callable[[str, float, int], None] = _nobody,
    ) -> None:
        """Tell *notify* each alert on a thread of its own, *failed* what went wrong.

        *told* hears of each alert its severity, the seconds from when it was queued to when all had been
        told, and how many notifiers failed.
        """

        def work() -> None:
            while (waiting := self._alerts.get()) is not None:
                alert, queued = waiting
                failures = notify(alert)
                for reply in failures:
                    failed(reply.plugin, reply.reason)
                told(alert.severity, self._clock() - queued, len(failures))

        self._thread = threading.Thread(target=work, name="pager", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Deliver what waits, for at most *timeout* seconds."""
        if self._thread is not None:
            self._alerts.put(None)
            self._thread.join(timeout)


def alert_about(event: Event) -> Alert | None:
    """What a person should be told of *event*, if anything."""
    match event:
        case Vetoed():
            order = event.order
            why = "; ".join(f"{each.plugin}: {each.reason}" for each in event.objections)
            what = f"{order.side.value} {order.quantity} {order.symbol} of {order.strategy}"
            return Alert("warning", "Order vetoed", f"{what}: {why}", event.time)
        case Rejected():
            return Alert("warning", "Order rejected", f"{event.order_id}: {event.reason}", event.time)
        case Unknown():
            return Alert("critical", "Order in doubt", f"{event.order_id}: {event.reason}", event.time)
        case Absent():
            return Alert("warning", "Order never arrived", event.order_id, event.time)
        case Fill() if not event.strategy:
            what = f"{event.side.value} {event.quantity} {event.symbol} at {event.price}"
            return Alert("critical", "Trade of nobody's order", f"{event.order_id}: {what}", event.time)
        case Busted():
            text = f"{event.trade_id} of {event.order_id}: {event.reason or 'no reason given'}"
            return Alert("critical", "Trade taken back", text, event.time)
        case Break():
            text = (
                f"{event.kind} {event.about}: we have {event.ours}, {event.broker}'s venue has {event.theirs}"
            )
            is_theirs_alone = event.kind == "order" and event.ours in ("unknown", "ended")
            way_out = "; it stays so until it is cancelled there" if is_theirs_alone else ""
            return Alert("critical", "Books disagree", text + way_out, event.time)
        case Mended():
            text = f"{event.kind} {event.about} of {event.broker}"
            return Alert("info", "Books agree again", text, event.time)
        case Adopted():
            what = f"{event.kind} {event.about}: we had {event.ours}"
            text = f"{what}, {event.broker}'s venue has {event.theirs}: {event.reason}"
            return Alert("warning", "Venue's word taken", text, event.time)
        case HaltLifted():
            return Alert("warning", "Halt lifted", event.reason, event.time)
        case Halted():
            return Alert("critical", "Trading halted", f"{event.plugin}: {event.reason}", event.time)
        case PluginFailed():
            text = f"{event.plugin}.{event.hook}: {event.error}"
            return Alert("critical", "Plugin failed", text, event.time)
        case _:
            return None
