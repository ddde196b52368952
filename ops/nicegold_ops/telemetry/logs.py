"""One log, a line for each thing that happened: JSON with ECS's fields, or words where a person looks.

What is logged through structlog and through the standard library's `nicegold` loggers goes the
same way. Fields keep their ECS names: pass them as `**{"event.action": "order.vetoed"}`.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO, TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO, TypeAlias, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from nicegold_ops.errors import NicegoldError
from nicegold_ops.forks import forgets
from nicegold_ops.trace import span_id

#: The version of the schema whose names the fields have.
ECS = "9.0.0"

#: Loggers of this name and below it are ours.
ROOT = "nicegold"

#: Lines that wait for a reader, and seconds that the end waits for them.
_MOST_LINES, _PATIENCE = 10_000, 2.0

#: How many, by reason.
Lost: TypeAlias = dict[str, int]


class Logs:
    """Where the log goes until it is closed: JSON to *file*, and to *stream* what its reader can use.

    *wall* tells ns UTC. A *stream* that is a terminal gets words. *level* is the least that is
    logged. A *file* of *size* bytes is renamed, to one that ends in .1, and so on up to *kept* of them; no
    line is in two. Where there are several, the last one counts. Raises NicegoldError when *file* cannot be
    written.
    """

    def __init__(
        self,
        *,
        file: Path | None = None,
        stream: TextIO | None = sys.stderr,
        level: int = logging.INFO,
        size: int = 100_000_000,
        kept: int = 10,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        #: Lines that were lost, by reason: of a full disk or a closed pipe; because who reads has stopped to.
        self.lost: Lost = {"unwritable": 0, "unread": 0}
        #: Tells which trace a line belongs to, "" for none; asked on the thread that logs.
        self.trace: Callable[[], str] = str
        self._handlers: list[_Stream | _File] = []
        stamp = _stamp(wall)
        if file is not None:
            self._add(_opened(file, size, kept, self.lost), [stamp, self._traced, _to_ecs, _to_json])
        if stream is not None:
            final: list[Processor] = [_console()] if stream.isatty() else [self._traced, _to_ecs, _to_json]
            self._add(_Stream(stream, self.lost), [stamp, *final])
        self._logger = logging.getLogger(ROOT)
        self._logger.handlers[:] = self._handlers
        self._logger.setLevel(level)
        # The root logger belongs to whoever embeds us.
        self._logger.propagate = False
        forgets(self)
        # For plugins that log through structlog without asking us.
        structlog.configure(
            processors=_CHAIN,
            wrapper_class=_Unfailing,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )

    def close(self) -> None:
        """Let go of the file; what is logged from now on is lost."""
        for handler in self._handlers:
            self._logger.removeHandler(handler)
            handler.close()
        self._logger.addHandler(logging.NullHandler())

    def forget(self) -> None:
        """A child may go on to log."""
        for handler in self._handlers:
            handler.forget()

    def _traced(self, _: Any, __: str, line: EventDict) -> EventDict:
        """The line with the trace of the cycle in which it is logged."""
        trace = self.trace()
        if trace:
            line["trace.id"] = trace
            line["span.id"] = span_id(trace)
        return line

    def _add(self, handler: _Stream | _File, final: list[Processor]) -> None:
        formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_FOREIGN,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
        handler.setFormatter(formatter)
        self._handlers.append(handler)


class _Counting(logging.Handler):
    """Lines that are not taken are counted in *lost*, and nothing else happens."""

    lost: Lost

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost["unwritable"] += 1


class _Stream(_Counting):
    """Lines to *stream*, written by a thread of their own.

    Whoever reads it, a pipe or a terminal, may stop to, and then nobody else waits: so many lines are kept.
    """

    def __init__(self, stream: TextIO, lost: Lost) -> None:
        super().__init__()
        self.lost = lost
        self._stream, self._has_reader = stream, False
        # What is no file is in memory, and nobody reads it slowly.
        with suppress(OSError, ValueError, AttributeError):
            # With a buffer, a thread that waits would have its lock, which the end of the process wants too.
            self._stream, self._has_reader = _unbuffered(stream.fileno()), True
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            if not self._has_reader:
                self._write(line)
            elif self._lines.qsize() < _MOST_LINES:
                self._lines.put(line)
                self._begin()
            else:
                self.lost["unread"] += 1
        except Exception:
            self.handleError(record)

    def forget(self) -> None:
        """A child has no such thread, and may end at any line: it waits by itself."""
        self._has_reader = False

    def close(self) -> None:
        """Wait a little for who reads."""
        if self._thread is not None and self._has_reader:
            self._lines.put(None)
            self._thread.join(_PATIENCE)
            self.lost["unread"] += max(0, self._lines.qsize() - 1)
        super().close()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            # A full disk or a closed pipe.
            except (OSError, ValueError):
                self.lost["unwritable"] += 1

    def _write(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()


class _File(_Counting, RotatingFileHandler):
    """Lines to *file*, which is its own."""

    def __init__(self, file: Path, size: int, kept: int, lost: Lost) -> None:
        super().__init__(file, maxBytes=size, backupCount=kept, encoding="utf-8")
        self.lost = lost

    def _open(self) -> TextIOWrapper:
        return _unbuffered(self.baseFilename)

    def forget(self) -> None:
        """It is renamed by one process alone, or each would have lines in the other's."""
        self.maxBytes = 0

    def doRollover(self) -> None:
        """Begin another file; where that cannot be, go on with this one."""
        with suppress(OSError):
            super().doRollover()
        # A file that could not be closed is closed all the same.
        if self.stream is None or self.stream.closed:
            self.stream = self._open()

    def close(self) -> None:
        # What a full disk has not taken is counted already.
        with suppress(OSError):
            super().close()


class _Whole(FileIO):
    """Writes a line at once and all of it. It has no buffer, whose lock a child would wait for."""

    def write(self, content: Any, /) -> int:
        rest = memoryview(content)
        while rest:
            written = super().write(rest)
            if written is None:
                raise BlockingIOError("there is no room, and nobody may wait for it")
            rest = rest[written:]
        return len(content)


def _unbuffered(file: str | int) -> TextIOWrapper:
    """A text stream to a path, or to what is open already, and stays so."""
    raw = _Whole(file, "a", closefd=isinstance(file, str))
    return TextIOWrapper(cast(Any, raw), encoding="utf-8", errors="backslashreplace", write_through=True)


def _opened(file: Path, size: int, kept: int, lost: Lost) -> _File:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return _File(file, size, kept, lost)
    except OSError as error:
        raise NicegoldError(f"{file}: the log cannot be written ({error.strerror})") from None


class _Unfailing(structlog.stdlib.BoundLogger):
    """Says what it can: a handler that somebody else has hung on a logger may raise, and trading goes on."""

    def _proxy_to_logger(
        self, method_name: str, event: str | None = None, *arguments: Any, **fields: Any
    ) -> Any:
        try:
            return super()._proxy_to_logger(method_name, event, *arguments, **fields)
        except Exception:
            return traceback.print_exc()


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of ours: *name* is what comes after `nicegold.`. It may be made before there are Logs."""
    # Not through structlog's configuration: where there is none, it would print to standard output.
    bound: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"), processors=_CHAIN, wrapper_class=_Unfailing
    )
    return bound


#: What a line of structlog's goes through on its way to the standard library's handlers.
_CHAIN: tuple[Processor, ...] = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
)

#: What a line of the standard library's goes through, so that it looks the same.
_FOREIGN: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
)

# Until there are Logs, and after them, what we log is nobody's to see.
logging.getLogger(ROOT).addHandler(logging.NullHandler())


def _stamp(wall: Callable[[], int]) -> Processor:
    def stamp(_: Any, __: str, line: EventDict) -> EventDict:
        line["@timestamp"] = _iso(wall())
        return line

    return stamp


def _to_ecs(_: Any, __: str, line: EventDict) -> EventDict:
    """The line by ECS's names, the ones everybody looks for first."""
    error = line.pop("exc_info", None)
    return {
        "@timestamp": line.pop("@timestamp"),
        "log.level": line.pop("level"),
        "message": str(line.pop("event")),
        "ecs.version": ECS,
        "service.name": ROOT,
        "log.logger": line.pop("logger", ROOT),
        **line,
        **_error(error),
    }


def _error(error: Any) -> Mapping[str, str]:
    """What ECS says about an exception, given as structlog and logging give it."""
    match error:
        case True:
            exception = sys.exc_info()[1]
        case (_, exception, _):
            pass
        case _:
            exception = error
    if not isinstance(exception, BaseException):
        return {}
    return {
        "error.type": type(exception).__name__,
        "error.message": _words(exception),
        "error.stack_trace": "".join(traceback.format_exception(exception)),
    }


def _to_json(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(line, enc_hook=_words).decode()


def _words(value: object) -> str:
    """Of a secret, and of what is made of one, there is no text: only that it is there."""
    try:
        return str(value)
    except TypeError:
        return repr(value)


def _console() -> Processor:
    # The renderer's own traceback would show local variables, and those hold secrets.
    return structlog.dev.ConsoleRenderer(
        timestamp_key="@timestamp", pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def _iso(nanoseconds: int) -> str:
    """ns UTC as `2026-01-05T00:00:00.000Z`."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
