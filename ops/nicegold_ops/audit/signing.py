"""Who signs checkpoints: a key in Vault, which never leaves it, or one in a file."""

from __future__ import annotations

import base64
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from nicegold import Secret
from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.audit.transit import transit_of
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.secrets import Secrets
from nicegold_ops.vault.transit import Transit


class Verifier(Protocol):
    """Knows a signature that is right."""

    def verify(self, content: bytes, signature: str) -> bool:
        """Whether *signature* is that of *content*."""


class Signer(Verifier, Protocol):
    """Signs with Ed25519."""

    def sign(self, content: bytes) -> str:
        """The signature of *content*."""


class PublicKey:
    """Verifies what a key in a file has signed, or in any version one in Vault. Raises ConfigurationError."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = load_pem_public_key(pem)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigurationError("is no public key of Ed25519 in PEM; `nicegold audit key` shows ours")
        self._key = key

    def verify(self, content: bytes, signature: str) -> bool:
        return _fits(self._key, content, signature)


class PrivateKey:
    """Signs with the Ed25519 key in *pem*. Raises ConfigurationError where it is none."""

    def __init__(self, pem: Secret) -> None:
        try:
            key = load_pem_private_key(pem.reveal().encode(), None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(
                "leads to no private key of Ed25519 in PEM; `openssl genpkey -algorithm ed25519` makes one"
            )
        self._key = key

    def sign(self, content: bytes) -> str:
        return base64.b64encode(self._key.sign(content)).decode()

    def verify(self, content: bytes, signature: str) -> bool:
        return _fits(self._key.public_key(), content, signature)

    @property
    def public(self) -> bytes:
        """The public key in PEM, for whoever is to verify without us."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class InVault:
    """Signs with the *key* of Vault's transit engine. Everything raises VaultFailed."""

    def __init__(self, transit: Transit, key: str) -> None:
        self._transit, self._key = transit, key

    def sign(self, content: bytes) -> str:
        return self._transit.sign(self._key, content)

    def verify(self, content: bytes, signature: str) -> bool:
        return self._transit.verify(self._key, content, signature)

    @property
    def public(self) -> bytes:
        """The public key of its newest version, in PEM."""
        keys = self._transit.public_key(self._key)
        newest = Ed25519PublicKey.from_public_bytes(keys[max(keys)])
        return newest.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signer_of(settings: AuditSettings, secrets: Secrets) -> PrivateKey | InVault:
    """Who signs by *settings*. Raises what the key cannot be had for."""
    if settings.signing_key is not None:
        try:
            return PrivateKey(secrets.of("[audit] signing_key", settings.signing_key))
        except ConfigurationError as error:
            raise ConfigurationError(f"[audit] signing_key {error}") from None
    assert settings.transit_key is not None  # noqa: S101  # its settings see to it
    return InVault(transit_of(settings, secrets, "transit_key"), settings.transit_key)


def _fits(key: Ed25519PublicKey, content: bytes, signature: str) -> bool:
    """Vault says before the signature with which version of the key it was made."""
    try:
        key.verify(base64.b64decode(signature.rpartition(":")[2], validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True
