"""Something sealed with AES-256-GCM, so that it opens with its key alone and only for what it is about."""

from __future__ import annotations

import os

import msgspec

#: Bytes of the nonce. It is drawn anew for each content, under a key of that content alone.
_NONCE = 12
_KEY = 32


class Unopened(ValueError):
    """It was changed, or is about something else, or the key is another's."""


class Envelope(msgspec.Struct, frozen=True):
    """The *content* under a key, which is *wrapped* as Vault gave it; "" where the key is kept elsewhere."""

    wrapped: str
    nonce: bytes
    content: bytes

    def unseal(self, key: bytes, about: bytes) -> bytes:
        """What is in it. Raises Unopened."""
        # cryptography takes long to import, and most of what is run opens nothing.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(key).decrypt(self.nonce, self.content, about)
        except (InvalidTag, ValueError) as error:
            raise Unopened(str(error)) from None


def new_key() -> bytes:
    """One that nobody can guess."""
    return os.urandom(_KEY)


def seal(key: bytes, content: bytes, about: bytes, wrapped: str = "") -> Envelope:
    """*content* under *key*, which is for nothing else; it opens only together with *about*."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    return Envelope(wrapped, nonce, AESGCM(key).encrypt(nonce, content, about))
