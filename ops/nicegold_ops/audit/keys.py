"""Keys of codes: each writer of a chain has one of its own, made of one that is where the store is not."""

from __future__ import annotations

import hmac
from typing import Protocol

from nicegold import Secret
from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.audit.transit import transit_of
from nicegold_ops.chain import MacKey
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.secrets import Secrets
from nicegold_ops.vault.transit import Transit

_PURPOSE = "nicegold.mac/1\0"
#: Letters of a secret that nobody can try out.
_SHORTEST = 32


class MacKeys(Protocol):
    """Makes the keys of writers, for whoever writes and whoever verifies."""

    def newest(self, writer: str) -> MacKey:
        """The key with which *writer* writes from now on."""

    def named(self, name: str, writer: str) -> MacKey:
        """The key of that *name* with which *writer* has written. Raises DataError where it is another's."""


class InVault:
    """Made of the *key* of Vault's transit engine, which never leaves it. Everything raises VaultFailed."""

    def __init__(self, transit: Transit, key: str) -> None:
        self._transit, self._key = transit, key

    def newest(self, writer: str) -> MacKey:
        return self._made(writer, None)

    def named(self, name: str, writer: str) -> MacKey:
        place, _, version = name.rpartition(":v")
        if place != f"transit:{self._key}" or not version.isdecimal():
            raise _another(name, f"transit:{self._key}")
        return self._made(writer, int(version))

    def _made(self, writer: str, version: int | None) -> MacKey:
        made = self._transit.hmac(self._key, (_PURPOSE + writer).encode(), version)
        used, _, code = made.removeprefix("vault:").partition(":")
        return MacKey(f"transit:{self._key}:{used}", code.encode())


class OfSecret:
    """Made of a *secret*, where there is no Vault."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret.reveal().encode()
        self._name = f"secret:{self._code('name').hex()[:12]}"

    def newest(self, writer: str) -> MacKey:
        return MacKey(self._name, self._code(_PURPOSE + writer))

    def named(self, name: str, writer: str) -> MacKey:
        if name != self._name:
            raise _another(name, self._name)
        return self.newest(writer)

    def _code(self, of: str) -> bytes:
        return hmac.digest(self._secret, of.encode(), "sha256")


def mac_keys_of(settings: AuditSettings | None, secrets: Secrets) -> MacKeys | None:
    """Those of *settings*; None where blocks have no codes. Raises what the key cannot be had for."""
    if settings is None:
        return None
    if settings.mac_key is not None:
        return OfSecret(_long(secrets.of("[audit] mac_key", settings.mac_key)))
    if settings.transit_mac_key is None:
        return None
    return InVault(transit_of(settings, secrets, "transit_mac_key"), settings.transit_mac_key)


def _long(secret: Secret) -> Secret:
    if len(secret.reveal()) < _SHORTEST:
        raise ConfigurationError(
            f"[audit] mac_key leads to fewer than {_SHORTEST} letters; `openssl rand -hex 32` makes enough"
        )
    return secret


def _another(name: str, ours: str) -> DataError:
    return DataError(f"it was written with the key {name}, and [audit] names {ours}; name that one")
