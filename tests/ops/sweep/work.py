"""What the processes of a pool are given to do in tests; they import it by its name."""

from __future__ import annotations

import os
import time


def double(number: int) -> int:
    return 2 * number


def crash_at_three(number: int) -> int:
    if number == 3:
        os._exit(7)
    return number


def refuse(number: int) -> int:
    raise ValueError(f"not {number}")


def speak(number: int) -> int:
    print("heard by nobody")
    return number


def sleep(seconds: int) -> int:
    time.sleep(seconds)
    return seconds
