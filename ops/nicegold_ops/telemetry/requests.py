"""Requests that we make of other servers, as OpenTelemetry's spans of kind CLIENT.

What is done for one purpose is a span above them. Purposes for which nothing was asked make no span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from nicegold_ops.telemetry.outgoing import Said
from nicegold_ops.telemetry.spans import SAMPLED, SCOPE

#: Statuses of HTTP from here on are failures.
_FAILED = 400


class Requests:
    """Tells *put* of them. *draw* gives as many random bits as it is asked for, *wall* tells ns UTC."""

    def __init__(
        self,
        put: Callable[[Iterable[ReadableSpan]], None],
        resource: Resource,
        *,
        draw: Callable[[int], int],
        wall: Callable[[], int],
    ) -> None:
        self._put, self._resource, self._draw, self._wall = put, resource, draw, wall
        #: The purpose at hand, and whether anything was asked for it.
        self._purpose: ContextVar[_Purpose | None] = ContextVar("purpose", default=None)

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        purpose = _Purpose(self._context(self._draw(128)))
        before = self._purpose.set(purpose)
        began = self._wall()
        try:
            yield
        except BaseException as error:
            self._tell(name, purpose, began, type(error).__name__)
            raise
        else:
            self._tell(name, purpose, began, purpose.failed)
        finally:
            self._purpose.reset(before)

    def failed(self, kind: str) -> None:
        purpose = self._purpose.get()
        if purpose is not None:
            purpose.failed = kind

    @contextmanager
    def request(self, name: str, said: Said) -> Iterator[Said]:
        purpose, more, began, failed = self._purpose.get(), Said(), self._wall(), ""
        try:
            yield more
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            status = more.get("http.response.status_code", 0)
            if not failed and isinstance(status, int) and status >= _FAILED:
                failed = str(status)
            parent = None if purpose is None else purpose.context
            trace = self._draw(128) if parent is None else parent.trace_id
            if purpose is not None:
                # A request may fail and what it was for go well, as where a second login helps.
                purpose.asked = True
            self._put([self._span(name, self._context(trace), parent, {**said, **more}, began, failed)])

    def _tell(self, name: str, purpose: _Purpose, began: int, failed: str) -> None:
        if purpose.asked or failed:
            kind = SpanKind.INTERNAL
            self._put([self._span(name, purpose.context, None, {}, began, failed, kind)])

    def _context(self, trace: int) -> SpanContext:
        # W3C: an id of zeros only is none.
        return SpanContext(trace or 1, self._draw(64) or 1, is_remote=False, trace_flags=SAMPLED)

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        said: Said,
        began: int,
        failed: str,
        kind: SpanKind = SpanKind.CLIENT,
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes={**said, "error.type": failed} if failed else said,
            kind=kind,
            status=Status(StatusCode.ERROR) if failed else Status(),
            start_time=began,
            end_time=self._wall(),
            instrumentation_scope=SCOPE,
        )


class _Purpose:
    def __init__(self, context: SpanContext) -> None:
        self.context = context
        self.asked, self.failed = False, ""
