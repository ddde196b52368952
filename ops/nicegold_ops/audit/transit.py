"""The engine of Vault that holds the keys of the table [audit]."""

from __future__ import annotations

from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.secrets import Secrets
from nicegold_ops.vault.transit import Transit


def transit_of(settings: AuditSettings, secrets: Secrets, needed_by: str) -> Transit:
    """It, for the setting *needed_by*. Raises ConfigurationError where nobody says where Vault is."""
    if secrets.vault is None:
        raise ConfigurationError(
            f"[audit] {needed_by} is in Vault; add a table [vault] that says where that is"
        )
    return Transit(secrets.vault, settings.transit_mount)
