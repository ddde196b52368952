"""A real Toxiproxy: the faulty network between us and a real server.

`python -m tests.services.toxiproxy` builds it, of the modules that go.sum beside go.mod names.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services.asking import answers, asked
from tests.services.built import build, required
from tests.services.postgresql import free_port
from tests.services.prometheus import PATIENCE, until

_MODULE = Path(__file__).parent / "go-toxiproxy"
_PACKAGE = "github.com/Shopify/toxiproxy/v2/cmd/server"


class Proxy:
    """A way to a server, into which toxics can be put; Toxiproxy's own page says of what kinds."""

    def __init__(self, control_port: int, port: int) -> None:
        self.port = port
        self._control_port = control_port
        self._number = 0

    def toxic(self, kind: str, *, stream: str = "downstream", **attributes: int) -> None:
        """Put it into the connections that there are and those that come; *downstream* is from the server."""
        self._number += 1
        toxic = {"name": f"toxic{self._number}", "type": kind, "stream": stream, "attributes": attributes}
        self._ask("POST", f"/proxies/{self.port}/toxics", toxic)

    def heal(self) -> None:
        """Take all toxics away, and let connections through."""
        self._ask("POST", "/reset")

    def cut(self) -> None:
        """Close all connections, and refuse new ones until `heal`."""
        self._ask("POST", f"/proxies/{self.port}", {"enabled": False})

    def _ask(self, method: str, path: str, said: Any = None) -> None:
        status, answer = asked(self._control_port, method, path, said)
        assert status < 300, answer


@contextmanager
def toxiproxy(upstream: int) -> Iterator[Proxy]:
    """A proxy of the *upstream* port of this machine; the test skips where Toxiproxy was not built."""
    program = required(_MODULE, "python -m tests.services.toxiproxy")
    control_port, port = free_port(), free_port()
    server = subprocess.Popen(
        [program, "-host=127.0.0.1", f"-port={control_port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LOG_LEVEL": "error"},
    )
    try:
        until(
            lambda: answers(control_port, "/version") or server.poll() is not None,
            "Toxiproxy does not answer",
        )
        made = {"name": f"{port}", "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{upstream}"}
        status, answer = asked(control_port, "POST", "/proxies", {**made, "enabled": True})
        assert status == 201, answer
        yield Proxy(control_port, port)
    finally:
        server.kill()
        server.wait(PATIENCE)


def fetch() -> Path:
    """The program, built unless it was."""
    return build(_MODULE, _PACKAGE)


if __name__ == "__main__":
    print(fetch())
