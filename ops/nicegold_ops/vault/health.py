"""How a Vault is, as it says itself to anybody who asks."""

from __future__ import annotations

from typing import Any

import msgspec

from nicegold_ops.vault.api import Api, VaultFailed
from nicegold_ops.vault.settings import VaultSettings

#: Before it nothing was tried. OpenBao's own numbers begin at 2.
OLDEST = (1, 14)


class VaultHealth(msgspec.Struct, frozen=True):
    """Whether it is *initialized* and *sealed*, and which *version* it is, as it writes it."""

    initialized: bool
    sealed: bool
    version: str

    @property
    def is_old(self) -> bool:
        """Whether it is older than what this was tried with."""
        major, _, rest = self.version.partition(".")
        minor = rest.partition(".")[0]
        return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < OLDEST


def health_of(settings: VaultSettings) -> VaultHealth:
    """Raises VaultFailed when it does not answer, or not as a Vault does."""
    answer = Api(settings).ask(_asked)
    try:
        return msgspec.convert(answer, VaultHealth)
    except msgspec.ValidationError:
        raise VaultFailed(
            f"{settings.address} answers what Vault does not say; is [vault] address right?"
        ) from None


def _asked(client: Any) -> Any:
    # A standby serves us as well, and one that is sealed answers with an error's status.
    served = {"standbyok": "true", "perfstandbyok": "true"}
    answer = client.adapter.get("/v1/sys/health", params=served, raise_exception=False)
    if isinstance(answer, dict) or answer.is_redirect:
        return answer
    try:
        return answer.json()
    except ValueError:
        return {}
