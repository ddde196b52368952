"""Forked processes, which do not outlive the test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.services.prometheus import until


def child(do: Callable[[], object]) -> int:
    """The id of a forked process that does it, and ends with 0 when that went well."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        do()
        code = 0
    finally:
        os._exit(code)


def ended(number: int) -> int:
    """The child's exit code; one that hangs is killed, and fails the test."""
    found: list[int] = []

    def is_over() -> bool:
        over, status = os.waitpid(number, os.WNOHANG)
        if over:
            found.append(os.waitstatus_to_exitcode(status))
        return bool(over)

    try:
        until(is_over, "the child hangs")
    finally:
        if not found:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
    return found[0]
