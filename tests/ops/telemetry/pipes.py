"""Pipes that a log goes to, and whose reader is the test."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Where it is read, and where it is written. In the end nobody waits for its reader any more."""
    reads, writes = os.pipe()
    with open(writes, "w") as stream:
        try:
            yield reads, stream
        finally:
            os.close(reads)
            # It would write where the next test does.
            for thread in threading.enumerate():
                if thread.name == "log":
                    thread.join(10)
