"""One live engine an account: whoever holds the state folder's lock.

The kernel holds it for the process and lets go of it when the process ends, however that is. An engine
that is paused holds it too, so nobody can have taken its place when it wakes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from nicegold_ops.errors import ConfigurationError

FILE = "live.lock"


class Fence:
    """The lock of *state*, held until `close`. Raises ConfigurationError while another engine has it."""

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._path = state / FILE
        self._file: IO[str] = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self._file.close()
            raise ConfigurationError(
                f"{self._path}: another engine{holder} trades this account live; "
                "stop it first, or name another folder in [run] state for another account"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def close(self) -> None:
        """Let another engine trade. The file stays: one that is removed could be locked twice."""
        self._file.close()

    def _holder(self) -> str:
        self._file.seek(0)
        pid = self._file.read().strip()
        return f" (process {pid})" if pid.isdecimal() else ""
