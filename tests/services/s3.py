"""A real S3 server, VersityGW, over TLS on a free port of this machine, with one bucket.

`python -m tests.services.s3` builds it, of the modules that go.sum beside go.mod names.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.services.built import build, required
from tests.services.postgresql import free_port
from tests.services.prometheus import PATIENCE, until

_MODULE = Path(__file__).parent / "go-versitygw"
_PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
_BUCKET = "gold"


class Bucket(NamedTuple):
    """Where it is, what a client must know to believe and to be believed, and the folder of its objects."""

    url: str
    key: str
    key_secret: str
    objects: Path


@contextmanager
def s3() -> Iterator[Bucket]:
    """A server with an empty bucket; the test skips where it was not built."""
    program = required(_MODULE, "python -m tests.services.s3")
    folder = Path(tempfile.mkdtemp(prefix="nicegold-s3-"))
    # The certificate is read by who is not root.
    folder.chmod(0o755)
    port, bucket = free_port(), folder / "buckets" / _BUCKET
    try:
        _certify(folder)
        bucket.mkdir(parents=True)
        (folder / "metadata").mkdir()
        url = (
            f"s3://{_BUCKET}/server?region=us-east-1&endpoint=localhost&port={port}&uri-style=path"
            f"&ca-file={folder / 'certificate'}"
        )
        with _running(program, folder, port):
            yield Bucket(url, "nicegold", "not a secret", bucket)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(program: str, folder: Path, port: int) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                program,
                f"--port=127.0.0.1:{port}",
                f"--cert={folder / 'certificate'}",
                f"--key={folder / 'key'}",
                "--quiet",
                "posix",
                f"--sidecar={folder / 'metadata'}",
                str(folder / "buckets"),
            ],
            stdout=output,
            stderr=output,
            env={**os.environ, "ROOT_ACCESS_KEY": "nicegold", "ROOT_SECRET_KEY": "not a secret"},
        )
        try:
            until(lambda: _listens(port) or server.poll() is not None, "the S3 server does not listen")
            assert server.poll() is None, log.read_text()
            yield
        finally:
            server.kill()
            server.wait(PATIENCE)


def _certify(folder: Path) -> None:
    """A certificate that vouches for itself."""
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {folder}/key -out {folder}/certificate"
    )
    subprocess.run(command.split(), check=True, capture_output=True)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return True
    except OSError:
        return False


def fetch() -> Path:
    """The program, built unless it was."""
    return build(_MODULE, _PACKAGE)


if __name__ == "__main__":
    print(fetch())
