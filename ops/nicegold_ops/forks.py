"""What a forked child must not go on with: it has our memory, and none of our threads.

A plugin may fork, at any moment. The child is nobody whom we watch: it answers at no port of ours, writes
into no flight recorder, sends nothing, and waits for no lock that is held by a thread which it does not have.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """What knows how to be in a child."""

    def forget(self) -> None:
        """Let go of what is the parent's. Called in the child, before anything else runs there."""


_forgetful: WeakSet[Forgetful] = WeakSet()
_locks: WeakSet[Lock] = WeakSet()


def forgets(each: Forgetful) -> None:
    """In each child, *each* forgets."""
    _forgetful.add(each)


def lock() -> Lock:
    """A lock that nobody holds in a child."""
    made = Lock()
    _locks.add(made)
    return made


def _forget() -> None:
    for held in list(_locks):
        # As `threading` and `logging` do with theirs: there is no other way, as closures hold some.
        held._at_fork_reinit()  # type: ignore[attr-defined]
    for each in list(_forgetful):
        each.forget()


os.register_at_fork(after_in_child=_forget)
