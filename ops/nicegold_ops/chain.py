"""Blocks that are chained by hash: each is named by what is in it and by the name of the one before.

Whoever can write the store can write a chain anew, with right hashes. With a key, a code beside each digest
shows that it was written by somebody who had it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from nicegold_ops.errors import DataError

#: What stands before the first block.
GENESIS = bytes(32)

Block = TypeVar("Block", bound=Any)


class MacKey:
    """The key of one writer's codes; *name* tells which it is and is no secret."""

    __slots__ = ("_key", "name")

    def __init__(self, name: str, key: bytes) -> None:
        self.name = name
        self._key = key

    def __repr__(self) -> str:
        return f"MacKey({self.name!r})"

    def mac(self, chain: str, number: int, digest: bytes) -> bytes:
        """The code (HMAC-SHA256) of the block of that *number* in *chain*. It stands for all before it."""
        return hmac.digest(self._key, b"%s\0%d\0%s" % (chain.encode(), number, digest), "sha256")

    def fits(self, chain: str, number: int, digest: bytes, mac: bytes | None) -> bool:
        """Whether *mac* is that."""
        return isinstance(mac, bytes) and hmac.compare_digest(mac, self.mac(chain, number, digest))


def link(digest: bytes, payload: bytes) -> bytes:
    """The digest of a block of *payload* that comes after the one of *digest*."""
    return hashlib.sha256(digest + payload).digest()


def mac_of(key: MacKey | None, chain: str, number: int, digest: bytes) -> bytes | None:
    """The code of a block; None without a key."""
    return None if key is None else key.mac(chain, number, digest)


def followed(
    blocks: Iterable[Block], first: int, digest: bytes, fault: Callable[[int], str]
) -> Iterator[Block]:
    """*blocks*, numbered from *first* on, of which the one before has *digest*.

    Raises DataError with what *fault* says of the number of the first that is not sound.
    """
    for number, block in enumerate(blocks, first):
        digest = link(digest, block.payload if isinstance(block.payload, bytes) else b"")
        if block.number != number or block.digest != digest:
            raise DataError(fault(number))
        yield block
