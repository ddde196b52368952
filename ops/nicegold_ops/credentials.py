"""What a server asks of who connects to it, where its URL and the client's own files do not say."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nicegold import Secret


class Credentials(msgspec.Struct, frozen=True):
    """A *password*, and the *user* whose it is if not the URL's.

    The *number* is another one whenever they are.
    """

    user: str | None
    password: Secret
    number: int = 0


class Login(Protocol):
    """Where they come from."""

    def credentials(self) -> Credentials:
        """For a new connection. Raises NicegoldError."""

    def number(self) -> int:
        """Of the newest credentials, at once: connections that were made with others should be replaced."""

    def close(self) -> None:
        """Give back what was lent, when no connection is needed any more."""


class WithPassword:
    """The same *password* always."""

    def __init__(self, password: Secret) -> None:
        self._credentials = Credentials(None, password)

    def credentials(self) -> Credentials:
        return self._credentials

    def number(self) -> int:
        return self._credentials.number

    def close(self) -> None:
        """Nothing was lent."""
