"""A real OpenTelemetry Collector on free ports of this machine: Jaeger's program, which is one.

It runs `ops/deploy/otel-collector.yaml` as it is, and hands what it keeps to a Jaeger.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.asking import answers
from tests.services.jaeger import Jaeger, program
from tests.services.postgresql import free_port
from tests.services.process import Process, running

SETTINGS = Path(__file__).parents[2] / "ops/deploy/otel-collector.yaml"


class Collector(Process):
    """Decides after a second what is kept, and of what nobody would look for keeps nothing."""

    def __init__(self, program: str, folder: Path, store: Jaeger) -> None:
        otlp, metrics = free_port(), free_port()
        #: Where spans are posted.
        self.otlp = f"http://127.0.0.1:{otlp}/v1/traces"
        environment = {
            "NICEGOLD_OTLP_LISTEN": f"127.0.0.1:{otlp}",
            "NICEGOLD_STORE_ENDPOINT": store.otlp.removesuffix("/v1/traces"),
            "NICEGOLD_DECISION_WAIT": "1s",
            "NICEGOLD_SAMPLE_PERCENT": "0",
            "NICEGOLD_COLLECTOR_METRICS_PORT": str(metrics),
        }
        command = [program, f"--config={SETTINGS}"]
        super().__init__(command, folder / "log", lambda: answers(metrics, "/metrics"), environment)


@contextmanager
def collector(store: Jaeger) -> Iterator[Collector]:
    """A running one before *store*; the test skips where Jaeger was not built."""
    with (
        tempfile.TemporaryDirectory(prefix="nicegold-collector-") as folder,
        running(Collector(program(), Path(folder), store)) as server,
    ):
        yield server


def validate(**environment: str) -> subprocess.CompletedProcess[str]:
    """What a Collector says of the settings in this *environment*."""
    command = [program(), "validate", f"--config={SETTINGS}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
