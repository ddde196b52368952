"""What the feeds would not deliver: counted by kind, and kept line by line for a person to look at."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TextIO

from nicegold import Defect, Reject


class DefectFile:
    """A CSV file *path* with a defect a line, made at the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __call__(self, defect: Defect) -> None:
        """Keep *defect*."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", newline="", encoding="utf-8", errors="replace")
            csv.writer(self._file).writerow(("line", "kind", "reason", "text"))
        csv.writer(self._file).writerow((defect.line, defect.kind, defect.reason, defect.text))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def moved_to(self, path: Path) -> Path | None:
        """*path*, where the closed file is from now on; None, and nothing there, if there was no defect."""
        if self._file is None:
            path.unlink(missing_ok=True)
            return None
        return self.path.replace(path)


class Quarantine:
    """One file a feed in *folder*.

    *count* is told the feed and the kind of each defect, for the metrics.
    """

    def __init__(self, folder: Path, count: Callable[[str, str], None] | None = None) -> None:
        self._folder = folder
        self._count = count
        self._files: dict[str, DefectFile] = {}
        self._lock = Lock()
        #: Defects by kind, over all feeds.
        self.counts: Counter[str] = Counter()

    def of(self, feed: str) -> Reject:
        """The port through which *feed* rejects."""

        def reject(defect: Defect) -> None:
            with self._lock:
                self.counts[defect.kind] += 1
                if feed not in self._files:
                    self._files[feed] = DefectFile(self._folder / f"{feed}.csv")
                self._files[feed](defect)
            if self._count is not None:
                self._count(feed, defect.kind)

        return reject

    @property
    def paths(self) -> dict[str, Path]:
        """Where each feed's defects are."""
        return {feed: file.path for feed, file in self._files.items()}

    def close(self) -> None:
        for file in self._files.values():
            file.close()
