"""What is to go wrong at the exchange, for how often, and with which requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: By kind, what it does. Those of requests take *of*: the requests that they are about, or all but logins.
KINDS = {
    "slow": "answers come *ms* late",
    "silent": "requests are acted on and nothing leaves; without a bound, nothing at all",
    "lose_requests": "requests never arrive",
    "lose_answers": "requests are acted on and their answers are lost",
    "hold_requests": "requests are on the way until they are released",
    "cut": "requests are acted on and the connection is cut",
    "garble": "answers are no JSON",
    "die_before": "the process ends before it acts",
    "die_after": "the process ends when it has acted, before it answers",
    "reject": "orders are rejected with *reason*",
    "refuse_logins": "logins are refused with *reason*",
    "double": "executions are sent twice",
    "lose": "executions are lost",
    "hold": "executions are held back until they are released",
}


@dataclass
class Fault:
    """*left* is how often it still happens; None is always."""

    left: int | None = None
    of: frozenset[str] = frozenset()
    ms: int = 0
    reason: str = "asked to"


@dataclass
class Faults:
    """The faults that are set, one of each kind."""

    _set: dict[str, Fault] = field(default_factory=dict)

    def set(self, kind: str, options: Mapping[str, Any]) -> None:
        """Raises ValueError if there is no such kind or option."""
        if kind not in KINDS:
            raise ValueError(f"there is no fault {kind!r}; there are {', '.join(KINDS)}")
        unknown = sorted(set(options) - {"next", "of", "ms", "reason"})
        if unknown:
            raise ValueError(f"a fault has no {', '.join(unknown)}; it has next, of, ms, reason")
        known = {name: options[name] for name in ("ms", "reason") if name in options}
        self._set[kind] = Fault(options.get("next"), frozenset(options.get("of", ())), **known)

    def clear(self) -> None:
        self._set.clear()

    def take(self, kind: str, request: str = "") -> Fault | None:
        """The fault, if it happens to *request* now; one less is left then."""
        fault = self._set.get(kind)
        if fault is None or (fault.of and request not in fault.of):
            return None
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self._set[kind]
        return fault

    def is_always(self, kind: str) -> bool:
        """Whether it is set without a bound, for everything."""
        fault = self._set.get(kind)
        return fault is not None and fault.left is None and not fault.of
