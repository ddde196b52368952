"""The same seeds give the same bytes, whatever Python's hashes are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: PYTHONHASHSEED of each process: the order of sets and of what is made from them differs.
HASH_SEEDS = ("0", "1", "777")
_DIGESTS = """
import sys
from nicegold_ops.simulate.campaign import lived
from nicegold_ops.simulate.plan import planned
for seed in range(1, int(sys.argv[1]) + 1):
    print(seed, lived(planned(seed))[0].digest)
"""


def differing(seeds: int, workers: int = 2) -> list[int]:
    """Those of the first *seeds* whose journals and stories are not the same under each of `HASH_SEEDS`."""
    told = []
    waiting = [_started(each, seeds) for each in HASH_SEEDS[:workers]]
    for hash_seed in (*HASH_SEEDS[workers:], *[""] * workers):
        told.append(_digests(waiting.pop(0), seeds))
        if hash_seed:
            waiting.append(_started(hash_seed, seeds))
    return [seed for seed, *digests in zip(range(1, seeds + 1), *told, strict=True) if len(set(digests)) > 1]


def _started(hash_seed: str, seeds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _DIGESTS, str(seeds)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def _digests(process: subprocess.Popen[str], seeds: int) -> Sequence[str]:
    output, _ = process.communicate()
    digests = [line.split()[1] for line in output.splitlines()]
    if process.returncode or len(digests) != seeds:
        raise RuntimeError(f"only {len(digests)} of {seeds} seeds came to their end")
    return digests


def main() -> int:
    seeds = int(sys.argv[1])
    different = differing(seeds)
    print(f"{seeds} seeds under {len(HASH_SEEDS)} hash seeds: {len(different)} differ {different or ''}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
