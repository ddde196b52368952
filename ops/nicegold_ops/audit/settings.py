"""The table [audit] of nicegold.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from nicegold_ops.reference import Reference


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs how far each chain of the journal has come, and how often.

    *transit_key* is an Ed25519 key of Vault's transit engine, which never leaves it; *signing_key* leads to
    one in PEM, where there is no Vault. Each signed checkpoint is also appended to the file *publish*, which
    should be where whoever can write the journal cannot: what was cut off or rewritten is found by it.
    """

    transit_key: (
        Annotated[
            str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$", description="a key's name, such as nicegold-audit")
        ]
        | None
    ) = None
    transit_mount: str = "transit"
    signing_key: Reference | None = None
    every: Annotated[float, msgspec.Meta(ge=1, description="seconds, 1 or above")] = 60.0
    publish: Path | None = None

    def __post_init__(self) -> None:
        if (self.transit_key is None) == (self.signing_key is None):
            raise ValueError("needs transit_key, a key in Vault, or signing_key, and not both")
