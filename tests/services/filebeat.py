"""A real Filebeat, which reads logs with `ops/deploy/filebeat.yml` and writes what it would send into files.

`python -m tests.services.filebeat` builds it, of the modules that go.sum beside go.mod names. To send, it
would ask the node for "GET /", which the one here does not serve.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services.asking import answers
from tests.services.built import build, required
from tests.services.postgresql import free_port
from tests.services.process import Process, running

SETTINGS = Path(__file__).parents[2] / "ops/deploy/filebeat.yml"
_MODULE = Path(__file__).parent / "go-filebeat"
_PACKAGE = "github.com/elastic/beats/v7/filebeat"


class Filebeat(Process):
    """Reads the logs below *state*."""

    def __init__(self, program: str, folder: Path, state: Path) -> None:
        self._out = folder / "out"
        port = free_port()
        settings = {
            "http.enabled": "true",
            "http.port": str(port),
            "output.elasticsearch.enabled": "false",
            "output.file.path": str(self._out),
            "output.file.filename": "events",
        }
        command = [program, f"-c={SETTINGS}", "--strict.perms=false", f"--path.home={folder}"]
        command += [part for name, value in settings.items() for part in ("-E", f"{name}={value}")]
        environment = {"NICEGOLD_STATE": str(state), "NICEGOLD_SCAN": "200ms"}
        super().__init__(command, folder / "log", lambda: answers(port, "/"), environment)

    def events(self) -> list[dict[str, Any]]:
        """What it has sent, in no order."""
        files = sorted(self._out.glob("events*")) if self._out.exists() else []
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@contextmanager
def filebeat(state: Path) -> Iterator[Filebeat]:
    """A running one; the test skips where it was not built."""
    with (
        tempfile.TemporaryDirectory(prefix="nicegold-filebeat-") as folder,
        running(Filebeat(_program(), Path(folder), state)) as server,
    ):
        yield server


def checked() -> subprocess.CompletedProcess[str]:
    """What Filebeat says of the settings as they are."""
    command = [_program(), "test", "config", f"-c={SETTINGS}", "--strict.perms=false"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _program() -> str:
    return required(_MODULE, "python -m tests.services.filebeat")


def fetch() -> Path:
    """The program, built unless it was."""
    return build(_MODULE, _PACKAGE)


if __name__ == "__main__":
    print(fetch())
