"""How Vault lets us in: a SecretID, a pod's token, or a token that somebody has made for us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from nicegold import Secret
from nicegold_ops.config import Resolve
from nicegold_ops.errors import NicegoldError
from nicegold_ops.reference import Reference
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.telemetry.outgoing import Relay
from nicegold_ops.vault.api import Api, Denied, Tampered, Unavailable, VaultFailed
from nicegold_ops.vault.settings import VaultSettings

_log = logger("vault")


class Login(msgspec.Struct, frozen=True):
    """A *token*, and the *api* that has it: for *ttl* seconds, 0 for ever; *is_ours* to revoke."""

    api: Api
    token: Secret
    ttl: float
    renewable: bool
    is_ours: bool = True


class Door:
    """Logs in as *settings* say; *resolve* answers what they refer to in the environment and in files.

    *outgoing* is told of each request.
    """

    def __init__(self, settings: VaultSettings, resolve: Resolve, outgoing: Relay | None = None) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._resolve = resolve
        #: The SecretID that came out of a wrapping token, which gives it once.
        self._unwrapped: tuple[Secret, Secret] | None = None

    def log_in(self) -> Login:
        """A new token. Raises VaultFailed."""
        if self._settings.auth == "token":
            return self._with_token()
        said = self._identity()
        try:
            answer = Api(self._settings, None, self._outgoing).post(
                f"auth/{self._settings.mounted}/login", **said
            )
        except Unavailable:
            raise
        except VaultFailed as error:
            raise type(error)(f"{error}; {self._way_out()}") from None
        return self._login(answer["auth"])

    def _identity(self) -> dict[str, str | None]:
        if self._settings.auth == "kubernetes":
            return {"role": self._settings.role, "jwt": self._jwt().reveal()}
        return {"role_id": self._settings.role_id, "secret_id": self._secret_id().reveal()}

    def _login(self, auth: dict[str, Any]) -> Login:
        token = Secret(auth["client_token"])
        return Login(
            Api(self._settings, token, self._outgoing), token, auth["lease_duration"], auth["renewable"]
        )

    def _with_token(self) -> Login:
        assert self._settings.token is not None  # noqa: S101  # its settings see to it
        token = self._opened("token", self._settings.token)
        api = Api(self._settings, token, self._outgoing)
        try:
            found = api.get("auth/token/lookup-self")["data"]
        except Denied as error:
            raise Denied(f"{error}; put a new token where [vault] token says") from None
        # In its last second 0 are left, which would be for ever.
        ttl = max(found["ttl"], 1) if found["expire_time"] else 0
        # Of a root token it is not said.
        return Login(api, token, ttl, found.get("renewable", False), is_ours=False)

    def _opened(self, name: str, reference: Reference) -> Secret:
        try:
            return self._resolve(reference)
        except NicegoldError as error:
            raise VaultFailed(f"[vault] {name}: {error}") from None

    def _jwt(self) -> Secret:
        path = self._settings.service_account
        try:
            return Secret(path.read_text("utf-8").strip())
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or "it holds no token"
            raise VaultFailed(f"[vault] jwt {path}: {said}; is this a pod with a service account?") from None

    def _way_out(self) -> str:
        if self._settings.auth == "kubernetes":
            return f"let the role {self._settings.role} take this pod's service account"
        return "its SecretID may be used up or too old: put a new one where [vault] secret_id says"

    # A SecretID in a wrapping.

    def _secret_id(self) -> Secret:
        assert self._settings.secret_id is not None  # noqa: S101  # its settings see to it
        given = self._opened("secret_id", self._settings.secret_id)
        if not self._settings.wrapped:
            return given
        # Somebody may have put a new wrapping token there.
        if self._unwrapped is None or self._unwrapped[0] != given:
            self._unwrapped = given, self._unwrap(given)
        return self._unwrapped[1]

    def refuse_tampered(self) -> None:
        """Raise Tampered when the wrapping is not there, or was not made for us. It stays closed."""
        assert self._settings.secret_id is not None  # noqa: S101  # its settings see to it
        wrapping = self._opened("secret_id", self._settings.secret_id)
        with _loudly():
            self._look(wrapping)

    def _unwrap(self, wrapping: Secret) -> Secret:
        """The SecretID in *wrapping*, which must have been made where SecretIDs of our role are made."""
        with _loudly():
            self._look(wrapping)
            opened = Api(self._settings, wrapping, self._outgoing).post("sys/wrapping/unwrap")
        return Secret(opened["data"]["secret_id"])

    def _look(self, wrapping: Secret) -> None:
        found = Api(self._settings, None, self._outgoing).post(
            "sys/wrapping/lookup", token=wrapping.reveal()
        )["data"]
        expected = self._settings.creation_path
        if found["creation_path"] != expected:
            raise Tampered(f"it was made at {found['creation_path']}, not at {expected}")


@contextmanager
def _loudly() -> Iterator[None]:
    """Make a security alert of what is wrong with a wrapping."""
    try:
        yield
    except Unavailable:
        raise
    except VaultFailed as error:
        said = (
            f"SECURITY: [vault] secret_id cannot be unwrapped: {error}. If it was neither too old nor "
            "used by us before, somebody else has it: have the AppRole's SecretIDs destroyed, find out "
            "who unwrapped it, and wrap a new one"
        )
        _log.critical(said, **{"event.action": "vault.tampered"})
        raise Tampered(said) from None
