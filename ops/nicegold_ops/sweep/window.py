"""The part of the data that a trial sees, and from when on it may trade."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nicegold import Order, Portfolio, hookimpl, plugin
from nicegold_ops.period import moment, nanoseconds

#: Under this name the plugin below runs.
WARM_UP = "warm_up"


class Window(msgspec.Struct, frozen=True):
    """What is known from *start* until before *end*; orders are let through from *trades_from* on.

    Times are ns UTC; None is without a bound.
    """

    start: int | None = None
    end: int | None = None
    trades_from: int | None = None

    def overrides(self) -> tuple[str, ...]:
        """The window as options of `--set`."""
        bounds = {"run.start": self.start, "run.end": self.end}
        options = [f"{key}={moment(time)}" for key, time in bounds.items() if time is not None]
        if self.trades_from is not None:
            options += [
                f"plugins.{WARM_UP}.use={__name__}:{WarmUp.__name__}",
                f"plugins.{WARM_UP}.until={moment(self.trades_from)}",
            ]
        return tuple(options)


@plugin
class WarmUp:
    """Object to every order before *until*: strategies see the past there, and do not trade it.

    A strategy that asks once and never again stays flat.
    """

    until: datetime

    def __post_init__(self) -> None:
        if self.until.tzinfo is None:
            raise ValueError(f"until needs its zone, such as {self.until.isoformat()}Z")
        self._until = nanoseconds(self.until)

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        return None if portfolio.time >= self._until else f"warming up until {moment(self._until)}"
