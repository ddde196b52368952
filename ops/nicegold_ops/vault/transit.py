"""Keys that never leave Vault: it signs, authenticates and wraps for us, and says no when it is told to.

Each key is made by a person: `vault write -f transit/keys/NAME type=ed25519` for signatures, `type=hmac` or
any other for HMACs, `type=aes256-gcm96` for envelopes.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from nicegold_ops.envelope import Envelope, seal
from nicegold_ops.errors import DataError
from nicegold_ops.vault.api import Missing, VaultFailed
from nicegold_ops.vault.vault import Vault


class Transit:
    """The transit engine of *vault* that is mounted at *mount*. Everything raises VaultFailed."""

    def __init__(self, vault: Vault, mount: str = "transit") -> None:
        self._vault = vault
        self._mount = mount

    def sign(self, key: str, content: bytes) -> str:
        """The Ed25519 signature of *content* by *key*, such as "vault:v1:..."; it names the key's version."""
        return str(self._ask(f"sign/{key}", input=_text(content))["signature"])

    def verify(self, key: str, content: bytes, signature: str) -> bool:
        """Whether *signature* is that of *content* by *key*, in any version that is still allowed."""
        return self._is_valid(key, content, signature=signature)

    def hmac(self, key: str, content: bytes, version: int | None = None) -> str:
        """The HMAC (SHA-256) of *content* by *key*, the newest *version* if none is named: "vault:v1:..."."""
        said = {} if version is None else {"key_version": version}
        return str(self._ask(f"hmac/{key}", input=_text(content), **said)["hmac"])

    def verify_hmac(self, key: str, content: bytes, hmac: str) -> bool:
        """Whether *hmac* is that of *content* by *key*, compared in a time that says nothing."""
        return self._is_valid(key, content, hmac=hmac)

    def seal(self, key: str, content: bytes, about: bytes) -> Envelope:
        """*content* under a new key of its own, which *key* wraps; it opens only together with *about*."""
        made = self._ask(f"datakey/plaintext/{key}")
        return seal(base64.b64decode(made["plaintext"]), content, about, made["ciphertext"])

    def open(self, key: str, envelope: Envelope, about: bytes) -> bytes:
        """What is in *envelope*. Raises DataError when it was changed, or is not *about* this.

        When *key* is deleted in Vault, nobody opens any of its envelopes again, wherever there are copies.
        """
        opened = self._ask(f"decrypt/{key}", ciphertext=envelope.wrapped)
        try:
            return envelope.unseal(base64.b64decode(opened["plaintext"]), about)
        except ValueError:
            raise DataError(f"an envelope of the key {key} was changed, or is about something else") from None

    def rewrap(self, key: str, envelope: Envelope) -> Envelope:
        """*envelope* with its key wrapped by the newest version of *key*; its content stays as it is."""
        again = self._ask(f"rewrap/{key}", ciphertext=envelope.wrapped)
        return msgspec.structs.replace(envelope, wrapped=again["ciphertext"])

    def make(self, key: str) -> None:
        """Make *key*, for envelopes, if it is not there."""
        self._ask(f"keys/{key}", type="aes256-gcm96")

    def has(self, key: str) -> bool:
        """Whether there is a *key* of that name."""
        try:
            self._read(key)
        except Missing:
            return False
        return True

    def destroy(self, key: str) -> None:
        """Destroy *key* in all its versions, if it is there; nothing brings it back."""
        if not self.has(key):
            return
        self._ask(f"keys/{key}/config", deletion_allowed=True)
        self._vault.ask(lambda client: client.adapter.delete(f"/v1/{self._mount}/keys/{key}"))

    def public_key(self, key: str) -> dict[int, bytes]:
        """The Ed25519 public key (32 bytes) of each version of *key*: with it anybody verifies."""
        found = self._read(key)
        if found["type"] != "ed25519":
            raise VaultFailed(f"{self._mount}/keys/{key} is of type {found['type']}, which does not sign so")
        return {int(number): base64.b64decode(each["public_key"]) for number, each in found["keys"].items()}

    def _read(self, key: str) -> dict[str, Any]:
        """What Vault says of *key*."""
        path = f"/v1/{self._mount}/keys/{key}"
        found: dict[str, Any] = self._vault.ask(lambda client: client.adapter.get(path))["data"]
        return found

    def _is_valid(self, key: str, content: bytes, **said: str) -> bool:
        return bool(self._ask(f"verify/{key}", input=_text(content), **said)["valid"])

    def _ask(self, path: str, **said: Any) -> dict[str, Any]:
        path = f"{self._mount}/{path}"
        try:
            answer = self._vault.ask(lambda client: client.adapter.post(f"/v1/{path}", json=said))
        except VaultFailed as error:
            raise type(error)(f"{path}: {error}") from None
        # Where there is nothing to say, the answer has no body.
        found: dict[str, Any] = answer["data"] if isinstance(answer, dict) and answer["data"] else {}
        return found


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
