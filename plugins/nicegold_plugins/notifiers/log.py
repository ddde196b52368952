"""Tell whoever reads the log."""

from __future__ import annotations

import logging

from nicegold import Alert, hookimpl, plugin

_LOGGER = logging.getLogger("nicegold.notify")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


@plugin
class Log:
    """Write each alert as one line to the logger nicegold.notify, at the level of its severity.

    A severity that nobody knows is logged as a warning.
    """

    @hookimpl
    def notify(self, alert: Alert) -> None:
        _LOGGER.log(
            _LEVELS.get(alert.severity, logging.WARNING), "%s", _one_line(f"{alert.title}: {alert.text}")
        )


def _one_line(text: str) -> str:
    # Line breaks would let a text from outside write log lines of its own, and ESC would colour them.
    return "".join(letter if letter.isprintable() else " " for letter in text)
