"""The way to Elasticsearch."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

from nicegold_ops.secrets import Secrets
from nicegold_ops.ship.elasticsearch import AuditStream
from nicegold_ops.ship.settings import ElasticsearchSettings
from nicegold_ops.telemetry.outgoing import Relay

#: Seconds for one request: a bulk of 5 MB may take some on a busy server.
_PATIENCE = 30.0


def stream_of(
    settings: ElasticsearchSettings,
    secrets: Secrets,
    patience: float = _PATIENCE,
    outgoing: Relay | None = None,
) -> AuditStream:
    """The audit stream that *settings* name. Raises what its key cannot be had for."""
    key = None if settings.api_key is None else secrets.of("[elasticsearch] api_key", settings.api_key)
    trusted: Any = {} if settings.ca is None else {"ca_certs": str(settings.ca)}
    client = Elasticsearch(
        settings.url,
        **trusted,
        api_key=None if key is None else key.reveal(),
        request_timeout=patience,
        # Whoever asks knows better when to ask again.
        max_retries=0,
        retry_on_timeout=False,
    )
    return AuditStream(client, settings.namespace, outgoing)
