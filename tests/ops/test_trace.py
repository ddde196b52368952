from __future__ import annotations

import re

from nicegold.testing import bar
from nicegold_ops.journal import MarketRead, Received, Told, caused
from nicegold_ops.trace import span_id, trace_id, trace_of, traceparent
from tests.ops.store.test_projections import STARTED, fill, order


def test_an_input_has_one_trace_wherever_it_is_asked_for():
    assert trace_id("run", 7) == trace_id("run", 7)
    assert 4 == len({trace_id("run", 7), trace_id("run", 8), trace_id("run 7", 8), trace_id("other", 7)})


def test_what_an_order_carries_is_w3cs_traceparent():
    parent = traceparent("run", 7)

    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent)
    assert (trace_id("run", 7), span_id(trace_id("run", 7))) == (trace_of(parent), parent[36:52])
    assert "" == trace_of("")


def test_events_follow_from_the_price_or_the_answer_before_them():
    told = [STARTED, MarketRead(events=3, time=1), order(), order(2), Received(), fill(1), order(3)]

    assert [
        Told(1, 0, STARTED),
        Told(5, 4, order()),
        Told(6, 4, order(2)),
        Told(7, 7, fill(1)),
        Told(8, 7, order(3)),
    ] == list(caused(told))


def test_a_bar_on_record_is_an_input():
    assert [(1, 1), (2, 1)] == [(each.sequence, each.cause) for each in caused([bar(), order()])]
