"""Run a peer's script, and tell in its line of JSON the processor's time and its own memory.

`python timed.py SCRIPT ARGUMENT...`, in the peer's environment: nothing of ours is imported. On a machine
that others use too, the processor's time is what an engine costs; the wall's is that and their turn.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    script = Path(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.parent)
    watch(__import__("data"))
    runpy.run_path(str(script), run_name="__main__")


def watch(data: Any) -> None:
    """Give the clock of the peers' module *data* a second face, which its line shows."""

    class Clock(data.Clock):  # type: ignore[misc]  # the module is not ours and has no types
        def __enter__(self) -> Any:
            self.worked = time.process_time()
            return super().__enter__()

        def __exit__(self, *failure: object) -> None:
            super().__exit__(*failure)
            self.worked = time.process_time() - self.worked

    shown = data.emit

    def emit(name: str, bars: int, clock: Any, *figures: Any, **more: Any) -> None:
        shown(name, bars, clock, *figures, cpu_seconds=round(clock.worked, 4), **more)

    data.Clock, data.emit, data.rss_mb = Clock, emit, most_held


def most_held() -> float:
    """The most memory that this process has held, MB. What `getrusage` says holds what started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
