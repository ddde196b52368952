"""An exception that sentry-sdk sends becomes an issue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sentry_sdk

from tests.services.bugsink import Bugsink, bugsink

pytestmark = pytest.mark.slow


@contextmanager
def sentry(server: Bugsink) -> Iterator[sentry_sdk.Scope]:
    """A client of its own, which has sent all at the end; this process's own is not touched."""
    client = sentry_sdk.Client(dsn=server.dsn, release="nicegold@1", default_integrations=False)
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        try:
            yield scope
        finally:
            client.close(timeout=10)


def fail(sent: sentry_sdk.Scope, plugin: str) -> None:
    """Have a plugin fail, and tell of it."""
    try:
        raise RuntimeError("no price")
    except RuntimeError as error:
        sent.set_tag("plugin", plugin)
        sent.capture_exception(error)


def test_exceptions_of_one_cause_become_one_issue_which_outlives_a_kill():
    with bugsink() as server:
        assert [] == server.issues()

        with sentry(server) as sent:
            fail(sent, "gold_cross")
            fail(sent, "ema_cross")
        server.kill()
        server.start()

        [issue] = server.issues()
        assert ("RuntimeError", "no price") == (issue.type, issue.value)
        assert ["gold_cross", "ema_cross"] == [event.tags["plugin"] for event in issue.events]
        assert ["nicegold@1"] * 2 == [event.data["release"] for event in issue.events]
