"""A real Jaeger on free ports of this machine, which takes OTLP over HTTP and keeps traces in memory.

`python -m tests.services.jaeger` builds it, of the modules that go.sum beside go.mod names.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.services.asking import answers, asked
from tests.services.built import build, required
from tests.services.postgresql import free_port
from tests.services.process import Process, running

_MODULE = Path(__file__).parent / "go-jaeger"
_PACKAGE = "github.com/jaegertracing/jaeger/cmd/jaeger"
_SERVICES = "/api/v3/services"


class Span(NamedTuple):
    """One as it is stored; *said* is all of it, in OTLP's JSON."""

    name: str
    id: str
    #: The id of its parent, "" where it has none.
    parent: str
    attributes: dict[str, Any]
    #: The attributes of who sent it: service.name and others.
    resource: dict[str, Any]
    said: dict[str, Any]


class Jaeger(Process):
    """A server on loopback. It can be stopped, killed and started again; it has then forgotten all traces.

    It takes ten seconds to stop, and none to be killed.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._query, otlp, spare = (free_port() for _ in range(3))
        #: Where spans are posted.
        self.otlp = f"http://127.0.0.1:{otlp}/v1/traces"
        self.port = otlp
        settings = folder / "jaeger.yaml"
        # JSON is YAML.
        settings.write_text(json.dumps(_settings(self._query, otlp, spare)))
        command = [program, f"--config={settings}"]
        super().__init__(command, folder / "log", lambda: answers(self._query, _SERVICES))

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of the trace with this id of 32 hexadecimal digits; none where it is not known (yet)."""
        status, answer = asked(self._query, "GET", f"/api/v3/traces/{trace_id}")
        if status == 404:
            return []
        assert status == 200, answer
        return [
            _span(said, resource.get("resource", {}))
            for resource in json.loads(answer)["result"]["resourceSpans"]
            for scope in resource["scopeSpans"]
            for said in scope["spans"]
        ]

    def everything(self, service: str) -> str:
        """All that *service* sent, as it is stored."""
        status, answer = asked(self._query, "GET", f"/api/traces?service={service}&limit=10000&lookback=2d")
        assert status == 200, answer
        return answer

    def services(self) -> list[str]:
        """The service names of all who sent it spans."""
        status, answer = asked(self._query, "GET", _SERVICES)
        assert status == 200, answer
        found: list[str] = json.loads(answer).get("services", [])
        return found


def program() -> str:
    """Jaeger's; the test skips where it was not built."""
    return required(_MODULE, "python -m tests.services.jaeger")


@contextmanager
def jaeger() -> Iterator[Jaeger]:
    """A running server; the test skips where Jaeger was not built."""
    with (
        tempfile.TemporaryDirectory(prefix="nicegold-jaeger-") as folder,
        running(Jaeger(program(), Path(folder))) as server,
    ):
        yield server


def _settings(query: int, otlp: int, spare: int) -> dict[str, Any]:
    """Jaeger's own settings for one machine, less what would listen at ports of its own.

    Spans are not gathered first: what was posted and answered can be found.
    """
    ours = "127.0.0.1:{}".format
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
            # It cannot do without a port for gRPC.
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": ours(query)},
                "grpc": {"endpoint": ours(spare)},
            },
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": ours(otlp)}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }


def _span(said: dict[str, Any], resource: dict[str, Any]) -> Span:
    return Span(
        said["name"],
        said["spanId"],
        said.get("parentSpanId", ""),
        _attributes(said.get("attributes", [])),
        _attributes(resource.get("attributes", [])),
        said,
    )


def _attributes(said: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """By name; OTLP writes a whole number as text."""
    return {each["key"]: _value(each["value"]) for each in said}


def _value(said: dict[str, Any]) -> Any:
    [(kind, value)] = said.items()
    match kind:
        case "intValue":
            return int(value)
        case "arrayValue":
            return [_value(each) for each in value.get("values", [])]
        case _:
            return value


def fetch() -> Path:
    """The program, built unless it was."""
    return build(_MODULE, _PACKAGE)


if __name__ == "__main__":
    print(fetch())
