"""`nicegold work`: what is done beside trading, in a process of its own."""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from nicegold_ops.audit.checkpoint import Notary
from nicegold_ops.audit.signing import signer_of
from nicegold_ops.commands._options import config_option, set_option
from nicegold_ops.commands._output import console
from nicegold_ops.commands._runs import opened_with, secrets_of
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.secrets import Secrets
from nicegold_ops.ship.client import stream_of
from nicegold_ops.ship.collector import Collector
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.telemetry.http import Server
from nicegold_ops.telemetry.logs import Logs
from nicegold_ops.telemetry.outgoing import Relay
from nicegold_ops.telemetry.settings import traces_installed

if TYPE_CHECKING:
    from nicegold_ops.telemetry.errors import Errors
    from nicegold_ops.telemetry.tracer import Queue

#: Seconds of a round: the longest wait, and requests that are not answered.
_PATIENCE = 300.0


@click.command()
@config_option
@set_option
@click.option("--once", is_flag=True, help="End when all that is on record is signed and has arrived.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="HOST")
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), default=9465, show_default=True, metavar="PORT"
)
def command(
    config: Path, overrides: tuple[str, ...], once: bool, metrics_host: str, metrics_port: int
) -> None:
    """Sign checkpoints of the journal and copy the audit trail to Elasticsearch, until Ctrl-C.

    Each where the configuration has a table for it, [audit] and [elasticsearch]. What is on record while this
    does not run, or a server does not answer, is done later. It needs no engine, and no engine needs it.
    """
    settings = load(config, overrides)
    if settings.elasticsearch is None and settings.audit is None:
        raise ConfigurationError(
            "there is nothing to do: add a table [elasticsearch] with its url, or [audit] with a key"
        )
    logs = Logs(stream=sys.stderr)
    try:
        with stop_on_signals() as stop, ExitStack() as undo:
            secrets = undo.enter_context(secrets_of(settings))
            outgoing = secrets.outgoing
            traces = _traces(settings, secrets, undo)
            store = opened_with(settings, secrets)
            undo.callback(store.dispose)
            errors = _errors(settings, secrets, undo)
            shipper = _shipper(settings, secrets, store, stop, outgoing)
            notary = _notary(settings, secrets, store, outgoing)
            secrets.keep()
            registry = CollectorRegistry()
            registry.register(Collector(shipper, notary, errors, secrets, traces))
            ProcessCollector(registry=registry)
            server = Server(metrics_host, metrics_port, registry, partial(_alive, shipper, time.time_ns()))
            undo.callback(server.close)
            console().print(f"metrics at http://{metrics_host}:{server.port}/metrics", soft_wrap=True)
            (_once if once else _until)(shipper, notary, settings, stop)
            _say(shipper, notary)
    finally:
        logs.close()


def _errors(settings: Settings, secrets: Secrets, undo: ExitStack) -> Errors | None:
    """What sends errors until *undo*, the one that ends this among them."""
    if settings.errors is None:
        return None
    # Sentry's SDK is imported where it is used.
    from nicegold_ops.telemetry.errors import errors_to

    errors = errors_to(settings.errors, secrets, tags={"mode": "work"})
    errors.start()
    undo.push(lambda _, error, __: errors.end(error))
    return errors


def _traces(settings: Settings, secrets: Secrets, undo: ExitStack) -> Queue | None:
    """What sends spans of all that is asked of other servers, until *undo*."""
    if settings.traces is None:
        return None
    # OpenTelemetry is imported where it is used.
    with traces_installed():
        from nicegold_ops.telemetry.spans import resource
        from nicegold_ops.telemetry.tracer import queue_to

    queue = queue_to(settings.traces, secrets, resource("work"), time.time_ns)
    queue.start()
    undo.callback(queue.close)
    return queue


def _shipper(
    settings: Settings, secrets: Secrets, store: sa.Engine, stop: Event, outgoing: Relay
) -> Shipper | None:
    if settings.elasticsearch is None:
        return None
    stream = stream_of(settings.elasticsearch, secrets, outgoing=outgoing)
    return Shipper(store, stream, wait=stop.wait, chance=random.random, wall=time.time_ns, outgoing=outgoing)


def _notary(settings: Settings, secrets: Secrets, store: sa.Engine, outgoing: Relay) -> Notary | None:
    if settings.audit is None:
        return None
    signer = signer_of(settings.audit, secrets)
    return Notary(store, signer, settings.audit.publish, time.time_ns, outgoing)


def _once(shipper: Shipper | None, notary: Notary | None, settings: Settings, stop: Event) -> None:
    if notary is not None:
        notary.sign()
    if shipper is not None:
        shipper.run(until_done=True)


def _until(shipper: Shipper | None, notary: Notary | None, settings: Settings, stop: Event) -> None:
    """Both go on until *stop*; neither waits for the other."""
    signing = None
    if notary is not None and settings.audit is not None:
        signing = Thread(target=notary.run, args=(stop.wait, settings.audit.every), name="notary")
        signing.start()
    try:
        if shipper is not None:
            shipper.run()
    except BaseException:
        # Else the process would wait for who signs, who waits to be stopped.
        stop.set()
        raise
    finally:
        if signing is not None:
            signing.join()


def _say(shipper: Shipper | None, notary: Notary | None) -> None:
    if shipper is not None:
        arrived = shipper.results["created"] + shipper.results["duplicate"]
        console().print(f"{arrived:,} documents arrived")
    if notary is not None:
        console().print(f"{notary.count:,} checkpoints are signed")


def _alive(shipper: Shipper | None, began: int) -> tuple[bool, dict[str, Any]]:
    """Whether it goes on. Where a server does not answer, metrics tell; to start anew is no help."""
    if shipper is None:
        return True, {}
    silent = (time.time_ns() - max(shipper.tried, began)) / 1e9
    return silent < _PATIENCE, {"seconds_since_last_round": silent}
