"""Programs in Java: a JDK that is new enough, and what Maven brings, held against a list of hashes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.services.cache import run

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_VERSION = re.compile(r'^JAVA_VERSION="(\d+)', re.MULTILINE)


def jdk(oldest: int) -> Path | None:
    """The home of the oldest JDK of this machine from version *oldest* on, if there is one."""
    found = [(version, home) for version, home in _jdks() if version >= oldest]
    return min(found)[1] if found else None


def jars(project: Path, hashes: Path, folder: Path, **properties: str) -> None:
    """Put the jars that *project*'s pom.xml asks for into *folder*, if they are those that *hashes* lists."""
    maven = shutil.which("mvn")
    if maven is None:
        sys.exit("Java's libraries come with Maven, and there is none; on Debian: apt-get install maven")
    said = [f"-D{name}={value}" for name, value in {**properties, "outputDirectory": folder}.items()]
    command = [maven, "--batch-mode", "--quiet", "-Dstyle.color=never", f"--file={project / 'pom.xml'}"]
    run([*command, _PLUGIN, *said], f"Maven cannot bring what {project / 'pom.xml'} asks for")
    check(hashes, folder)


def compiled(jdk: Path, source: Path, home: Path, oldest: int) -> None:
    """Compile *source*, with the jars in *home*'s lib, into *home*, for any Java from version *oldest* on."""
    command = [str(jdk / "bin" / "javac"), f"--release={oldest}", f"--class-path={home}/lib/*"]
    run([*command, "-d", str(home), str(source)], f"{source} cannot be compiled")


def check(hashes: Path, folder: Path) -> None:
    """Refuse what is there if anything is another, too much or missing."""
    listed = {name: digest for digest, name in map(str.split, hashes.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.iterdir()}
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        sys.exit(f"not what {hashes} lists: {', '.join(wrong)}")


def _jdks() -> Iterator[tuple[int, Path]]:
    """Version and home of each."""
    for home in _homes():
        release = home / "release"
        if (home / "bin" / "javac").exists() and release.exists():
            version = _VERSION.search(release.read_text())
            if version is not None:
                yield int(version[1]), home


def _homes() -> Iterator[Path]:
    """Where there may be one."""
    if "JAVA_HOME" in os.environ:
        yield Path(os.environ["JAVA_HOME"])
    javac = shutil.which("javac")
    if javac is not None:
        yield Path(javac).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
