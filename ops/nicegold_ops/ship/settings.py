"""The table [elasticsearch] of nicegold.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from nicegold_ops.reference import Reference


class ElasticsearchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the audit trail is copied to, to be searched: the data stream logs-nicegold.audit-*namespace*.

    *api_key* is one that Kibana makes, encoded; *ca* the file of the authority that vouches for the server.
    """

    url: Annotated[
        str,
        msgspec.Meta(
            pattern="^https?://[^@]+$",
            description='a URL without user and password, such as "https://elastic.example.com:9200"',
        ),
    ]
    api_key: Reference | None = None
    ca: Path | None = None
    namespace: Annotated[
        str,
        msgspec.Meta(
            pattern="^[a-z0-9_.]{1,100}$", description="small letters, digits, _ and ., such as default"
        ),
    ] = "default"
