"""A real Toxiproxy: the faulty network between us and a real server.

`python -m tests.services.toxiproxy` builds it, of the modules that go.sum beside go.mod names; it is kept in
a folder that the next build finds again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

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
        status, answer = _asked(self._control_port, method, path, said)
        assert status < 300, answer


@contextmanager
def toxiproxy(upstream: int) -> Iterator[Proxy]:
    """A proxy of the *upstream* port of this machine; the test skips where Toxiproxy was not built."""
    control_port, port = free_port(), free_port()
    server = subprocess.Popen(
        [_required(), "-host=127.0.0.1", f"-port={control_port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LOG_LEVEL": "error"},
    )
    try:
        until(lambda: _answers(control_port) or server.poll() is not None, "Toxiproxy does not answer")
        made = {"name": f"{port}", "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{upstream}"}
        status, answer = _asked(control_port, "POST", "/proxies", {**made, "enabled": True})
        assert status == 201, answer
        yield Proxy(control_port, port)
    finally:
        server.kill()
        server.wait(PATIENCE)


def build() -> Path:
    """The server's program, built unless it was. Go compares each module with go.sum."""
    program = _program()
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            sys.exit("Toxiproxy is built with Go 1.23 or later, and there is none")
        program.parent.mkdir(parents=True, exist_ok=True)
        half = program.with_suffix(f".{os.getpid()}")
        options = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
        subprocess.run([go, "build", *options, "-o", str(half), _PACKAGE], cwd=_MODULE, check=True)
        half.replace(program)
    return program


def _program() -> Path:
    """Where it is kept: under a name that says of what it was built."""
    pinned = hashlib.sha256((_MODULE / "go.mod").read_bytes() + (_MODULE / "go.sum").read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "nicegold-services" / f"toxiproxy-{pinned.hexdigest()[:16]}"


def _required() -> str:
    """The program; the test skips where it is not, unless services are required."""
    program = _program()
    if not program.exists():
        reason = "Toxiproxy is not built; with Go 1.23 or later: python -m tests.services.toxiproxy"
        if os.environ.get("NICEGOLD_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{reason} (NICEGOLD_REQUIRE_SERVICES=1)")
        pytest.skip(reason)
    return str(program)


def _answers(control_port: int) -> bool:
    try:
        return _asked(control_port, "GET", "/version", None)[0] == 200
    except OSError:
        return False


def _asked(control_port: int, method: str, path: str, said: Any) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", control_port, timeout=PATIENCE)
    try:
        connection.request(method, path, None if said is None else json.dumps(said))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


if __name__ == "__main__":
    print(build())
