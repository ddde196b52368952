"""A real Alertmanager with our routes, started for a test, and the receiver that it tells."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from tests.services.postgresql import free_port
from tests.services.prometheus import PATIENCE, until
from tests.services.required import program

ROUTES = Path(__file__).parents[2] / "ops" / "deploy" / "alertmanager.yml"
#: Where our routes send what they send, until an operator writes something else there.
_PLACEHOLDER = "http://127.0.0.1:9095"


class Receiver:
    """What was delivered, by the path that it was sent to."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.delivered: list[tuple[str, dict[str, Any]]] = []

    def alerts(self, path: str) -> list[dict[str, Any]]:
        """The alerts that were sent to *path*, firing and resolved."""
        return [alert for to, body in list(self.delivered) if to == path for alert in body["alerts"]]

    def firing(self, path: str) -> set[str]:
        """The names of those that fired."""
        return {each["labels"]["alertname"] for each in self.alerts(path) if each["status"] == "firing"}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Something that takes what an Alertmanager sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.delivered.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken = Receiver(server)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, to: Receiver) -> Iterator[str]:
    """A server with the routes of ops/deploy that tells *to*; answers its host and port.

    Its waits are a second each, and working hours are always.
    """
    port = free_port()
    configuration = folder / "alertmanager.yml"
    configuration.write_text(json.dumps(_hurried(yaml.safe_load(ROUTES.read_text()), to.url)))
    log = folder / "alertmanager.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                program("prometheus-alertmanager", "prometheus-alertmanager"),
                f"--config.file={configuration}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        until(
            lambda: _is_ready(port) or server.poll() is not None,
            f"Alertmanager is not ready:\n{log.read_text()}",
        )
        assert server.poll() is None, f"Alertmanager has ended:\n{log.read_text()}"
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _hurried(configuration: dict[str, Any], url: str) -> dict[str, Any]:
    for route in (configuration["route"], *configuration["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
        route.pop("active_time_intervals", None)
    for each in configuration["receivers"]:
        for hook in each["webhook_configs"]:
            assert hook["url"].startswith(_PLACEHOLDER), hook["url"]
            hook["url"] = hook["url"].replace(_PLACEHOLDER, url)
    return configuration


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE):
            return True
    except OSError:
        return False
