"""What is looked for in the audit trail: the same words for Elasticsearch and for the store itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from nicegold_ops.audit.document import Document
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.suggest import did_you_mean

#: A word before the colon, and the field that it means.
WORDS = {
    "action": "event.action",
    "fill": "nicegold.fill.id",
    "hook": "nicegold.hook.name",
    "id": "event.id",
    "order": "nicegold.order.client_id",
    "outcome": "event.outcome",
    "plugin": "nicegold.plugin.name",
    "rule": "nicegold.risk.rule",
    "run": "nicegold.run.id",
    "side": "nicegold.order.side",
    "strategy": "nicegold.strategy.id",
    "symbol": "nicegold.instrument.symbol",
    "trace": "trace.id",
    "user": "user.id",
    "venue_order": "nicegold.order.venue_id",
    "writer": "nicegold.audit.writer.id",
}
_CALLS = frozenset({"hook.called", "hook.counted"})
_OF_CALLS = frozenset(WORDS[name] for name in ("action", "hook", "id", "plugin", "trace", "writer"))


class Query(msgspec.Struct, frozen=True):
    """Documents that have all of *terms*, a field and what it must be, in which * and ? stand for any text.

    From *since* until before *until*, as ISO 8601 says them; "" is without end. Calls of plugins, of which
    there are many, are among them only with *calls*.
    """

    terms: list[tuple[str, str]]
    since: str = ""
    until: str = ""
    calls: bool = True

    def fits(self, document: Document) -> bool:
        """Whether *document* is one of them."""
        time = document["@timestamp"]
        if (self.since and time < self.since) or (self.until and time >= self.until):
            return False
        if not self.calls and document["event.action"] in _CALLS:
            return False
        return all(_has(document.get(field), wanted) for field, wanted in self.terms)

    def body(self, limit: int) -> dict[str, Any]:
        """The same for Elasticsearch: the newest *limit* of them, newest first."""
        filters: list[dict[str, Any]] = [_filter(field, wanted) for field, wanted in self.terms]
        hidden = [] if self.calls else [{"terms": {"event.action": sorted(_CALLS)}}]
        bounds = {"gte": self.since, "lt": self.until}
        if self.since or self.until:
            filters.append({"range": {"@timestamp": {name: at for name, at in bounds.items() if at}}})
        return {
            "query": {"bool": {"filter": filters, "must_not": hidden}},
            "sort": [{"@timestamp": "desc"}, {"event.sequence": "desc"}],
            # What was sent again after a roll-over is there twice, under one id.
            "collapse": {"field": "event.id"},
            "size": limit,
        }


def parse(words: Sequence[str], since: str = "", until: str = "") -> Query:
    """The query of *words* such as ``action:order.vetoed``.

    Calls are shown to whoever asks for what only they have. Raises ConfigurationError that says what is
    wrong.
    """
    terms = [_term(word) for word in words]
    calls = not _OF_CALLS.isdisjoint(field for field, _ in terms)
    return Query(terms, since, until, calls)


def newest(found: Iterable[Document], limit: int) -> list[Document]:
    """The newest *limit* of *found*, newest first."""
    return sorted(found, key=_age, reverse=True)[:limit]


def _term(word: str) -> tuple[str, str]:
    name, colon, wanted = word.partition(":")
    if not colon or not wanted:
        raise ConfigurationError(f'"{word}" says no field: write such as order:{word}; there are {_all()}')
    if name not in WORDS:
        hint = did_you_mean(name, WORDS) or f"; there are {_all()}"
        raise ConfigurationError(f'"{word}": there is no field "{name}"{hint}')
    return WORDS[name], wanted


def _all() -> str:
    return ", ".join(WORDS)


def is_pattern(wanted: str) -> bool:
    """Whether *wanted* may be several."""
    return "*" in wanted or "?" in wanted


def _filter(field: str, wanted: str) -> dict[str, Any]:
    return {"wildcard" if is_pattern(wanted) else "term": {field: {"value": wanted}}}


def _has(value: Any, wanted: str) -> bool:
    values = value if isinstance(value, list) else [value]
    if not is_pattern(wanted):
        return wanted in values
    pattern = re.compile(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    return any(isinstance(each, str) and pattern.fullmatch(each) for each in values)


def _age(document: Document) -> tuple[str, int]:
    return document["@timestamp"], document.get("event.sequence", 0)
