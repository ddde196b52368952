"""The audit trail on its way to a real Elasticsearch, past whatever befalls it."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from elasticsearch import Elasticsearch
from opentelemetry.sdk.trace import ReadableSpan

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.fields import mapping
from nicegold_ops.audit.proof import proofs
from nicegold_ops.audit.query import parse
from nicegold_ops.audit.trail import deeds, documents
from nicegold_ops.people import InFolder, People
from nicegold_ops.ship.elasticsearch import AuditStream, Busy, Refused, _is_refused
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.store.place import open_store
from nicegold_ops.telemetry.requests import Requests
from nicegold_ops.telemetry.spans import DECLARED, resource
from tests.ops.commandline import market_in
from tests.ops.ship.streams import made_otherwise, without_fills
from tests.ops.test_witness import lived
from tests.services import elasticsearch as nodes
from tests.services.asking import asked
from tests.services.toxiproxy import Proxy, toxiproxy
from tests.services.wheels import required

pytestmark = pytest.mark.slow

WALL = 1_795_831_093_000_000_000
#: An answer to a bulk comes in less, on a loaded machine too; of a connection that is silent it does not.
PATIENCE = 20.0
_names = (f"test{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def node() -> Iterator[nodes.Elasticsearch]:
    with nodes.elasticsearch("9.0.8") as node:
        yield node


@pytest.fixture(scope="module")
def proxy(node) -> Iterator[Proxy]:
    with toxiproxy(node.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """Of two sessions, the second of which had no orders."""
    folder = tmp_path_factory.mktemp("sessions")
    app = lived(folder, name="busy")
    app.close()
    quiet = lived(folder, bars=3, name="quiet")
    yield quiet.store
    quiet.close()


class Copy:
    """A data stream of its own, and a shipper to it from *store*, through *port*."""

    def __init__(self, node: nodes.Elasticsearch, store: sa.Engine, port: int, patience: float) -> None:
        namespace = next(_names)
        self.store = store
        self.direct = AuditStream(_client(node.port, PATIENCE), namespace)
        self.client = _client(node.port, PATIENCE)
        self.name = self.direct.name
        self.waits: list[float] = []
        stream = AuditStream(_client(port, patience), namespace)
        # Each shipper reads as if it were the first one.
        with store.begin() as connection:
            connection.exec_driver_sql("DELETE FROM cursors WHERE reader LIKE 'elasticsearch%'")
        self.shipper = Shipper(store, stream, wait=self._wait, chance=lambda: 1.0, wall=lambda: WALL)
        #: Done at the next wait after trouble.
        self.mend: Any = None

    def _wait(self, seconds: float) -> bool:
        """Waits not at all, and gives up after a hundred times."""
        self.waits.append(seconds)
        if self.mend is not None and self.shipper.results["retried"] + self.shipper.results["rejected"]:
            self.mend()
            self.mend = None
        return len(self.waits) > 100

    def arrived(self) -> list[str]:
        """The ids of what is there, sorted; an id that is there twice, twice."""
        self.client.indices.refresh(index=self.name)
        hits: list[str] = []
        body: dict[str, Any] = {"size": 1000, "sort": [{"event.id": "asc"}], "_source": False}
        while page := self.direct.search(body)["hits"]["hits"]:
            hits += [each["_id"] for each in page]
            body["search_after"] = page[-1]["sort"]
        return hits

    def expected(self) -> list[str]:
        return sorted(each["event.id"] for run in ("busy", "quiet") for each in documents(self.store, run))


def _client(port: int, patience: float) -> Elasticsearch:
    return Elasticsearch(f"http://127.0.0.1:{port}", max_retries=0, request_timeout=patience)


@pytest.fixture
def copy(node, store) -> Copy:
    return Copy(node, store, node.port, PATIENCE)


@pytest.fixture
def through(node, store, proxy) -> Iterator[Copy]:
    """A copy whose shipper goes by the proxy, and waits two seconds for an answer."""
    yield Copy(node, store, proxy.port, 2.0)
    proxy.heal()


def test_each_document_arrives_once(copy):
    copy.shipper.run(until_done=True)

    assert copy.expected() == copy.arrived()
    assert (len(copy.expected()), 0, 0, 0) == tuple(
        copy.shipper.results[name] for name in ("created", "duplicate", "rejected", "retried")
    )
    assert (0, 0) == copy.shipper.behind()
    assert WALL == copy.shipper.beat


def test_what_is_sent_again_is_there_already(copy, store):
    copy.shipper.run(until_done=True)
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM cursors WHERE reader LIKE 'elasticsearch%'")

    copy.shipper.run(until_done=True)

    assert copy.expected() == copy.arrived()
    assert len(copy.expected()) == copy.shipper.results["duplicate"]


def test_what_is_there_twice_after_a_roll_over_is_counted_once(copy, store):
    copy.shipper.run(until_done=True)
    copy.client.indices.rollover(alias=copy.name)
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM cursors WHERE reader LIKE 'elasticsearch%'")
    copy.shipper.run(until_done=True)
    copy.client.indices.refresh(index=copy.name)

    assert 2 * len(copy.expected()) == len(copy.arrived())
    found = copy.direct.search(parse(["run:quiet"]).body(10_000))["hits"]["hits"]
    assert len(found) == len({each["_id"] for each in found}) > 0
    assert {""} == {each.fault for each in proofs(store, copy.direct)}


def test_a_search_finds_what_the_journal_has(copy, store):
    copy.shipper.run(until_done=True)
    copy.client.indices.refresh(index=copy.name)

    for words in (
        ["action:order.*"],
        ["order:cross-1"],
        ["action:hook.called", "plugin:limit"],
        ["run:quiet"],
    ):
        query = parse(words)
        here = {
            each["event.id"]
            for run in ("busy", "quiet")
            for each in documents(store, run)
            if query.fits(each)
        }
        hits = copy.direct.search(query.body(10_000))["hits"]["hits"]
        assert here == {each["_source"]["event.id"] for each in hits}
        assert here


def test_a_server_that_is_down_for_all_of_a_session_gets_everything_when_it_is_up(copy, node):
    node.stop()
    copy.mend = node.start

    copy.shipper.run(until_done=True)

    assert copy.expected() == copy.arrived()
    assert 1 <= copy.shipper.results["retried"]


def test_a_server_that_is_killed_on_the_way_loses_nothing(copy, node):
    stream = copy.shipper._stream
    copy.direct.prepare()
    some = list(documents(copy.store, "quiet"))
    stream.send(some)
    node.kill()
    copy.mend = node.start

    copy.shipper.run(until_done=True)

    assert copy.expected() == copy.arrived()
    assert len(some) == copy.shipper.results["duplicate"]


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("after", [0, 300, 5_000, 60_000])
def test_a_connection_that_is_cut_in_the_middle_of_a_bulk_loses_nothing_and_doubles_nothing(
    through, proxy, stream, after
):
    proxy.toxic("limit_data", stream=stream, bytes=after)
    through.mend = proxy.heal

    through.shipper.run(until_done=True)

    assert through.expected() == through.arrived()


def test_an_answer_that_comes_too_late_is_asked_for_again(through, proxy):
    proxy.toxic("latency", latency=4_000)
    through.mend = proxy.heal

    through.shipper.run(until_done=True)

    assert through.expected() == through.arrived()
    assert 1 <= through.shipper.results["retried"]


def test_a_server_that_is_slow_is_waited_for(through, proxy):
    proxy.toxic("latency", latency=300)

    through.shipper.run(until_done=True)

    assert through.expected() == through.arrived()


def test_a_line_that_cannot_take_so_much_in_time_gets_less_at_once(through, proxy):
    # Two seconds are too few for a page, and enough for the least of a request.
    proxy.toxic("bandwidth", stream="upstream", rate=40)

    through.shipper.run(until_done=True)

    assert through.expected() == through.arrived()
    assert 1 <= through.shipper.results["retried"]


@pytest.fixture
def narrow(node) -> Iterator[None]:
    """The node takes requests of 60 KB and no larger ones."""
    node.stop()
    node.configure("http.max_content_length: 60kb\n")
    node.start()
    yield
    node.stop()
    node.configure("")
    node.start()


def test_who_takes_no_large_requests_gets_small_ones(copy, narrow):
    copy.shipper.run(until_done=True)

    assert copy.expected() == copy.arrived()
    assert 1 <= copy.shipper.results["retried"]
    assert 0 == copy.shipper.results["rejected"]


def test_a_document_that_is_too_large_by_itself_is_refused(copy, narrow):
    copy.direct.prepare()
    large = {"@timestamp": "2026-11-28T00:00:00Z", "event.id": "1", "event.reason": "x" * 100_000}

    with pytest.raises(Refused, match="answers 413"):
        _send_until_it_is_known(copy.direct, [large])


def _send_until_it_is_known(stream: AuditStream, documents: list[Document]) -> None:
    for _ in range(10):
        with suppress(Busy):
            stream.send(documents)


def test_a_server_without_room_is_asked_again_later_and_later(copy, node):
    copy.direct.prepare()
    node.stop()
    node.configure("indexing_pressure.memory.limit: 1kb\n")
    node.start()

    def mend() -> None:
        node.stop()
        node.configure("")
        node.start()

    tries = iter(range(4))
    copy.mend = None
    copy.shipper._wait = lambda seconds: copy.waits.append(seconds) or next(tries, None) is None
    copy.shipper.run()
    assert copy.waits == sorted(copy.waits)
    assert copy.waits[0] < copy.waits[-1]
    assert not copy.client.indices.exists(index=copy.name)

    mend()
    copy.shipper._wait = copy._wait
    copy.shipper.run(until_done=True)
    assert copy.expected() == copy.arrived()


def test_a_document_that_is_refused_holds_up_its_run_and_no_other_until_that_is_mended(copy):
    known = mapping()
    del known["properties"]["nicegold"]["properties"]["fill"]
    made_otherwise(copy.client, copy.name, known)
    copy.client.indices.refresh(index=copy.name)
    # Somebody has done this since.
    copy.shipper._is_prepared = True

    said: list[list[str]] = []

    def mend() -> None:
        said.append(copy.arrived())
        copy.client.indices.put_mapping(index=copy.name, **mapping())

    rounds = itertools.count()
    wait = copy._wait
    copy.shipper._wait = lambda seconds: wait(seconds) if next(rounds) > 3 else copy.waits.append(seconds)
    copy.mend = mend
    copy.shipper.run(until_done=True)

    quiet = {each["event.id"] for each in documents(copy.store, "quiet")}
    assert quiet <= set(said[0])
    assert 0 < copy.shipper.results["rejected"]
    assert sorted([*copy.expected(), "first"]) == sorted(copy.arrived())


def test_a_stream_of_an_earlier_nicegold_gets_the_new_fields_and_what_people_did(copy, node, tmp_path):
    earlier = mapping()
    del earlier["properties"]["user"], earlier["properties"]["nicegold"]["properties"]["pii"]
    made_otherwise(copy.client, copy.name, earlier)
    store = open_store(tmp_path / "deeds.sqlite")
    People(store, InFolder(tmp_path), draw=lambda: "1", wall=lambda: WALL).did("Ana", "approval.granted")
    shipper = Shipper(store, copy.direct, wait=copy._wait, chance=lambda: 1.0, wall=lambda: WALL)

    shipper.run(until_done=True)
    shipper.run(until_done=True)

    copy.client.indices.refresh(index=copy.name)
    found = copy.direct.search(parse(["user:person-1"]).body(10))["hits"]["hits"]
    assert list(deeds(store)) == sorted(
        (each["_source"] for each in found), key=lambda each: each["event.sequence"]
    )
    assert (2, 0, "") == (
        shipper.results["created"],
        shipper.results["duplicate"],
        next(proofs(store, copy.direct)).fault,
    )
    store.dispose()


def test_what_was_refused_is_named_with_its_reason(copy):
    copy.direct.prepare()
    wrong = {"@timestamp": "2026-11-28T00:00:00Z", "event.id": "1", "colour": "red"}

    with pytest.raises(
        Refused, match=r"refuses 1 of 1 documents: strict_dynamic_mapping_exception: .*colour"
    ):
        copy.direct.send([wrong])


@pytest.fixture
def told(copy) -> list[ReadableSpan]:
    """The spans of what *copy* asks."""
    found: list[ReadableSpan] = []
    requests = Requests(found.extend, resource("work"), draw=random.getrandbits, wall=lambda: WALL)
    copy.shipper._outgoing.to = copy.shipper._stream.outgoing.to = requests
    return found


def test_what_is_asked_of_a_server_that_has_nothing_is_told_as_declared_and_goes_well(copy, told):
    copy.shipper.run(until_done=True)

    names = {each.name: set(each.attributes) for each in DECLARED}
    for each in told:
        declared = names.get(each.name) or names["METHOD /logs-nicegold.audit-NAMESPACE/_bulk"]
        assert set(each.attributes) <= declared, each.name
    failed = {each.name for each in told if each.status.status_code.name == "ERROR"}
    # This node has no life-cycles.
    assert {"PUT /_ilm/policy/nicegold-audit"} == failed
    assert {"audit.ship", f"POST /{copy.name}/_bulk"} <= {each.name for each in told}


def test_an_answer_that_says_no_is_a_failure_with_its_status_in_the_trace(copy, told):
    with pytest.raises(Refused):
        copy.shipper._stream.search({"query": {"nonsense": {}}})

    [asked] = told
    assert (400, "Refused", "ERROR") == (
        asked.attributes["http.response.status_code"],
        asked.attributes["error.type"],
        asked.status.status_code.name,
    )


def test_a_round_in_which_documents_were_refused_has_failed_in_the_trace(copy, told):
    made_otherwise(copy.client, copy.name, without_fills())

    copy.shipper._wait = lambda _: True
    copy.shipper.run()

    [work] = [each for each in told if each.name == "audit.ship"]
    assert ("ERROR", "Refused") == (work.status.status_code.name, work.attributes["error.type"])


def test_nobody_there_is_no_refusal(node):
    stream = AuditStream(_client(1, 1.0))

    with pytest.raises(Busy, match=r"logs-nicegold.audit-default does not answer: ConnectionError"):
        stream.prepare()


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        ({"status": 201}, False),
        ({"status": 201, "failure_store": "used"}, True),
        ({"status": 201, "failure_store": "not_enabled"}, False),
        ({"status": 409}, False),
        ({"status": 429}, False),
        ({"status": 400}, True),
        ({"status": 403}, True),
    ],
)
def test_a_document_in_the_failure_store_has_not_arrived(item, refused):
    assert refused == _is_refused(item)


def test_an_older_server_takes_it_from_the_older_client_and_says_so_to_the_newer(tmp_path):
    client = required(nodes.OLDER_CLIENT, nodes.HOW)
    with nodes.elasticsearch("8.19.4") as older:
        config = market_in(tmp_path, bars=300)
        config.write_text(f'{config.read_text()}\n[elasticsearch]\nurl = "{older.url}"\n')
        nicegold(config, "run", "--set", "run.mode=paper", client=client)
        done = nicegold(config, "work", "--once", "--metrics-port", "0", client=client)

        [line] = [line for line in done.stdout.splitlines() if "arrived" in line]
        asked(older.port, "POST", "/logs-nicegold.audit-default/_refresh")
        _, answer = asked(older.port, "GET", "/logs-nicegold.audit-default/_count")
        assert int(line.split()[0].replace(",", "")) == json.loads(answer)["count"] > 200

        newer = AuditStream(_client(older.port, PATIENCE))
        with pytest.raises(Refused, match=r"older than this client: pip install 'elasticsearch<9'"):
            newer.prepare()


def nicegold(config: Path, *arguments: str, client: Path) -> subprocess.CompletedProcess[str]:
    """A command that goes well, with the *client* in that folder."""
    command = [sys.executable, "-c", "from nicegold_ops.commands import main; main()"]
    done = subprocess.run(
        [*command, *arguments, "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(client)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done
