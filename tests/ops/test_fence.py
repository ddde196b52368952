"""One live engine an account."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.fence import Fence

HOLDER = """
import sys, time
from pathlib import Path
from nicegold_ops.fence import Fence
fence = Fence(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trades the account."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_a_second_engine_is_refused_and_told_who_trades(tmp_path, holder):
    with pytest.raises(ConfigurationError, match=rf"process {holder.pid}\) trades this account live"):
        Fence(tmp_path)


def test_a_paused_engine_keeps_its_place(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)

    with pytest.raises(ConfigurationError, match="trades this account live"):
        Fence(tmp_path)


def test_the_place_of_a_killed_engine_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    holder.kill()
    holder.wait()

    Fence(tmp_path).close()


def test_one_that_has_ended_leaves_its_place_to_the_next(tmp_path):
    for _ in range(2):
        Fence(tmp_path).close()
