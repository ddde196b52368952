"""The audit trail's copy in Elasticsearch: a data stream, and a sender that knows what became of all it sent.

The client's own helpers do not: by default they never send again what was refused for the moment, and let a
time-out through, after which documents may be there. Here each is sent until it is known to be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec
from elastic_transport import ApiResponse
from elasticsearch import ApiError, Elasticsearch, TransportError

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.fields import mapping
from nicegold_ops.errors import NicegoldError
from nicegold_ops.telemetry.outgoing import Relay, Said

#: Bytes of a request, about; Elasticsearch's own advice is 5 to 15 MB. A line or a server that cannot take
#: so much gets half as much at each try down to the least, and *_GROWTH* more after each page that arrived.
_REQUEST, _LEAST, _GROWTH = 5_000_000, 50_000, 150_000
_CREATE = b'{"create":{"_id":"%s"}}'
#: What of an answer is read: it is a tenth of all of it.
_ANSWER = "errors,items.create.status,items.create.error,items.create.failure_store"
#: What is not there yet is no error; it takes both.
_IF_THERE = "ignore_unavailable=true&allow_no_indices=true"
_CREATED, _CONFLICT, _TOO_LARGE, _TOO_MANY = 201, 409, 413, 429
#: A server that cannot do it now says one of these.
_LATER = frozenset({_TOO_MANY, 502, 503, 504})
#: Documents of a search at once; more are not given.
_PAGE = 10_000
_POLICY = "nicegold-audit"
#: A new index each month or 50 GB, so that none grows too large to be searched; nothing is deleted.
_PHASES = {"phases": {"hot": {"actions": {"rollover": {"max_age": "30d", "max_primary_shard_size": "50gb"}}}}}
_encode = msgspec.json.Encoder().encode


class Busy(NicegoldError):
    """Elasticsearch did not take it now, or nobody knows whether it did; to be sent again."""


class Refused(NicegoldError):
    """Elasticsearch will not take it as it is; it is kept, and sent again when a person has mended why."""


class Arrived(NamedTuple):
    """How many documents were new there, and how many had been there."""

    created: int
    duplicate: int


class AuditStream:
    """The data stream `logs-nicegold.audit-NAMESPACE`, through *client*.

    *outgoing* is told of each request.
    """

    def __init__(
        self, client: Elasticsearch, namespace: str = "default", outgoing: Relay | None = None
    ) -> None:
        self.name = f"logs-nicegold.audit-{namespace}"
        self.outgoing = outgoing or Relay()
        self._client = client
        self._most = _REQUEST
        [node] = list(client.transport.node_pool.all())[:1]
        self._where: Said = {
            "db.system.name": "elasticsearch",
            "server.address": node.config.host,
            "server.port": node.config.port,
        }

    def prepare(self) -> bool:
        """Make its index template and its life-cycle policy; answers whether the server took the policy.

        One without that module does not, and keeps all for ever. Raises Busy where it does not answer now,
        Refused where it will not have the template.
        """
        has_policy = self._put_policy()
        body = template(self.name, _POLICY if has_policy else None)
        self._ask("PUT", f"/_index_template/{self.name}", body)
        self._add_fields()
        return has_policy

    def version(self) -> str:
        """The server's; not by `GET /`, which some of them do not serve. Raises Busy or Refused."""
        answer = self._ask("GET", "/_nodes/_local?filter_path=nodes.*.version", None)
        found: str = next(iter(answer["nodes"].values()))["version"]
        return found

    def send(self, documents: Sequence[Document]) -> Arrived:
        """Have all of *documents* there, or raise; after Busy any part of them may be.

        Those that were there already count as arrived.
        """
        arrived: Counter[int] = Counter()
        for part in _parts(documents, self._most):
            try:
                arrived += self._send(part)
            except Busy:
                self._most = max(_LEAST, min(self._most, sum(map(len, part))) // 2)
                raise
        self._most = min(_REQUEST, self._most + _GROWTH)
        return Arrived(arrived[_CREATED], arrived[_CONFLICT])

    def count(self, writer: str) -> int:
        """How many documents of *writer* can be found."""
        query = {"term": {"nicegold.audit.writer.id": writer}}
        answer = self._ask("POST", f"/{self.name}/_count", {"query": query})
        found: int = answer["count"]
        return found

    def events(self, writer: str) -> int:
        """How many events these are: each is counted once, also where it is there twice."""
        query = {"term": {"nicegold.audit.writer.id": writer}}
        body = {"query": query, "size": _PAGE, "sort": [{"event.id": "asc"}], "_source": False}
        count, last = 0, ""
        while hits := self.search(body)["hits"]["hits"]:
            for hit in hits:
                count += hit["sort"][0] != last
                last = hit["sort"][0]
            # The next page begins after this id, so that no second one of it is seen there.
            body["search_after"] = [last]
        return count

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """What it answers to a search."""
        return self._ask("POST", f"/{self.name}/_search", body)

    def _send(self, part: list[bytes]) -> Counter[int]:
        path = f"/{self.name}/_bulk?filter_path={_ANSWER}"
        answer = self._ask("POST", path, part)
        items = [each["create"] for each in answer["items"]]
        refused = [each for each in items if _is_refused(each)]
        if refused:
            raise Refused(f"{self.name} refuses {len(refused)} of {len(items)} documents: {_why(refused[0])}")
        if any(each["status"] in _LATER for each in items):
            raise Busy(f"{self.name} has no room for now")
        return Counter(each["status"] for each in items)

    def _add_fields(self) -> None:
        """A stream that is there has the fields that it was made with, and would refuse newer ones."""
        # Where somebody gave a field another type, documents that have it are refused, and the others not.
        with suppress(Refused):
            self._ask("PUT", f"/{self.name}/_mapping?{_IF_THERE}", mapping())

    def _put_policy(self) -> bool:
        try:
            self._ask("PUT", f"/_ilm/policy/{_POLICY}", {"policy": _PHASES})
        except Refused:
            return False
        return True

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        there = path.partition("?")[0]
        said = {**self._where, "http.request.method": method, "url.path": there}
        with self.outgoing.request(f"{method} {there}", said) as more:
            answer = self._answer(method, path, body, more)
            if isinstance(body, list):
                # Two lines of a bulk are one document.
                more["db.operation.batch.size"] = len(body) // 2
            found: dict[str, Any] = answer.body
            return found

    def _answer(self, method: str, path: str, body: Any, more: Said) -> ApiResponse[Any]:
        headers = {
            "accept": "application/json",
            "content-type": "application/x-ndjson" if isinstance(body, list) else "application/json",
        }
        try:
            answer = self._client.perform_request(method, path, headers=headers, body=body)
            more["http.response.status_code"] = answer.meta.status
            return answer
        except TransportError as error:
            raise Busy(f"{self.name} does not answer: {type(error).__name__}: {error.message}") from None
        except ApiError as error:
            more["http.response.status_code"] = error.meta.status
            kind = Busy if self._is_later(error.meta.status) else Refused
            raise kind(f"{self.name} answers {error.meta.status}: {_said(error)}{_way_out(error)}") from None

    def _is_later(self, status: int) -> bool:
        return status in _LATER or (status == _TOO_LARGE and self._most > _LEAST)


def template(name: str, policy: str | None) -> dict[str, Any]:
    """The index template of the data stream *name*, whose indices live by *policy*."""
    life = {} if policy is None else {"index.lifecycle.name": policy}
    return {
        "index_patterns": [name],
        "data_stream": {},
        # Above Elastic's own for logs-*-*.
        "priority": 500,
        "template": {"settings": life, "mappings": mapping()},
        "_meta": {"description": "nicegold's audit trail; its record is the journal"},
    }


def _parts(documents: Sequence[Document], most: int) -> Iterator[list[bytes]]:
    """The lines of requests of about *most* bytes."""
    part: list[bytes] = []
    size = 0
    for document in documents:
        line = _encode(document)
        part += (_CREATE % document["event.id"].encode(), line)
        size += len(line)
        if size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part


def _is_refused(item: dict[str, Any]) -> bool:
    """A document that is in the failure store cannot be found."""
    if item.get("failure_store") == "used":
        return True
    return item["status"] not in (_CREATED, _CONFLICT) and item["status"] not in _LATER


def _why(item: dict[str, Any]) -> str:
    error = item.get("error") or {"type": "failure_store", "reason": "it is in the failure store"}
    return f"{error['type']}: {error['reason']}"


def _said(error: ApiError) -> str:
    """What the server said, in one line."""
    body: Any = error.body
    cause = body.get("error", body) if isinstance(body, dict) else body
    reason = cause.get("reason", cause) if isinstance(cause, dict) else cause
    return str(reason).splitlines()[0][:300] if reason else error.message


def _way_out(error: ApiError) -> str:
    """A client of a newer major than the server's is not understood."""
    if error.meta.status != 400 or "media-type" not in str(error.body):
        return ""
    major = version("elasticsearch").partition(".")[0]
    return f"; it is older than this client: pip install 'elasticsearch<{major}'"
