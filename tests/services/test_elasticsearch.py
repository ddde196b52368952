"""Each official client with the server of its version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.services.asking import asked
from tests.services.elasticsearch import HOW, OLDER_CLIENT, Elasticsearch, elasticsearch
from tests.services.wheels import required

pytestmark = pytest.mark.slow

# Run with the client that PYTHONPATH names: a process has one.
CLIENT = """
import json
import sys

import elasticsearch

client = elasticsearch.Elasticsearch(sys.argv[1], request_timeout=60)
mapping = {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}, "order": {"type": "keyword"}}}
client.indices.put_index_template(
    name="audit", index_patterns=["audit*"], data_stream={}, template={"mappings": mapping}
)
at = "2026-11-28T00:00:00Z"
operations = []
for id, document in ("1", {"order": "1"}), ("1", {"order": "1"}), ("2", {"gold": 1}):
    operations += [{"create": {"_id": id}}, {"@timestamp": at, **document}]
items = client.bulk(index="audit", operations=operations, refresh="wait_for")["items"]
print(json.dumps({
    "client": elasticsearch.__versionstr__,
    "items": [(item["create"]["status"], item["create"].get("error", {}).get("type")) for item in items],
    "found": client.search(index="audit")["hits"]["total"]["value"],
}))
"""


def bulk(server: Elasticsearch, older: bool) -> dict[str, Any]:
    """What one of the clients saw: create a document, create it again, and one that is not as mapped."""
    environment = {**os.environ, "PYTHONPATH": str(required(OLDER_CLIENT, HOW)) if older else ""}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, server.url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert 0 == done.returncode, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("version", ["8.19.4", "9.0.8"])
def test_a_document_is_created_once_and_as_it_is_mapped(version):
    with elasticsearch(version) as server:
        seen = bulk(server, older=version.startswith("8."))

        assert version[0] == seen["client"][0]
        assert [
            [201, None],
            [409, "version_conflict_engine_exception"],
            [400, "strict_dynamic_mapping_exception"],
        ] == seen["items"]
        assert 1 == seen["found"]


def test_what_was_answered_outlives_a_kill():
    with elasticsearch("9.0.8") as server:
        assert 201 == asked(server.port, "PUT", "/audit/_create/1", {"order": "1"})[0]

        server.kill()
        server.start()

        assert [200, 404] == [asked(server.port, "GET", f"/audit/_doc/{id}")[0] for id in (1, 2)]
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            asked(server.port, "GET", "/audit/_doc/1")
