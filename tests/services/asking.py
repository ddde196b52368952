"""One question to a server of this machine, over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from tests.services.prometheus import PATIENCE


def asked(
    port: int, method: str, path: str, said: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The status and the text of its answer to *said* as JSON; raises OSError where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sent = {**({} if said is None else {"Content-Type": "application/json"}), **(headers or {})}
    try:
        connection.request(method, path, None if said is None else json.dumps(said), sent)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def answers(port: int, path: str) -> bool:
    """Whether all is well at *path*."""
    try:
        return asked(port, "GET", path)[0] == 200
    except (OSError, http.client.HTTPException):
        # A server that is starting may close a connection in the middle.
        return False
