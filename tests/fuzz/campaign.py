"""Campaigns against all readers of files: `python -m tests.fuzz.campaign --seconds 600`.

Says how many inputs were tried, how much of our code they reached, and for what was found, the
command that repeats it. Exits with 1 if anything was.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.fuzz.target import READERS, module

#: Of the time: text has the most forms.
_SHARES = {"csv": 4, "ticks": 2, "parquet": 2, "conf": 2}
#: One input may take so many seconds, on a machine that stands still for a while, and so many megabytes.
_SLOWEST, _LARGEST = 120, 2048
_MEMORY = Path("/dev/shm")  # noqa: S108
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
_KEPT = re.compile(r"Test unit written to (\S+)")
_LINES_OF_A_FINDING = 30


class Result(msgspec.Struct, frozen=True):
    """What a campaign against *reader* did; *kept* is the input that broke it, *output* what was said."""

    reader: str
    executions: int
    edges: int
    seconds: float
    failed: bool
    kept: str
    output: str

    def __str__(self) -> str:
        found = self.kept or "it cannot be started" if self.failed else "nothing found"
        return (
            f"{self.reader:<10} {self.executions:>9,} inputs {self.seconds:>5.0f} s "
            f"{self.edges:>6,} edges  {found}"
        )

    def explained(self) -> str:
        """What went wrong, and how to see it again."""
        shown = [line for line in self.output.splitlines() if not line.startswith(("#", "INFO", "WARNING"))]
        again = f"{sys.executable} -m tests.fuzz.target {self.reader} {self.kept}" if self.kept else ""
        return "\n".join(
            [f"--- {self.reader}", *shown[:_LINES_OF_A_FINDING], f"again: {again}" if again else ""]
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        return _without_atheris()
    whole = sum(_SHARES.get(reader, 1) for reader in options.readers)
    seed = options.seed or int(time.time())
    print(f"seed {seed}: the same seed draws the same inputs, as many as there is time for")
    attack = partial(_attack, seed=seed, learned=options.learned, found=options.found)
    seconds = [
        max(options.seconds * options.workers * _SHARES.get(reader, 1) / whole, 1)
        for reader in options.readers
    ]
    results = []
    with ThreadPoolExecutor(options.workers) as pool:
        for result in pool.map(attack, options.readers, seconds):
            print(result, flush=True)
            results.append(result)
    print(f"{sum(result.executions for result in results):,} inputs in all")
    for result in results:
        if result.failed:
            print(result.explained())
    return int(any(result.failed for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign", description=__doc__)
    parser.add_argument(
        "readers", nargs="*", default=READERS, help=f"of {', '.join(READERS)}; all by default"
    )
    parser.add_argument("--seconds", type=float, default=30, help="for all of them together")
    parser.add_argument(
        "--seed", type=int, default=0, help="where chance begins; another one each time for 0"
    )
    parser.add_argument("--workers", type=int, default=2, help="how many at once")
    parser.add_argument(
        "--found", type=Path, default=Path(".fuzz/found"), help="keep inputs that break a reader there"
    )
    parser.add_argument(
        "--learned", type=Path, help="keep inputs that reach new code there, and begin with them"
    )
    return parser


def _without_atheris() -> int:
    reason = "atheris is not installed; it has wheels for Linux on x86-64 and Python 3.11 to 3.14"
    if os.environ.get("NICEGOLD_REQUIRE_SERVICES") == "1":
        print(f"fuzz: {reason}, and NICEGOLD_REQUIRE_SERVICES=1 asks for it", file=sys.stderr)
        return 1
    print(f"fuzz: skipped, {reason}")
    return 0


def _attack(reader: str, seconds: float, *, seed: int, learned: Path | None, found: Path) -> Result:
    # In memory, where there is such a folder: each input is a file.
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        corpus = (learned or Path(folder)) / reader
        corpus.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(module(reader).seeds()):
            (corpus / f"seed-{number:03}").write_bytes(content)
        begun = time.monotonic()
        done = subprocess.run(
            _command(reader, seconds, seed, corpus, found),
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
            # The order of sets must not be another one each time.
            env={**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": folder},
        )
    return _result(reader, done, time.monotonic() - begun)


def _command(reader: str, seconds: float, seed: int, corpus: Path, found: Path) -> list[str]:
    found.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "tests.fuzz.target", reader),
        *(f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-artifact_prefix={found}/{reader}-"),
        *(f"-timeout={_SLOWEST}", f"-rss_limit_mb={_LARGEST}", "-print_final_stats=1", str(corpus)),
    ]


def _result(reader: str, done: subprocess.CompletedProcess[str], seconds: float) -> Result:
    output = done.stdout + done.stderr
    kept = _KEPT.findall(output)
    return Result(
        reader,
        executions=int(next(iter(_EXECUTED.findall(output)), 0)),
        edges=max(map(int, _COVERED.findall(output)), default=0),
        seconds=seconds,
        failed=done.returncode != 0,
        kept=kept[-1] if kept else "",
        output=output,
    )


if __name__ == "__main__":
    sys.exit(main())
