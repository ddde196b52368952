"""The tables [traces] and [errors] of nicegold.toml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.reference import Reference


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session's traces go, and which.

    *endpoint* takes OTLP over HTTP; where it wants a key, that is *key*, sent in the header *key_header*. A
    cycle from which an order, a veto or an error follows is always kept, and so is one in which a call takes
    longer than *budget* seconds; of the others one in *every*, none for 0.
    """

    endpoint: Annotated[
        str,
        msgspec.Meta(
            pattern="^https?://[^@]+$",
            description='the URL of an OTLP endpoint, such as "http://127.0.0.1:4318/v1/traces"',
        ),
    ]
    key: Reference | None = None
    key_header: Annotated[
        str, msgspec.Meta(pattern="^[A-Za-z0-9-]+$", description='a header\'s name, such as "api-key"')
    ] = "Authorization"
    every: Annotated[int, msgspec.Meta(ge=0, le=2**31, description="a whole number, 0 or above")] = 1000
    budget: Annotated[float, msgspec.Meta(gt=0, description="seconds, above 0")] = 0.05


@contextmanager
def traces_installed() -> Iterator[None]:
    """Say what [traces] needs, where something is imported that is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"[traces] needs {error.name}, which is not installed: pip install nicegold[traces]"
        ) from None


class ErrorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where errors of sessions and of `nicegold work` are sent: Sentry, or what takes the same.

    *dsn* leads to the URL with a key that the server names for a project.
    """

    dsn: Reference
    environment: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[^\s/]{1,64}$", description="a name without spaces and slashes, 64 letters at most"
        ),
    ] = "production"
