"""Blocks that are chained by hash: each is named by what is in it and by the name of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from nicegold_ops.errors import DataError

#: What stands before the first block.
GENESIS = bytes(32)

Block = TypeVar("Block", bound=Any)


def link(digest: bytes, payload: bytes) -> bytes:
    """The digest of a block of *payload* that comes after the one of *digest*."""
    return hashlib.sha256(digest + payload).digest()


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
