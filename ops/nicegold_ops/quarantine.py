"""What the feeds would not deliver: counted by kind, and kept line by line for a person to look at."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TextIO

from nicegold import Defect, Reject


class Quarantine:
    """One CSV file a feed in *folder*, made at its first defect.

    *count* is told the feed and the kind of each defect, for the metrics.
    """

    def __init__(self, folder: Path, count: Callable[[str, str], None] | None = None) -> None:
        self._folder = folder
        self._count = count
        self._files: dict[str, TextIO] = {}
        self._lock = Lock()
        #: Defects by kind, over all feeds.
        self.counts: Counter[str] = Counter()

    def of(self, feed: str) -> Reject:
        """The port through which *feed* rejects."""

        def reject(defect: Defect) -> None:
            with self._lock:
                self.counts[defect.kind] += 1
                csv.writer(self._file(feed)).writerow((defect.line, defect.kind, defect.reason, defect.text))
            if self._count is not None:
                self._count(feed, defect.kind)

        return reject

    @property
    def paths(self) -> dict[str, Path]:
        """Where each feed's defects are."""
        return {feed: self._path(feed) for feed in self._files}

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _path(self, feed: str) -> Path:
        return self._folder / f"{feed}.csv"

    def _file(self, feed: str) -> TextIO:
        if feed not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files[feed] = self._path(feed).open("w", newline="", encoding="utf-8", errors="replace")
            csv.writer(self._files[feed]).writerow(("line", "kind", "reason", "text"))
        return self._files[feed]
