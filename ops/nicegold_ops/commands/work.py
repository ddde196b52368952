"""`nicegold work`: what is done beside trading, in a process of its own."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
from prometheus_client.registry import CollectorRegistry

from nicegold_ops.commands._options import config_option, set_option
from nicegold_ops.commands._output import console
from nicegold_ops.commands._runs import opened
from nicegold_ops.commands._signals import stop_on_signals
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.ship.client import stream_of
from nicegold_ops.ship.collector import Collector
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.telemetry.http import Server
from nicegold_ops.telemetry.logs import Logs

#: Seconds of a round: the longest wait, and requests that are not answered.
_PATIENCE = 300.0


@click.command()
@config_option
@set_option
@click.option("--once", is_flag=True, help="End when everything that is on record has arrived.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="HOST")
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), default=9465, show_default=True, metavar="PORT"
)
def command(
    config: Path, overrides: tuple[str, ...], once: bool, metrics_host: str, metrics_port: int
) -> None:
    """Copy the audit trail to Elasticsearch, until Ctrl-C.

    What is on record while it does not run, or Elasticsearch does not answer, is copied later. It needs no
    engine, and no engine needs it.
    """
    settings = load(config, overrides)
    logs = Logs(stream=sys.stderr)
    try:
        with stop_on_signals() as stop:
            _work(settings, stop, once, metrics_host, metrics_port)
    finally:
        logs.close()


def _alive(shipper: Shipper, began: int) -> tuple[bool, dict[str, Any]]:
    """Whether it goes on. Where Elasticsearch does not answer, metrics tell; to start anew is no help."""
    silent = (time.time_ns() - max(shipper.tried, began)) / 1e9
    return silent < _PATIENCE, {"seconds_since_last_round": silent, "documents": dict(shipper.results)}


def _work(settings: Settings, stop: threading.Event, once: bool, host: str, port: int) -> None:
    if settings.elasticsearch is None:
        raise ConfigurationError("there is nothing to do: add a table [elasticsearch] with its url")
    secrets = Secrets(settings.vault, Local(os.environ))
    store = opened(settings)
    try:
        stream = stream_of(settings.elasticsearch, secrets)
        shipper = Shipper(store, stream, wait=stop.wait, chance=random.random, wall=time.time_ns)
        registry = CollectorRegistry()
        registry.register(Collector(shipper))
        server = Server(host, port, registry, partial(_alive, shipper, time.time_ns()))
        try:
            out = console()
            out.print(f"to {stream.name}, metrics at http://{host}:{server.port}/metrics", soft_wrap=True)
            shipper.run(until_done=once)
            arrived = shipper.results["created"] + shipper.results["duplicate"]
            out.print(f"{arrived:,} documents arrived")
        finally:
            server.close()
    finally:
        store.dispose()
        secrets.close()
