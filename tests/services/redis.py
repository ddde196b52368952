"""A real Redis on a free port of this machine, in a folder of its own."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.postgresql import free_port
from tests.services.process import Process, running
from tests.services.required import program


class Redis(Process):
    """A server on loopback that trusts everybody. It can be stopped, killed and started again.

    It keeps what it has when it is stopped, and when it is killed all but perhaps the last second.
    """

    def __init__(self, redis_server: str, folder: Path) -> None:
        self.port = free_port()
        command = [
            *(redis_server, "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--dir", str(folder), "--save", "", "--appendonly", "yes"),
        ]
        super().__init__(command, folder / "log", lambda: self.says("PING") == "+PONG")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def says(self, command: str) -> str:
        """The first line that it answers to a command, in Redis's own protocol; "" where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{command}\r\n".encode())
                with connection.makefile("r", newline="\r\n") as answer:
                    return answer.readline().strip()
        except OSError:
            return ""


@contextmanager
def redis() -> Iterator[Redis]:
    """A running server, whose files are gone afterwards; the test skips where Redis is not installed."""
    redis_server = program("redis-server", "redis-server")
    with (
        tempfile.TemporaryDirectory(prefix="nicegold-redis-") as folder,
        running(Redis(redis_server, Path(folder))) as server,
    ):
        yield server
