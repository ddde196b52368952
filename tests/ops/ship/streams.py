"""Data streams that somebody else has made."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

from nicegold_ops.audit.fields import mapping
from nicegold_ops.ship.elasticsearch import template


def made_otherwise(client: Elasticsearch, name: str, known: dict[str, Any]) -> None:
    """Make the stream *name* with the mapping *known*, and a first document in it."""
    body = template(name, None)
    body["template"]["mappings"] = known
    client.indices.put_index_template(name=name, **body)
    client.create(index=name, id="first", document={"@timestamp": "2026-11-28T00:00:00Z"})


def without_fills() -> dict[str, Any]:
    """A mapping whose fills have another type: that cannot be mended."""
    known = mapping()
    known["properties"]["nicegold"]["properties"]["fill"] = {"type": "keyword"}
    return known
