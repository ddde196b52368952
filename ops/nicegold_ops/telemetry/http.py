"""What a machine asks a running engine: `/metrics`, and `/healthz`."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.forks import forgets

#: Whether the engine is alive, judged by completed work, and what to say about it.
Liveness = Callable[[], tuple[bool, dict[str, Any]]]

#: Seconds that a client may be silent within a request.
_PATIENCE = 10.0


class Server:
    """Serves *registry* and *liveness* on a thread of its own, until it is closed.

    Port 0 takes a free one. Raises ConfigurationError when the address cannot be had.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, liveness: Liveness) -> None:
        try:
            self._server = _Listener(host, port, registry, liveness)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"/metrics cannot be served on {host}:{port}: {_reason(error)}; "
                "choose another port, or 0 for any"
            ) from None
        #: Where it listens.
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="metrics", daemon=True)
        self._is_served = True
        self._thread.start()
        forgets(self)

    def close(self) -> None:
        """Stop listening."""
        if not self._is_served:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget(self) -> None:
        """The port is our parent's: while we had it too, nobody else could, and nobody would answer."""
        self._is_served = False
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry, liveness: Liveness) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.registry = registry
        self.liveness = liveness
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's asks the name service for its own name, which can take seconds, and we use none.
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    timeout = _PATIENCE
    server_version = "nicegold"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._metrics()
            case "/healthz":
                self._health()
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

    do_HEAD = do_GET

    def _metrics(self) -> None:
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        self._answer(HTTPStatus.OK, kind, encode(self.server.registry))

    def _health(self) -> None:
        try:
            alive, words = self.server.liveness()
        except Exception as error:
            alive, words = False, {"status": "unknown", "error": f"{type(error).__name__}: {error}"}
        status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", json.dumps(words, default=str).encode() + b"\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes come every few seconds and are no news."""


def _reason(error: OSError | OverflowError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
