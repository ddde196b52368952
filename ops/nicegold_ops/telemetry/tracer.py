"""Spans on their way to a trace store: a queue of a bounded length, and a thread that empties it.

Nobody waits for the store. What it does not take in time is dropped and counted.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from nicegold import Event, Secret
from nicegold_ops.secrets import Secrets
from nicegold_ops.telemetry.beside import NOTHING, Beside
from nicegold_ops.telemetry.cycles import Cycle
from nicegold_ops.telemetry.requests import Requests
from nicegold_ops.telemetry.settings import TraceSettings
from nicegold_ops.telemetry.spans import Spans

#: Spans that wait, some 30 MB: a minute of fifty orders a second with twenty plugins.
_MOST = 30_000
_BATCH = 512
#: Seconds between two looks at a queue that was empty, and that the last batches have when a run ends.
_PAUSE = 0.5
_LAST = 5.0


class Queue:
    """Spans on their way through *exporter*, which may come before `start`. *most* of them may wait."""

    def __init__(self, exporter: SpanExporter | None = None, *, most: int = _MOST) -> None:
        self.exported = 0
        #: Spans that did not arrive, by reason.
        self.dropped = {"queue_full": 0, "refused": 0}
        self.exporter = exporter
        self._most = most
        self._waiting: deque[ReadableSpan] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """Send what comes until `close`."""
        self._thread.start()

    def put(self, spans: Iterable[ReadableSpan]) -> None:
        """Take *spans*, at once."""
        for span in spans:
            if len(self._waiting) < self._most:
                self._waiting.append(span)
            else:
                self.dropped["queue_full"] += 1

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST)
        self.dropped["refused"] += len(self._waiting)
        self._waiting.clear()
        if self.exporter is not None:
            self.exporter.shutdown()

    def _run(self) -> None:
        while not self._stop.wait(0 if self._waiting else _PAUSE):
            self._send()
        while self._waiting and self._send():
            pass

    def _send(self) -> bool:
        """One batch; whether it arrived."""
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        try:
            arrived = not batch or self._export(batch)
        except Exception:
            arrived = False
        if arrived:
            self.exported += len(batch)
        else:
            self.dropped["refused"] += len(batch)
        return arrived

    def _export(self, batch: list[ReadableSpan]) -> bool:
        return self.exporter is not None and self.exporter.export(batch) is SpanExportResult.SUCCESS


class Tracer:
    """Hands what *spans* makes of cycles to *queue*."""

    def __init__(self, spans: Spans, queue: Queue) -> None:
        self._spans = spans
        self.queue = queue

    def start(self) -> None:
        """Send what comes until `close`."""
        self.queue.start()

    def tell(self, cycle: Cycle, events: list[Event], beside: Beside = NOTHING) -> None:
        """Take *cycle*, what was told in it and what was done beside its calls, at once."""
        self.queue.put(self._spans.of(cycle, events, beside))

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self.queue.put(self._spans.unfinished())
        self.queue.close()


def queue_to(settings: TraceSettings, secrets: Secrets, us: Resource, wall: Callable[[], int]) -> Queue:
    """One to the store that *settings* name, which is told what *secrets* ask of Vault, as *us*.

    The store's own key may be the first of it. *wall* tells ns UTC. Raises what that key cannot be had for.
    """
    queue, key = Queue(), settings.key
    secrets.outgoing.to = Requests(queue.put, us, draw=random.SystemRandom().getrandbits, wall=wall)
    headers = {} if key is None else {settings.key_header: secrets.of("[traces] key", key)}
    queue.exporter = otlp(settings.endpoint, headers)
    return queue


def otlp(endpoint: str, headers: Mapping[str, Secret], timeout: float = 10.0) -> SpanExporter:
    """To *endpoint*, by OTLP over HTTP, with *headers* besides those in OTEL_EXPORTER_OTLP_HEADERS.

    What is refused for the moment is sent again for *timeout* seconds.
    """
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        endpoint,
        headers={name: value.reveal() for name, value in headers.items()} or None,
        timeout=timeout,
        compression=Compression.Gzip,
    )
