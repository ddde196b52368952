"""Errors on their way to Sentry, or to a server that takes the same; no other module knows its SDK.

Nobody waits for the server. The SDK is used as a client that sends what it is handed: it hooks into nothing,
adds no header to what others send, and sees no variable, as its events are made here.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from sentry_sdk import Client
from sentry_sdk.transport import HttpTransport
from sentry_sdk.utils import BadDsn, Dsn

from nicegold import Event, PluginFailed, Secret
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.forks import forgets, lock
from nicegold_ops.report.secrets import without_secrets
from nicegold_ops.telemetry.logs import ROOT
from nicegold_ops.telemetry.settings import ErrorSettings
from nicegold_ops.trace import span_id, trace_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event as SentryEvent

    from nicegold_ops.secrets import Secrets

#: Errors that wait for our thread; the SDK's own queue holds a hundred.
_MOST = 100
#: Seconds between two of a kind, and kinds that are told apart.
_EACH, _KINDS = 60.0, 1000
#: Frames of a traceback, the innermost; tracebacks that wait for what the engine tells of them.
_DEEPEST, _STACKS = 50, 256
#: Seconds between two looks at a queue that was empty; that the server has for an answer; and at the end.
_PAUSE, _PATIENCE, _LAST = 0.5, 10, 2.0
#: What the engine tells of a failure begins with its type.
_TYPE = re.compile(r"(?:failed: )?(?P<type>\w+)(?:: (?P<words>.*))?", re.DOTALL)
_OURS = ("nicegold.", "nicegold_ops.")


class Place(msgspec.Struct, frozen=True):
    """A line that ran: no variable, no source."""

    file: str
    module: str
    function: str
    line: int


class Kept(msgspec.Struct, frozen=True):
    """Where a plugin failed, in the cycle of the input *cause*."""

    cause: int
    stack: tuple[Place, ...]


class Failure(msgspec.Struct, frozen=True):
    """What is sent of one error. Those with the same *kind* are one issue."""

    kind: tuple[str, ...]
    type: str
    words: str
    stack: tuple[Place, ...] = ()
    tags: dict[str, str] = {}
    trace: str = ""
    logger: str = ROOT


class Question(NamedTuple):
    """An envelope with nothing in it, to be posted: no error comes of it. The URL holds no key."""

    url: str
    headers: dict[str, str]
    body: bytes = b"{}\n"


class Transport(HttpTransport):
    """The SDK's, which counts what arrived and what did not."""

    TIMEOUT = _PATIENCE

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.arrived = self.full = self.refused = 0

    def on_dropped_event(self, _reason: str) -> None:
        if _reason == "full_queue":
            self.full += 1
        else:
            self.refused += 1

    def _get_pool_options(self) -> dict[str, Any]:
        # Each attempt that is made again is a warning of urllib3's on the terminal; and none goes elsewhere.
        return {**super()._get_pool_options(), "retries": 0}

    def _send_request(self, *arguments: Any, **options: Any) -> None:
        refused = self.refused
        super()._send_request(*arguments, **options)
        self.arrived += self.refused == refused


class Rate:
    """Lets one of a kind through in each minute. *clock* tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[tuple[str, ...], float] = {}

    def takes(self, kind: tuple[str, ...]) -> bool:
        """Whether one of this *kind* may be sent now."""
        now = self._clock()
        if now - self._last.get(kind, -_EACH) < _EACH:
            return False
        if len(self._last) >= _KINDS:
            self._last = {each: at for each, at in self._last.items() if now - at < _EACH}
        if len(self._last) >= _KINDS:
            return False
        self._last[kind] = now
        return True


class Errors:
    """Sends errors of *run* by *client*; whatever goes wrong with it stays here.

    *cause* is the cell with the number of the input in hand, *kinds* tells what a plugin is, *trace* the
    trace that the calling thread is in, and *mask* hides secrets in words. *clock* tells seconds.
    """

    def __init__(
        self,
        client: Client,
        *,
        tags: dict[str, str],
        mask: Callable[[str], str],
        clock: Callable[[], float],
        run: str = "",
        cause: list[int] | None = None,
        kinds: Callable[[str], str] = str,
        trace: Callable[[], str] = str,
    ) -> None:
        self._client, self._transport = client, cast(Transport, client.transport)
        self._run = run
        self._tags = tags
        self._cause = cause or [0]
        self._kinds = kinds
        self._trace = trace
        self._mask = mask
        self._rate = Rate(clock)
        #: By plugin, hook and type, the first of which the engine has not told yet.
        self._stacks: dict[tuple[str, str, str], Kept] = {}
        self._waiting: deque[Failure] = deque()
        self._handed = 0
        self._lost = {"rate_limited": 0, "queue_full": 0, "unsent": 0, "failed": 0}
        self._turn = lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="errors", daemon=True)
        self._handler = _Handler(self._log)
        self._is_ours = True
        forgets(self)

    def dropped(self) -> dict[str, int]:
        """How many did not arrive, by reason."""
        full = self._lost["queue_full"] + self._transport.full
        return {**self._lost, "queue_full": full, "refused": self._transport.refused}

    def exported(self) -> int:
        """How many arrived."""
        return self._transport.arrived

    # On the thread on which it happens. Each is at once, and none raises.

    def failed(self, hook: str, plugin: str, error: BaseException) -> None:
        """Keep where *plugin* failed, until the engine tells of it."""
        with suppress(Exception):
            kind = (plugin, hook, type(error).__name__)
            if kind not in self._stacks:
                if len(self._stacks) >= _STACKS:
                    self._stacks.clear()
                self._stacks[kind] = Kept(self._cause[0], _stack(error))

    def crashed(self, error: BaseException) -> None:
        """*error* ends the process."""
        with suppress(Exception):
            self._put(self._failure(("crashed",), error, _words(error), ROOT))

    def _log(self, record: logging.LogRecord) -> None:
        words, error = _logged(record)
        if error is not None:
            self._put(self._failure((record.name,), error, f"{words}: {_words(error)}", record.name))
        else:
            # Before its arguments, which differ.
            kind = (record.name, words if isinstance(record.msg, dict) else str(record.msg))
            self._put(Failure(kind, "", words, (), self._tags, self._trace(), record.name))

    def _failure(self, kind: tuple[str, ...], error: BaseException, words: str, logger: str) -> Failure:
        name, stack = type(error).__name__, _stack(error)
        return Failure((*kind, name, *_at(stack)), name, words, stack, self._tags, self._trace(), logger)

    # On the witness's.

    def tell(self, cause: int, events: Iterable[Event]) -> None:
        """In the cycle of the input *cause* these *events* were told; the failures among them are sent."""
        for event in events:
            if isinstance(event, PluginFailed):
                with suppress(Exception):
                    self._put(self._plugin_failed(cause, event))

    def _plugin_failed(self, cause: int, event: PluginFailed) -> Failure:
        found = _TYPE.fullmatch(event.error)
        name, words = (found["type"], found["words"] or "") if found else ("PluginFailed", event.error)
        kind = self._kinds(event.plugin)
        tags = {**self._tags, "plugin": event.plugin, "hook": event.hook, "plugin.kind": kind}
        if kind == "strategy":
            tags["strategy"] = event.plugin
        same = (event.plugin, event.hook, name)
        return Failure(
            same,
            name,
            words,
            self._stack_of(cause, same),
            tags,
            trace_id(self._run, cause) if cause else "",
            f"{ROOT}.plugin.{event.plugin}",
        )

    def _stack_of(self, cause: int, kind: tuple[str, str, str]) -> tuple[Place, ...]:
        """Where it was raised; nothing for an answer that its hook does not allow."""
        kept = self._stacks.get(kind)
        if kept is None or kept.cause > cause:
            return ()
        del self._stacks[kind]
        return kept.stack if kept.cause == cause else ()

    # On its own.

    def start(self) -> None:
        """Send what comes until `close`, what is logged as an error too."""
        logging.getLogger(ROOT).addHandler(self._handler)
        self._thread.start()

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        if not self._is_ours:
            return
        logging.getLogger(ROOT).removeHandler(self._handler)
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST)
        self._client.close(timeout=_LAST)
        gone = self._transport.arrived + self._transport.full + self._transport.refused
        self._lost["unsent"] = len(self._waiting) + max(0, self._handed - gone)

    def end(self, error: BaseException | None) -> None:
        """The same, *error* last where there is one."""
        if isinstance(error, Exception):
            self.crashed(error)
        self.close()

    def forget(self) -> None:
        """What waits is our parent's to send, and the SDK's thread is not here."""
        self._is_ours = False
        logging.getLogger(ROOT).removeHandler(self._handler)
        self._waiting.clear()

    def _put(self, failure: Failure) -> None:
        with self._turn:
            if not self._rate.takes(failure.kind):
                self._lost["rate_limited"] += 1
            elif len(self._waiting) >= _MOST:
                self._lost["queue_full"] += 1
            else:
                self._waiting.append(failure)

    def _work(self) -> None:
        while not self._stop.wait(0 if self._waiting else _PAUSE):
            self._send()
        while self._waiting:
            self._send()

    def _send(self) -> None:
        while self._waiting:
            try:
                self._client.capture_event(_event(self._waiting.popleft(), self._mask))
                self._handed += 1
            except Exception:
                self._lost["failed"] += 1


def errors_to(settings: ErrorSettings, secrets: Secrets, **options: Any) -> Errors:
    """What sends to where *settings* say, with `Errors`'s *options*.

    Raises ConfigurationError, and what a secret cannot be had for.
    """
    client = _client(secrets.of("[errors] dsn", settings.dsn), settings.environment)
    return Errors(
        client, mask=lambda words: secrets.masked(without_secrets(words)), clock=time.monotonic, **options
    )


def question(settings: ErrorSettings, secrets: Secrets) -> Question:
    """What asks the server whether it would take errors from us. Raises as `errors_to` does."""
    try:
        auth = Dsn(secrets.of("[errors] dsn", settings.dsn).reveal()).to_auth("nicegold")
    except (BadDsn, ValueError):
        raise _no_dsn() from None
    headers = {"content-type": "application/x-sentry-envelope", "x-sentry-auth": auth.to_header()}
    return Question(auth.get_api_url(), headers)


def _client(dsn: Secret, environment: str) -> Client:
    try:
        return Client(
            dsn=dsn.reveal(),
            environment=environment,
            release=f"nicegold@{version('nicegold')}",
            transport=Transport,
            # Each of these patches something: logging, threads, exceptions, or a client that trades.
            default_integrations=False,
            auto_enabling_integrations=False,
            # send_default_pii is off where it is not named, and naming it warns from 2.75 on.
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            # Traces are OpenTelemetry's: no headers of Sentry's, and `traceparent` as it is.
            trace_propagation_targets=[],
            propagate_traces=False,
            spotlight=False,
        )
    except (BadDsn, ValueError):
        raise _no_dsn() from None


def _no_dsn() -> ConfigurationError:
    # Without the reason, which could repeat the secret.
    return ConfigurationError(
        "[errors] dsn: what is there is no DSN, such as https://KEY@HOST/PROJECT; "
        "the server names it in the project's settings"
    )


class _Handler(logging.Handler):
    """Hands over what is logged as an error, or worse."""

    def __init__(self, tell: Callable[[logging.LogRecord], object]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self._tell(record)


def _logged(record: logging.LogRecord) -> tuple[str, BaseException | None]:
    """What *record* says, without its fields, and the exception that it is about; see `logs`."""
    said: Any = record.msg
    words, error = (
        (str(said.get("event")), said.get("exc_info") or record.exc_info)
        if isinstance(said, dict)
        else (record.getMessage(), record.exc_info)
    )
    match error:
        case True:
            return words, sys.exc_info()[1]
        case (_, BaseException() as found, _) | (BaseException() as found):
            return words, found
    return words, None


def _stack(error: BaseException) -> tuple[Place, ...]:
    """Outermost first. No frame is kept: it would hold what a plugin's variables hold."""
    deepest = deque(walk_tb(error.__traceback__), maxlen=_DEEPEST)
    return tuple(
        Place(
            frame.f_code.co_filename,
            str(frame.f_globals.get("__name__", "")),
            frame.f_code.co_qualname,
            line,
        )
        for frame, line in deepest
    )


def _at(stack: tuple[Place, ...]) -> tuple[str, ...]:
    return tuple(f"{place.module}:{place.function}" for place in stack[-1:])


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        # Of a secret there is no text.
        return ""


def _event(failure: Failure, mask: Callable[[str], str]) -> SentryEvent:
    words = mask(failure.words)
    event: dict[str, Any] = {
        "level": "error",
        "logger": failure.logger,
        "tags": failure.tags,
        "fingerprint": [mask(each) for each in failure.kind],
    }
    if failure.trace:
        event["contexts"] = {"trace": {"trace_id": failure.trace, "span_id": span_id(failure.trace)}}
    if not failure.type:
        return cast("SentryEvent", {**event, "logentry": {"message": words}})
    exception: dict[str, Any] = {"type": failure.type, "value": words}
    if failure.stack:
        exception["stacktrace"] = {"frames": [_frame(place) for place in failure.stack]}
    return cast("SentryEvent", {**event, "exception": {"values": [exception]}})


def _frame(place: Place) -> dict[str, Any]:
    """The file without its folders, which name a user; its module says where it is."""
    return {
        "filename": place.file.replace("\\", "/").rpartition("/")[2],
        "module": place.module,
        "function": place.function,
        "lineno": place.line,
        "in_app": not place.module.startswith(_OURS) and not place.file.startswith("<"),
    }
