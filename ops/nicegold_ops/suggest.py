"""What somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* may have been meant to be; case does not matter."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, 1)
    return names[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about *word*, or nothing if none of *known* is near."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""
