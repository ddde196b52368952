"""What can go wrong in a way that a person can mend, and the exit code that says so to a script.

Exit codes: 0 ok, 2 usage or configuration, 3 data, 4 halted by risk, 5 plugin, 1 anything else.
"""

from __future__ import annotations

from typing import ClassVar


class NicegoldError(Exception):
    """Shown to the user as it is, without a traceback: it names the thing, the place and the way out."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(NicegoldError):
    """What was asked for cannot be meant."""

    exit_code = 2


class DataError(NicegoldError):
    """What was read cannot be used."""

    exit_code = 3


class HaltedByRisk(NicegoldError):
    """A risk check ended the trading."""

    exit_code = 4


class PluginError(NicegoldError):
    """A plugin is broken."""

    exit_code = 5


def in_one_line(error: BaseException) -> str:
    """What *error* says, without a traceback."""
    try:
        said = f"{type(error).__name__}: {error}"
    except TypeError:  # what it holds has no text, as a secret has none
        said = repr(error)
    return " ".join(said.split())
