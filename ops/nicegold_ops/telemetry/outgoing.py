"""What we ask of other servers, told to whoever wants to know: a trace store, or nobody.

Nothing here needs OpenTelemetry. `requests.py` makes spans of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeAlias

#: Attributes of a span.
Said: TypeAlias = dict[str, str | int | float | bool]


class Outgoing(Protocol):
    """Is told of what is done while a `with` lasts, and of how that ends."""

    def work(self, name: str) -> AbstractContextManager[None]:
        """Something that takes requests, such as a round of the shipper."""

    def failed(self, kind: str) -> None:
        """The work at hand has failed, although it goes on and each request may have been answered."""

    def request(self, name: str, said: Said) -> AbstractContextManager[Said]:
        """One request; what is put into the answer is said of it too, by OpenTelemetry's names."""


class Relay:
    """Tells *to*, once there is somebody. It may be made long before."""

    def __init__(self) -> None:
        self.to: Outgoing | None = None

    def work(self, name: str) -> AbstractContextManager[None]:
        return nullcontext() if self.to is None else self.to.work(name)

    def failed(self, kind: str) -> None:
        if self.to is not None:
            self.to.failed(kind)

    @contextmanager
    def request(self, name: str, said: Said) -> Iterator[Said]:
        if self.to is None:
            yield {}
            return
        with self.to.request(name, said) as more:
            yield more
