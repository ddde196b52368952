"""Starts the exchange, tells it what to do, and talks to it as a plain client.

A test imports the fixture: `from tests.exchange.client import exchange`, or `quick`, or `forgetful`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds that anything may take on a machine that is busy.
PATIENCE = 10.0


class Exchange:
    """The process, and its control port. It keeps its ports and its journal when it is started again.

    *heartbeat* is in seconds.
    """

    def __init__(self, journal: Path | None = None, heartbeat: float = 0.5) -> None:
        self._options = ["--heartbeat", str(heartbeat), *(["--journal", str(journal)] if journal else [])]
        self.port = self._control_port = 0
        self.start()

    def start(self) -> None:
        ports = ["--port", str(self.port), "--control-port", str(self._control_port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.exchange", *ports, *self._options], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the exchange has ended with {self.process.wait(PATIENCE)} at its start: {ports}"
        said = json.loads(line)
        self.port, self._control_port = said["port"], said["control_port"]
        self._control = _Lines(self._control_port)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        """Its exit code, once it is gone."""
        assert self.process.stdout is not None
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.stdout.close()
            self._control.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def tell(self, do: str, **terms: Any) -> Any:
        """Say it at the control port; answers what it says."""
        self._control.send({"do": do, **terms})
        answer = self._control.read()
        assert answer["ok"], answer
        return answer

    def fault(self, kind: str, **terms: Any) -> None:
        self.tell("fault", kind=kind, **terms)

    def quote(self, bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None) -> None:
        self.tell("quote", symbol="XAUUSD", bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)

    def state(self, account: str = "demo") -> Any:
        return self.tell("state", account=account)

    def until(self, holds: Callable[[Any], bool], account: str = "demo") -> Any:
        """Its state, once *holds* is true of it."""
        until(lambda: holds(self.state(account)), f"the exchange stays at {self.state(account)}")
        return self.state(account)


class Client:
    """A plain client: what it sends is what is given, and it never tries again."""

    def __init__(self, exchange: Exchange) -> None:
        self._lines = _Lines(exchange.port)
        self._id = 0
        self.executions: list[Any] = []
        self.heartbeats: list[Any] = []

    def send(self, do: str, **terms: Any) -> int:
        """Send it; answers its id."""
        self._id += 1
        self._lines.send({"id": self._id, "do": do, **terms})
        return self._id

    def ask(self, do: str, **terms: Any) -> Any:
        """What is answered."""
        return self.answer(self.send(do, **terms))

    def answer(self, number: int) -> Any:
        while True:
            message = self.hear()
            if message.get("id") == number or "closed" in message:
                return message

    def hear(self) -> Any:
        """The next line; {} once the connection is closed. Executions and heartbeats are noted."""
        message = self._lines.read()
        if "execution" in message and "id" not in message:
            self.executions.append(message["execution"])
        if "heartbeat" in message and "id" not in message:
            self.heartbeats.append(message)
        return message if message else {"closed": ""}

    def hear_executions(self, count: int) -> list[Any]:
        """The sequence numbers of what has come, once *count* have."""
        while len(self.executions) < count:
            assert "closed" not in self.hear()
        return [each["sequence"] for each in self.executions]

    def raw(self, line: bytes) -> None:
        self._lines.write(line)

    def login(self, token: int, account: str = "demo", **terms: Any) -> Any:
        return self.ask("login", account=account, token=token, **terms)

    def order(self, client_order_id: str, **terms: Any) -> Any:
        return self.ask("order", order=order(client_order_id, **terms))["execution"]

    def close(self) -> None:
        self._lines.close()


def order(client_order_id: str, side: str = "buy", quantity: str = "1", **terms: Any) -> dict[str, Any]:
    """An order as the exchange takes it: at market, unless *terms* say another type."""
    plain = {"symbol": "XAUUSD", "type": "market"}
    return {"client_order_id": client_order_id, "side": side, "quantity": quantity, **plain, **terms}


class _Lines:
    """JSON lines over a connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._file = self._socket.makefile("rb")

    def send(self, message: Any) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, line: bytes) -> None:
        self._socket.sendall(line)

    def read(self) -> Any:
        try:
            return json.loads(self._file.readline() or b"{}")
        except ConnectionError:
            return {}

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Ask until it holds; the test fails with *otherwise* when it does not within `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(otherwise)
        time.sleep(0.005)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """An exchange of its own for each test, with a journal; ended after it."""
    yield from _running(tmp_path / "exchange.journal", 0.5)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Exchange]:
    """One with ten heartbeats a second."""
    yield from _running(tmp_path / "exchange.journal", 0.1)


@pytest.fixture
def forgetful() -> Iterator[Exchange]:
    """One without a journal."""
    yield from _running(None, 0.5)


def _running(journal: Path | None, heartbeat: float) -> Iterator[Exchange]:
    running = Exchange(journal, heartbeat)
    yield running
    if running.process.returncode is None:
        running.kill()
