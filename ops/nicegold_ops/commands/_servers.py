"""Whether the servers that a configuration names are there, let us in, and are such as were tried."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nicegold import Secret
from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.commands._finding import Finding
from nicegold_ops.config import Settings
from nicegold_ops.errors import NicegoldError
from nicegold_ops.secrets import Secrets
from nicegold_ops.ship.settings import ElasticsearchSettings
from nicegold_ops.telemetry.settings import ErrorSettings, TraceSettings

#: Seconds for an answer.
_PATIENCE = 5.0
#: Before it no Elasticsearch was tried.
_OLDEST = (8, 19)
_DENIED = frozenset({401, 403})


def servers(settings: Settings, secrets: Secrets) -> Iterator[Finding]:
    """A finding for each server, and for who signs."""
    if settings.elasticsearch is not None:
        yield _elasticsearch(settings.elasticsearch, secrets)
    if settings.traces is not None:
        yield _traces(settings.traces, secrets)
    if settings.errors is not None:
        yield _errors(settings.errors, secrets)
    if settings.audit is not None:
        yield _signer(settings.audit, secrets)


def _elasticsearch(settings: ElasticsearchSettings, secrets: Secrets) -> Finding:
    # Its client takes a fifth of a second to import.
    from nicegold_ops.ship.client import stream_of

    try:
        version = stream_of(settings, secrets, _PATIENCE).version()
    except NicegoldError as error:
        way_out = (
            "start it, or mend [elasticsearch] url, ca and api_key; until then the trail waits in the store"
        )
        return Finding("elasticsearch", "fail", str(error), way_out)
    if tuple(map(int, version.split(".")[:2])) < _OLDEST:
        return Finding(
            "elasticsearch", "warn", f"is version {version}", "use 8.19 or later: no other is tried"
        )
    return Finding("elasticsearch", "ok", f"{version} at {settings.url}")


def _traces(settings: TraceSettings, secrets: Secrets) -> Finding:
    try:
        key = None if settings.key is None else secrets.of("[traces] key", settings.key)
        status = _answer(settings, key)
    except (NicegoldError, OSError, HTTPException) as error:
        way_out = "start it, or mend [traces] endpoint; until then spans are dropped and counted"
        return Finding("traces", "fail", f"{settings.endpoint}: {error}", way_out)
    if status in _DENIED:
        return Finding(
            "traces", "fail", f"{settings.endpoint} does not let us in", "mend [traces] key and key_header"
        )
    if status >= 300:
        says = f"{settings.endpoint} answers {status}, so it takes no spans there"
        return Finding("traces", "fail", says, "name where it takes OTLP over HTTP, such as .../v1/traces")
    return Finding("traces", "ok", settings.endpoint)


def _answer(settings: TraceSettings, key: Secret | None) -> int:
    """The status of its answer to no spans at all, which OTLP allows."""
    headers = {"content-type": "application/x-protobuf"}
    if key is not None:
        headers[settings.key_header] = key.reveal()
    return _status(Request(settings.endpoint, b"", headers, method="POST"))  # noqa: S310  # the pattern says http


def _errors(settings: ErrorSettings, secrets: Secrets) -> Finding:
    # Sentry's SDK is imported where it is used.
    from nicegold_ops.telemetry.errors import question

    try:
        url, headers, body = question(settings, secrets)
    except NicegoldError as error:
        return Finding("errors", "fail", str(error), "mend [errors] dsn; until then no run begins")
    try:
        status = _status(Request(url, body, headers, method="POST"))  # noqa: S310  # a DSN's is http
    except (OSError, HTTPException) as error:
        way_out = "start it, or mend [errors] dsn; until then errors are dropped and counted"
        return Finding("errors", "fail", f"{url}: {error}", way_out)
    if status in _DENIED:
        return Finding("errors", "fail", f"{url} does not let us in", "mend [errors] dsn: its key or project")
    if status >= 300:
        says = f"{url} answers {status}, so it takes no errors there"
        return Finding("errors", "fail", says, "name the DSN of the project's settings")
    return Finding("errors", "ok", url)


class _Straight(HTTPRedirectHandler):
    """Goes nowhere else: a key would go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _status(request: Request) -> int:
    try:
        with build_opener(_Straight).open(request, timeout=_PATIENCE) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        return error.code


def _signer(settings: AuditSettings, secrets: Secrets) -> Finding:
    from nicegold_ops.audit.signing import signer_of

    whose = settings.signing_key or f"{settings.transit_key} in Vault"
    try:
        signer = signer_of(settings, secrets)
        signed = signer.verify(b"nicegold doctor", signer.sign(b"nicegold doctor"))
    except NicegoldError as error:
        return Finding("audit", "fail", str(error), "mend [audit]; until then no checkpoint is signed")
    if not signed:
        return Finding("audit", "fail", f"what {whose} signs does not verify", "name another key")
    publish = settings.publish
    if publish is None:
        way_out = "name a file in [audit] publish where whoever writes the journal cannot write"
        return Finding("audit", "warn", f"{whose} signs, and nothing is published", way_out)
    if not publish.parent.is_dir():
        return Finding(
            "audit", "fail", f"{publish.parent} is no folder", "make it, or name another in [audit] publish"
        )
    return Finding("audit", "ok", f"{whose} signs, published in {publish}")
