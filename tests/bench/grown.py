"""`python -m tests.bench.grown [SECONDS]`: what a paper session holds more and more of.

For when `memory` finds that a session is not flat. Shown are the places in the code whose memory was
allocated after the warm-up and is still held, the largest growth first. The inbox shows too, with up to
ten thousand bars of the feed: it fills when tracing makes the engine slower than that.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

from nicegold_ops.commands import main as nicegold
from tests.bench.memory import arguments

#: The part of the session after which everything has been used once; tracing slows what follows. The
#: inbox's bars have been replaced by traced ones at the first snapshot, or they would show.
_WARM, _FIRST, _LAST = 0.2, 0.5, 0.95
_SHOWN = 16


def compare(seconds: float) -> None:
    """Print what grew between two moments of a session that is warm."""
    wait = threading.Event().wait
    wait(seconds * _WARM)
    tracemalloc.start()
    wait(seconds * (_FIRST - _WARM))
    before = tracemalloc.take_snapshot()
    wait(seconds * (_LAST - _FIRST))
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    for grown in after.compare_to(before, "lineno")[:_SHOWN]:
        size, place = grown.size_diff / 1e3, grown.traceback[0]
        print(
            f"{size:8.1f} kB, {grown.count_diff:7,} blocks: {place.filename}:{place.lineno}", file=sys.stderr
        )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["nicegold", *arguments(Path(folder), seconds)]
        threading.Thread(target=compare, args=(seconds,), daemon=True).start()
        nicegold()


if __name__ == "__main__":
    main()
