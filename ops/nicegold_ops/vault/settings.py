"""[vault] of nicegold.toml: where Vault is, and how it lets us in."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from nicegold_ops.reference import Reference

#: What each way to be let in needs, and what else it takes.
_NEEDED = {"approle": ("role_id", "secret_id"), "kubernetes": ("role",), "token": ("token",)}
_TAKEN = {"approle": ("role", "wrapped", "mount"), "kubernetes": ("jwt", "mount"), "token": ()}
_JWT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Vault is, and how it lets us in.

    *address* is such as "https://vault.example.com:8200"; without TLS it must be on this machine. *namespace*
    is an enterprise's part of it. *ca* is a file with the certificates that are trusted in place of the
    system's. An answer may take *timeout* seconds.

    *auth* is how we log in. approle: with *role_id* and *secret_id*; if *wrapped*, the latter is a token that
    is exchanged, once, for the SecretID of the AppRole *role*, and refused if it was made elsewhere.
    kubernetes: as *role*, with the service account's token in the file *jwt*. token: with *token*, which
    somebody else must replace when it ends. *mount* is where the method is mounted, if not under its name.
    """

    address: str
    auth: Literal["approle", "kubernetes", "token"]
    namespace: str | None = None
    ca: Path | None = None
    timeout: Annotated[
        float, msgspec.Meta(gt=0, le=60, description="seconds, above 0 and at most a minute")
    ] = 5.0
    mount: str | None = None
    role: str | None = None
    role_id: str | None = None
    secret_id: Reference | None = None
    wrapped: bool = False
    jwt: Path | None = None
    token: Reference | None = None

    def __post_init__(self) -> None:
        _refuse_address(self.address)
        needed, taken = _NEEDED[self.auth], _TAKEN[self.auth]
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f'needs "{name}" for auth = "{self.auth}"')
        for name in ("mount", "role", "role_id", "secret_id", "wrapped", "jwt", "token"):
            if getattr(self, name) and name not in (*needed, *taken):
                raise ValueError(f'{name} means nothing for auth = "{self.auth}"; leave it out')
        if self.auth == "approle" and self.wrapped != bool(self.role):
            raise ValueError("takes wrapped and role together: the role is the one whose SecretID is wrapped")

    @property
    def mounted(self) -> str:
        """Where the method of logging in is."""
        return (self.mount or self.auth).strip("/")

    @property
    def service_account(self) -> Path:
        """The file of the token that Kubernetes gives a pod."""
        return self.jwt or _JWT

    @property
    def creation_path(self) -> str:
        """Where a wrapped SecretID must have been made."""
        return f"auth/{self.mounted}/role/{self.role}/secret-id"


def _refuse_address(address: str) -> None:
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("address must be such as https://vault.example.com:8200")
    if url.username or url.password or url.query or url.fragment or url.path.strip("/"):
        raise ValueError("address must be a host and a port, and nothing else")
    if url.scheme == "http" and not _is_here(url.hostname):
        raise ValueError("address is not https: secrets would be readable on their way")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
