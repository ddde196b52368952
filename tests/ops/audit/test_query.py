from __future__ import annotations

import pytest

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.query import WORDS, newest, parse
from nicegold_ops.errors import ConfigurationError

VETO: Document = {
    "@timestamp": "2026-11-28T10:00:00.000Z",
    "event.action": "order.vetoed",
    "event.sequence": 4,
    "nicegold.order.client_id": "cross-1",
    "nicegold.risk.rule": ["limit", "hours"],
}
CALL: Document = {
    "@timestamp": "2026-11-28T10:00:01.000Z",
    "event.action": "hook.called",
    "event.sequence": 1,
    "nicegold.plugin.name": "limit",
}


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("", True),
        ("order:cross-1", True),
        ("order:cross-*", True),
        ("order:cross-?", True),
        ("order:cross", False),
        ("order:*1.", False),
        ("rule:hours", True),
        ("rule:hours action:order.filled", False),
        ("rule:h*s action:order.*", True),
        ("strategy:*", False),
    ],
)
def test_a_document_fits_that_has_all_words(words, fits):
    assert fits == parse(words.split()).fits(VETO)


@pytest.mark.parametrize(
    ("since", "until", "fits"),
    [
        ("2026-11-28T10:00:00.000Z", "", True),
        ("2026-11-28T10:00:00.001Z", "", False),
        ("", "2026-11-28T10:00:00.000Z", False),
        ("2026-11-28", "2026-11-29", True),
    ],
)
def test_a_range_of_time_has_its_beginning_and_not_its_end(since, until, fits):
    assert fits == parse([], since, until).fits(VETO)


def test_calls_are_shown_to_who_asks_for_them():
    assert not parse([]).fits(CALL)
    assert not parse(["run:run"]).calls
    assert parse(["plugin:limit"]).fits(CALL)
    assert parse(["action:hook.*"]).fits(CALL)


def test_the_newest_come_first():
    assert [CALL, VETO] == newest([VETO, CALL], 5)
    assert [CALL] == newest([VETO, CALL], 1)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cross-1", '"cross-1" says no field: write such as order:cross-1'),
        ("order:", '"order:" says no field'),
        ("ordr:1", 'there is no field "ordr"; did you mean "order"?'),
        ("colour:red", f'there is no field "colour"; there are {", ".join(WORDS)}'),
    ],
)
def test_a_word_that_means_nothing_is_refused(word, said):
    with pytest.raises(ConfigurationError) as refused:
        parse([word])

    assert said in str(refused.value)


def test_elasticsearch_is_asked_for_the_same():
    assert {
        "query": {
            "bool": {
                "filter": [
                    {"term": {"nicegold.order.client_id": {"value": "a"}}},
                    {"wildcard": {"event.action": {"value": "order.*"}}},
                    {"range": {"@timestamp": {"gte": "2026-11-28"}}},
                ],
                "must_not": [],
            }
        },
        "sort": [{"@timestamp": "desc"}, {"event.sequence": "desc"}],
        "collapse": {"field": "event.id"},
        "size": 7,
    } == parse(["order:a", "action:order.*"], since="2026-11-28").body(7)
    assert [{"terms": {"event.action": ["hook.called", "hook.counted"]}}] == (
        parse([]).body(1)["query"]["bool"]["must_not"]
    )
