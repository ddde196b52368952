"""Which trace an event belongs to, in the form of W3C's Trace Context.

A trace begins with an input: a price, a venue's answer. Its id is made of the run and the input's number,
so that the engine, the shipper, a replay and a person with a journal find the same one, and nobody has
to be told of it.
"""

from __future__ import annotations

import hashlib

_DOMAIN = b"nicegold.trace/1"


def trace_id(run: str, cause: int) -> str:
    """32 hexadecimal digits; *cause* is the number of the input in its run."""
    return _digits(16, run, str(cause))


def span_id(trace: str, *path: object) -> str:
    """16 hexadecimal digits for what *path* names within *trace*; the cycle itself has none."""
    return _digits(8, trace, *map(str, path))


def traceparent(run: str, cause: int) -> str:
    """What an order carries: the cycle of the input from which it came."""
    trace = trace_id(run, cause)
    return f"00-{trace}-{span_id(trace)}-01"


def trace_of(parent: str) -> str:
    """The trace id in the traceparent *parent*; empty for an empty one."""
    return parent[3:35]


def _digits(size: int, *words: str) -> str:
    digest = hashlib.blake2b(digest_size=size, person=_DOMAIN)
    digest.update("\0".join(words).encode())
    found = digest.hexdigest()
    # W3C: an id of zeros only is none.
    return found if found.strip("0") else found[:-1] + "1"
