"""A server's process, which a test can stop, kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.services.prometheus import PATIENCE, until


class Process:
    """One that runs *command* and is up when it *answers*; what it writes is appended to the file *log*."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        answers: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._command, self._log, self._answers, self._patience = command, log, answers, patience
        self._environment = {**os.environ, **(environment or {})}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as output:
            # A group of its own, so that `kill` reaches what it has started too.
            self._running = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=self._environment, process_group=0
            )
        name = Path(self._command[0]).name
        until(lambda: self._has_ended() or self._answers(), f"{name} does not answer", self._patience)
        assert not self._has_ended(), f"{name} has ended:\n{self._log.read_text()}"

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._running is not None:
            self._running.terminate()
            self._gone(self._running)

    def kill(self) -> None:
        """End it at once, as a machine does that loses its processes."""
        if self._running is not None:
            # It may have ended by itself.
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._gone(self._running)

    def _gone(self, ended: subprocess.Popen[bytes]) -> None:
        ended.wait(PATIENCE)
        self._running = None

    def _has_ended(self) -> bool:
        return self._running is None or self._running.poll() is not None


Server = TypeVar("Server", bound=Process)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, started, and killed at the end."""
    try:
        server.start()
        yield server
    finally:
        server.kill()
