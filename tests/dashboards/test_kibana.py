"""What Kibana imports is what the script writes, hangs together, and has an answer from a real Elasticsearch.

Kibana itself is not here. Its panels' queries are translated as Lens does, and asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from dashboards.kibana.build import files
from nicegold_ops.audit.fields import FIELDS
from nicegold_ops.people import InFolder, People
from nicegold_ops.ship.elasticsearch import AuditStream
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.telemetry.logs import Logs, logger
from tests.ops.test_witness import lived
from tests.services.elasticsearch import elasticsearch

FOLDER = Path(__file__).parents[2] / "dashboards" / "kibana"
#: What ECS says of a line of the log; each is a keyword but for texts.
LOG_FIELDS = {"@timestamp", "log.level", "log.logger", "message", "error.type", "error.message", "trace.id"}
FAILING = """
from nicegold import Bar, hookimpl, plugin


@plugin
class Failing:
    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        raise LookupError("no price")
"""
WALL = 1_795_831_093_000_000_000


def objects() -> list[dict[str, Any]]:
    """All that is imported."""
    return [
        json.loads(line) for path in sorted(FOLDER.glob("*.ndjson")) for line in path.read_text().splitlines()
    ]


OBJECTS = objects()
PANELS = [each for each in OBJECTS if each["type"] in ("lens", "search")]


def stream_of(panel: dict[str, Any]) -> str:
    [source] = [each["id"] for each in panel["references"]]
    views = [each for each in OBJECTS if (each["type"], each["id"]) == ("index-pattern", source)]
    title: str = views[0]["attributes"]["title"]
    return title


def columns_of(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    layers = panel["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]
    [layer] = layers.values()
    assert set(layer["columns"]) == set(layer["columnOrder"])
    return {name: layer["columns"][name] for name in layer["columnOrder"]}


def fields_of(panel: dict[str, Any]) -> set[str]:
    if panel["type"] == "search":
        return set(panel["attributes"]["columns"])
    return {each["sourceField"] for each in columns_of(panel).values()} - {"___records___"}


def test_the_committed_files_are_what_the_script_writes():
    assert [] == [path.name for path, text in files().items() if path.read_text() != text]
    assert sorted(files()) == sorted(FOLDER.glob("*.ndjson"))


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.name)
def test_all_that_an_object_refers_to_is_imported_with_it(path):
    imported = [json.loads(line) for line in path.read_text().splitlines()]
    there = {(each["type"], each["id"]) for each in imported}

    wanted = {(each["type"], each["id"]) for one in imported for each in one["references"]}
    [dashboard] = [each for each in imported if each["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])

    assert wanted <= there
    assert {f"{each['panelIndex']}:{each['panelRefName']}" for each in panels} == {
        each["name"] for each in dashboard["references"]
    }
    assert len(there) == len(imported)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["id"])
def test_a_panel_asks_a_question_of_fields_that_there_are(panel):
    is_audit = "audit" in stream_of(panel)

    assert panel["attributes"]["title"].endswith("?")
    assert set() == fields_of(panel) - (set(FIELDS) if is_audit else LOG_FIELDS)
    if panel["type"] == "lens" and is_audit:
        grouped = [
            each["sourceField"] for each in columns_of(panel).values() if each["operationType"] == "terms"
        ]
        assert {"keyword"} == {FIELDS[name]["type"] for name in grouped}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """Of a node that has the audit trail and the log of a session in which all of this happens."""
    folder = tmp_path_factory.mktemp("demonstration")
    with elasticsearch("9.0.8") as node:
        client = Elasticsearch(node.url)
        folder.joinpath("failing.py").write_text(FAILING)
        lived(folder, 'plugins.failing.use="failing:Failing"', name="failing", bars=100).close()
        app = lived(folder, 'plugins.limit.limit="0.05"', name="vetoed", bars=100)
        people = People(app.store, InFolder(folder / "people"), draw=iter("12").__next__, wall=lambda: WALL)
        people.did("Ana", "approval.granted", reason="looked at")
        people.erase("Ana", by="Bo", why="asked for it")
        shipper = Shipper(
            app.store, AuditStream(client), wait=lambda _: False, chance=lambda: 0.0, wall=lambda: WALL
        )
        shipper.run(until_done=True)
        app.close()
        client.indices.put_index_template(
            name="logs",
            index_patterns=["logs-nicegold.app-*"],
            data_stream={},
            template=_LIKE_ELASTICS,
            priority=100,
        )
        for line in _lines(folder / "log.jsonl"):
            client.index(index="logs-nicegold.app-default", document=line, op_type="create")
        client.indices.refresh(index="logs-*")
        yield client


#: Elastic's own for logs-*-* makes keywords of texts, but for messages.
_LIKE_ELASTICS = {
    "mappings": {
        "properties": {"message": {"type": "text"}, "error": {"properties": {"message": {"type": "text"}}}},
        "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
    }
}


def _lines(path: Path) -> list[dict[str, Any]]:
    logs = Logs(file=path, stream=None)
    logger("engine").info("it begins")
    logger("plugin").error("it failed", exc_info=LookupError("no price"))
    logs.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


#: Only trading with a venue fills these.
LIVE = {"Where do our books and the venue's differ?"}


@pytest.mark.slow
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["id"])
def test_a_panel_has_an_answer(client, panel):
    found = client.search(index=stream_of(panel), body=asked(panel)).body

    if panel["attributes"]["title"] in LIVE:
        assert 0 == found["hits"]["total"]["value"]
        return
    assert found["hits"]["total"]["value"]
    if panel["type"] == "search":
        assert all(_has_any(hit["_source"], panel["attributes"]["columns"]) for hit in found["hits"]["hits"])
    else:
        assert rows_of(found["aggregations"])


def asked(panel: dict[str, Any]) -> dict[str, Any]:
    """What Kibana asks for *panel*."""
    attributes = panel["attributes"]
    if panel["type"] == "search":
        query = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]
        return {"query": _lucene(query), "sort": [{"@timestamp": "desc"}], "size": 50}
    columns = columns_of(panel)
    groups = {name: each for name, each in columns.items() if each["isBucketed"]}
    figures = {name: each for name, each in columns.items() if not each["isBucketed"]}
    aggregations = {name: _figure(each) for name, each in figures.items() if each["operationType"] != "count"}
    for name, each in reversed(groups.items()):
        aggregations = {name: {**_group(each, aggregations), "aggs": aggregations}}
    return {"query": _lucene(attributes["state"]["query"]), "size": 0, "aggs": aggregations}


def _lucene(query: dict[str, str]) -> dict[str, Any]:
    assert "lucene" == query["language"]
    return {"query_string": {"query": query["query"] or "*", "analyze_wildcard": True}}


def _group(column: dict[str, Any], within: dict[str, Any]) -> dict[str, Any]:
    if column["operationType"] == "date_histogram":
        return {"date_histogram": {"field": column["sourceField"], "fixed_interval": "30d"}}
    return {"terms": {"field": column["sourceField"], "size": column["params"]["size"]}}


def _figure(column: dict[str, Any]) -> dict[str, Any]:
    field = {"field": column["sourceField"]}
    match column["operationType"]:
        case "percentile":
            return {"percentiles": {**field, "percents": [column["params"]["percentile"]]}}
        case kind:
            return {kind: field}


def rows_of(aggregations: dict[str, Any]) -> list[Any]:
    """The innermost buckets."""
    [*found] = (each["buckets"] for each in aggregations.values() if "buckets" in each)
    return [row for bucket in found[0] for row in rows_of(_inner(bucket))] if found else [aggregations]


def _inner(bucket: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in bucket.items() if isinstance(each, dict)}


def _has_any(source: dict[str, Any], columns: list[str]) -> bool:
    return any(name in source for name in columns)
