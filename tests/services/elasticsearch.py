"""A real Elasticsearch of one node, of the versions of `NODES`, on a free port of this machine.

It has no modules but its transport, so that some of what a whole one does is not there: `GET /`, ILM,
security, ESQL, scripts, the failure store. `python -m tests.services.elasticsearch` brings its parts.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import java, wheels
from tests.services.asking import answers
from tests.services.cache import kept, making
from tests.services.postgresql import free_port
from tests.services.process import Process, running
from tests.services.required import missing

#: Each version, and the Java that it is written in.
NODES = {"8.19.4": 17, "9.0.8": 21}
#: The requirements of the client for a server 8; uv.lock has that for a server 9.
OLDER_CLIENT = "elasticsearch-client-8"
HOW = "python -m tests.services.elasticsearch"

_PROJECT = Path(__file__).parent / "java-elasticsearch"
_READY = "/_cluster/health?wait_for_status=yellow&timeout=1s"
#: It starts in some 8 s of one core, which others may want too.
_PATIENCE = 120.0
# Few tests run long enough for the better compiler and the better collector to pay.
_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Elasticsearch(Process):
    """A node that trusts everybody. It can be stopped, killed and started again, and keeps what is stored."""

    def __init__(self, version: str, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        home = _home(version)
        (folder / "config").mkdir()
        command = [
            *(str(_jdk(version) / "bin" / "java"), *_OPTIONS),
            *("--module-path", str(home / "lib"), "--add-modules", "ALL-MODULE-PATH"),
            *("--class-path", str(home), "Launcher", str(home), str(folder), str(self.port)),
        ]
        super().__init__(command, folder / "log", lambda: answers(self.port, _READY), patience=_PATIENCE)

    def configure(self, settings: str) -> None:
        """What it is told besides, a line each of its own YAML, from its next start on."""
        (self._folder / "config" / "elasticsearch.yml").write_text(settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def elasticsearch(version: str) -> Iterator[Elasticsearch]:
    """A running node, whose files are gone afterwards; the test skips where it was not fetched."""
    if not _home(version).exists() or java.jdk(NODES[version]) is None:
        missing(f"Elasticsearch {version} or a JDK {NODES[version]} is not here: {HOW}")
    with (
        tempfile.TemporaryDirectory(prefix="nicegold-elasticsearch-") as folder,
        running(Elasticsearch(version, Path(folder))) as server,
    ):
        yield server


def _fetch(version: str) -> Path:
    """The home of the node, made of Maven's jars unless it was."""
    home, jdk = _home(version), _jdk(version)
    if not home.exists():
        with making(home) as half:
            java.jars(_PROJECT, _hashes(version), half / "lib", elasticsearch=version)
            _set_apart(version, half)
            java.compiled(jdk, _PROJECT / "Launcher.java", half, NODES[version])
    return home


def _set_apart(version: str, home: Path) -> None:
    """Make its transport a module, which the node loads by itself."""
    module = home / "modules" / "transport-netty4"
    module.mkdir(parents=True)
    for pattern in ("transport-netty4-*.jar", "netty-*.jar"):
        for jar in (home / "lib").glob(pattern):
            jar.rename(module / jar.name)
    (module / "plugin-descriptor.properties").write_text(_descriptor(version))


def _descriptor(version: str) -> str:
    return (
        f"name=transport-netty4\ndescription=HTTP\nversion={version}\nelasticsearch.version={version}\n"
        f"java.version={NODES[version]}\nclassname=org.elasticsearch.transport.netty4.Netty4Plugin\n"
        f"modulename=org.elasticsearch.transport.netty4\n"
    )


def _home(version: str) -> Path:
    files = _hashes(version), _PROJECT / "pom.xml", _PROJECT / "Launcher.java"
    pins = [_descriptor(version).encode(), *(file.read_bytes() for file in files)]
    return kept(f"elasticsearch-{version}", *pins)


def _hashes(version: str) -> Path:
    return _PROJECT / f"{version}.sha256"


def _jdk(version: str) -> Path:
    found = java.jdk(NODES[version])
    if found is None:
        sys.exit(
            f"Elasticsearch {version} runs on a JDK {NODES[version]} or later, and there is none here; "
            "on Debian 13: apt-get install default-jdk-headless; any other one: name it in JAVA_HOME"
        )
    return found


def fetch() -> list[Path]:
    """The homes of the nodes and the folder of the older client, made unless they were."""
    return [*map(_fetch, NODES), wheels.install(OLDER_CLIENT)]


if __name__ == "__main__":
    print(*fetch())
