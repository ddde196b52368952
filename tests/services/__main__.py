"""Brings all servers of tests that no package of Debian's brings: `make services`.

They are kept in ~/.cache/nicegold-services, where the next run finds them.
"""

from __future__ import annotations

import time

from tests.services import bugsink, elasticsearch, jaeger, openbao, s3, toxiproxy

#: Those that are quick to come first.
SERVERS = elasticsearch, openbao, bugsink, toxiproxy, s3, jaeger


def main() -> None:
    """Say of each that it is here, and how long that took."""
    for server in SERVERS:
        name = server.__name__.rpartition(".")[2]
        began = time.monotonic()
        server.fetch()
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
