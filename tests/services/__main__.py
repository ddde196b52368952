"""Brings all servers of tests that no package of Debian's brings: `make services`.

They are kept in ~/.cache/nicegold-services, where the next run finds them.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.services import bugsink, elasticsearch, filebeat, jaeger, openbao, s3, toxiproxy

#: Those that are quick to come first.
SERVERS = elasticsearch, openbao, bugsink, toxiproxy, s3, filebeat, jaeger


def main() -> int:
    """Say of each how long it took, or why it is not here; answers how many are not."""
    missed = 0
    for server in SERVERS:
        name, began = server.__name__.rpartition(".")[2], time.monotonic()
        try:
            server.fetch()
        except (SystemExit, subprocess.CalledProcessError) as error:
            missed += 1
            print(f"{name}: {error}", file=sys.stderr)
        else:
            print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
