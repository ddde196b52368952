"""Tell whoever reads a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from nicegold import SECOND, Alert, hookimpl, plugin


@plugin
class File:
    """Append each alert to *path* as one line of JSON: time (UTC, to the second), severity, title, text.

    The file is opened for each, so it may be rotated away at any time. A folder that is missing
    is made at the start; we do not start if the file cannot be written.
    """

    path: Path

    @hookimpl
    def startup(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append("")
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(f"cannot write alerts to {self.path}: {reason}; choose another path") from None

    @hookimpl
    def notify(self, alert: Alert) -> None:
        line = {
            "time": datetime.fromtimestamp(alert.time // SECOND, UTC).isoformat(),
            "severity": alert.severity,
            "title": alert.title,
            "text": alert.text,
        }
        self._append(json.dumps(line) + "\n")

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)
