"""A secret, which goes where it is revealed and nowhere else.

What prints, logs, formats, saves or sends the objects that it finds finds no text in this one.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn, final

_SHOWN = "Secret(…)"
_WAY_OUT = "is not text, so that it cannot leak; reveal() answers it, where it is used"


@final
class Secret:
    """A password, a key or a token: *text* that only `reveal` answers.

    It has no text of its own for str(), format() and pickle, which say so; its repr is always the same, as a
    traceback or an assertion may show it. Raises ValueError when *text* is empty, TypeError when it is none.
    """

    __slots__ = ("_text", "_why")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            # What else it is may hold the secret.
            raise TypeError(f"a Secret is made of text, not of {type(text).__name__}")
        if not text:
            raise ValueError("a Secret is not empty")
        self._text, self._why = text, ""

    @classmethod
    def withheld(cls, why: str) -> Secret:
        """One that nobody may have now; `reveal` says *why*."""
        secret = cls(_SHOWN)
        secret._text, secret._why = "", why
        return secret

    def reveal(self) -> str:
        """The text. Raises ValueError that says why it is withheld, where it is."""
        if self._why:
            raise ValueError(self._why)
        return self._text

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> NoReturn:
        raise TypeError(f"a Secret {_WAY_OUT}")

    def __format__(self, specification: str) -> NoReturn:
        raise TypeError(f"a Secret {_WAY_OUT}")

    def __eq__(self, other: object) -> bool:
        """Whether both are the same, in a time that says nothing of where they differ."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            f"{self._why}:{self._text}".encode(), f"{other._why}:{other._text}".encode()
        )

    #: A key of a table or a member of a set gets shown, sorted and saved.
    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: another process resolves its own")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: another process resolves its own")
