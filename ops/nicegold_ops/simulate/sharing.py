"""What the connections to one file share in memory: its locks, and the index of its write-ahead log.

Both are SQLite's: https://www.sqlite.org/lockingv3.html and https://www.sqlite.org/walformat.html. They
are memory, so nothing of them outlives a crash.
"""

from __future__ import annotations

import ctypes

#: SQLite's levels of a lock on a file, each of which includes those before.
NONE, SHARED, RESERVED, PENDING, EXCLUSIVE = range(5)
#: Locks on the index.
_SLOTS = 8


class Sharing:
    """The locks and the index of one file. An *owner* is an open file."""

    def __init__(self) -> None:
        #: How many have the file open.
        self.users = 0
        self._levels: dict[object, int] = {}
        self._regions: list[ctypes.Array[ctypes.c_char]] = []
        self._mapped: set[object] = set()
        self._readers: list[set[object]] = [set() for _ in range(_SLOTS)]
        self._writer: list[object | None] = [None] * _SLOTS

    def lock(self, owner: object, level: int) -> bool:
        """Raise the lock of *owner* to *level*, or say that others are in its way."""
        if self._levels.get(owner, NONE) >= level:
            return True
        others = max((held for each, held in self._levels.items() if each is not owner), default=NONE)
        if others >= (PENDING if level == SHARED else RESERVED):
            return False
        # Who waits for the last reader to leave lets no new one in.
        granted = PENDING if level == EXCLUSIVE and others else level
        self._levels[owner] = granted
        return granted == level

    def unlock(self, owner: object, level: int) -> None:
        """Lower the lock of *owner* to *level*."""
        if level == NONE:
            self._levels.pop(owner, None)
        elif self._levels.get(owner, NONE) > level:
            self._levels[owner] = level

    def is_reserved(self) -> bool:
        """Whether somebody means to write."""
        return any(level >= RESERVED for level in self._levels.values())

    def region(self, owner: object, number: int, size: int, *, extend: bool) -> int | None:
        """The address of that region of the index, *size* bytes; None when it is not there yet."""
        self._mapped.add(owner)
        while extend and len(self._regions) <= number:
            self._regions.append(ctypes.create_string_buffer(size))
        return ctypes.addressof(self._regions[number]) if number < len(self._regions) else None

    def unmap(self, owner: object) -> None:
        """*owner* needs the index no more; nobody has it when the last one left."""
        self._mapped.discard(owner)
        if not self._mapped:
            self._regions.clear()

    def share(self, owner: object, slots: range) -> bool:
        """Let *owner* read under these locks of the index, unless another one writes."""
        if any(self._writer[slot] not in (None, owner) for slot in slots):
            return False
        for slot in slots:
            self._readers[slot].add(owner)
        return True

    def exclude(self, owner: object, slots: range) -> bool:
        """Let *owner* alone have these locks of the index, unless another one has one of them."""
        if any(self._writer[slot] not in (None, owner) or self._readers[slot] - {owner} for slot in slots):
            return False
        for slot in slots:
            self._writer[slot] = owner
        return True

    def release(self, owner: object, slots: range) -> None:
        """Give these locks of the index back."""
        for slot in slots:
            self._readers[slot].discard(owner)
            if self._writer[slot] is owner:
                self._writer[slot] = None
