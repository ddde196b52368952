from collections.abc import Callable, Sequence
from typing import Any, final

from typing_extensions import Buffer

@final
class Watched:
    def __new__(
        cls,
        call: Callable[..., Any],
        ring: Buffer,
        first: int,
        last: int,
        silence: int,
        answer: int,
        error: int,
        cause: Sequence[object],
        lap: Callable[[], object],
        broken: Callable[[], object],
    ) -> Watched: ...
    def __call__(self, *arguments: Any, **named: Any) -> Any: ...
