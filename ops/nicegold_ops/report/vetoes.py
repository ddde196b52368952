"""Why orders were vetoed, with reasons that differ in their numbers only taken as one."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from nicegold import Vetoed

#: Reasons of one plugin that are kept; of the rarer ones only the number is.
_REASONS_KEPT = 20
#: So many forms of reasons are told apart; a check that never says the same thing must not fill memory.
_MOST_FORMS = 1000
#: Under this the rest is counted.
_OTHER = ""
_NUMBER = re.compile(r"-?\d[\d.,:]*")


class Reason(msgspec.Struct, frozen=True):
    """How often something like *text*, which was said first, was the reason."""

    text: str
    count: int


class Veto(msgspec.Struct, frozen=True):
    """How often one check objected, and why: the most frequent reasons first, *others* together."""

    plugin: str
    count: int
    reasons: list[Reason]
    others: int = 0


class Vetoes:
    """Counts objections."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._first: dict[tuple[str, str], str] = {}

    def add(self, vetoed: Vetoed) -> None:
        """Count each objection of *vetoed*."""
        for objection in vetoed.objections:
            forms = self._counts.setdefault(objection.plugin, Counter())
            form = _NUMBER.sub("#", objection.reason)
            if form not in forms and len(forms) >= _MOST_FORMS:
                form = _OTHER
            forms[form] += 1
            self._first.setdefault((objection.plugin, form), objection.reason)

    @property
    def found(self) -> list[Veto]:
        """By plugin, in the order in which they objected first."""
        return [self._veto(plugin, forms) for plugin, forms in self._counts.items()]

    def _veto(self, plugin: str, forms: Counter[str]) -> Veto:
        most = [each for each in forms.most_common() if each[0] != _OTHER][:_REASONS_KEPT]
        reasons = [Reason(self._first[plugin, form], count) for form, count in most]
        count = forms.total()
        return Veto(plugin, count, reasons, count - sum(each.count for each in reasons))
