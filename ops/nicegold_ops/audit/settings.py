"""The table [audit] of nicegold.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from nicegold_ops.reference import Reference

_KeyName: TypeAlias = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$", description="a key's name, such as nicegold-audit")
]


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs how far each chain of the journal has come, and how often.

    *transit_key* is an Ed25519 key of Vault's transit engine, which never leaves it; *signing_key* leads to
    one in PEM, where there is no Vault. Each signed checkpoint is also appended to the file *publish*, which
    should be where whoever can write the journal cannot: what was cut off or rewritten is found by it.

    With *transit_mac_key*, a key of the same engine, or *mac_key*, which leads to at least 32 letters, each
    block of a session has a code that only who has the key can make. With *transit_people*, the names of who
    acts are sealed with keys of that engine whose names begin so; else with files in the state folder.
    """

    transit_key: _KeyName | None = None
    transit_mount: str = "transit"
    signing_key: Reference | None = None
    transit_mac_key: _KeyName | None = None
    mac_key: Reference | None = None
    transit_people: _KeyName | None = None
    every: Annotated[float, msgspec.Meta(ge=1, description="seconds, 1 or above")] = 60.0
    publish: Path | None = None

    def __post_init__(self) -> None:
        if (self.transit_key is None) == (self.signing_key is None):
            raise ValueError("needs transit_key, a key in Vault, or signing_key, and not both")
        if self.transit_mac_key is not None and self.mac_key is not None:
            raise ValueError("takes transit_mac_key, a key in Vault, or mac_key, and not both")
