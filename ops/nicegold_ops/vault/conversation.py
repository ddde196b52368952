"""How requests go to Vault, each told of by its path, and never by what is in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from nicegold_ops.telemetry.outgoing import Relay, Said


class Conversation(requests.Session):
    """A session of requests whose requests *outgoing* is told of."""

    def __init__(self, outgoing: Relay) -> None:
        super().__init__()
        # Neither a proxy nor a password of the environment, and no other authorities than ours.
        self.trust_env = False
        self._outgoing = outgoing

    def request(self, method: Any, url: Any, *given: Any, **named: Any) -> requests.Response:
        there = urlsplit(str(url))
        said: Said = {
            "http.request.method": str(method).upper(),
            "url.path": there.path,
            "server.address": there.hostname or "",
            "server.port": there.port or 443,
            "peer.service": "vault",
        }
        with self._outgoing.request(f"{said['http.request.method']} {there.path}", said) as more:
            response = super().request(method, url, *given, **named)
            more["http.response.status_code"] = response.status_code
            return response
