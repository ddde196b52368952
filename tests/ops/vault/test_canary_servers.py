"""No secret reaches a server that is told what a session does: its traces, its errors, its audit trail."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from elasticsearch import Elasticsearch

from tests.ops.audit.test_checkpoint import pem
from tests.ops.commandline import Shell, market_in
from tests.ops.vault.test_canary import CARELESS, IN_ENVIRONMENT, IN_FILE, IN_VAULT, forms
from tests.services.bugsink import Bugsink, bugsink
from tests.services.elasticsearch import elasticsearch
from tests.services.jaeger import Jaeger, jaeger
from tests.services.openbao import OpenBao

pytestmark = pytest.mark.slow

NAME = "Canary Suwannarat"
TRACES, ELASTIC, CODES = (
    f"canary-{place}-0123456789abcdef0123456789" for place in ("traces", "elastic", "codes")
)
TABLES = """
[vault]
address = "{vault}"
auth = "approle"
role_id = "{role_id}"
secret_id = "file:secret-id"

[traces]
endpoint = "{traces}"
key = "env:TRACES"
key_header = "x-canary"

[errors]
dsn = "env:DSN"

[elasticsearch]
url = "{elastic}"
api_key = "env:ELASTIC"

[audit]
signing_key = "file:audit.pem"
mac_key = "env:CODES"

[plugins.careless]
use = "careless:Careless"
vault = "vault:kv/canary#password"
file = "file:secret"
variable = "env:CANARY"
"""


class Servers(NamedTuple):
    """All that is told."""

    traces: Jaeger
    errors: Bugsink
    elastic: Elasticsearch
    url: str

    def told(self) -> dict[str, bytes]:
        """What each of them has."""
        self.elastic.indices.refresh(index="_all")
        found = self.elastic.search(index="_all", size=10_000).body["hits"]["hits"]
        issues = [(issue, [event.data for event in issue.events]) for issue in self.errors.issues()]
        return {
            "traces": self.traces.everything("nicegold").encode(),
            "errors": json.dumps(issues).encode(),
            "elastic": json.dumps(found, ensure_ascii=False).encode(),
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with jaeger() as traces, bugsink() as errors, elasticsearch("9.0.8") as node:
        yield Servers(traces, errors, Elasticsearch(node.url), node.url)


@pytest.fixture
def shell(
    servers: Servers,
    bao: OpenBao,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    bao.root.secrets.kv.v2.create_or_update_secret("canary", {"password": IN_VAULT}, mount_point="kv")
    role_id, secret_id = bao.app_role("canary", token_policies="trader", token_ttl="600s")
    market_in(tmp_path, bars=120)
    (tmp_path / "careless.py").write_text(CARELESS)
    for name, content in {
        "secret": IN_FILE,
        "secret-id": secret_id,
        "audit.pem": pem().reveal(),
    }.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    for name, value in {
        "CANARY": IN_ENVIRONMENT,
        "TRACES": TRACES,
        "ELASTIC": ELASTIC,
        "CODES": CODES,
        "DSN": servers.errors.dsn,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with (tmp_path / "nicegold.toml").open("a") as file:
        file.write(
            TABLES.format(traces=servers.traces.otlp, elastic=servers.url, vault=bao.url, role_id=role_id)
        )
    yield Shell(tmp_path, capsys)
    sys.modules.pop("careless", None)


@pytest.mark.parametrize("stage", ["", "bar", "answer"])
def test_no_server_and_no_command_is_told_a_secret(servers, shell, stage):
    said = [
        shell("approve", "--by", NAME, "--why", "looked at"),
        shell("run", "--set", "run.mode=paper", "--set", f"plugins.careless.stage={stage}", "--json", "-"),
        shell("work", "--once", "--metrics-port", "0"),
        shell("audit", "search", "--limit", "500", "--json", "-"),
        shell("audit", "verify", "--json", "-"),
        shell("audit", "export", "trail.jsonl"),
        shell("explain", "cross-1"),
        shell("executions", "--json", "-"),
        shell("doctor", "--json", "-"),
    ]

    assert all(each.code in (0, 1) for each in said[:6]), said
    told = servers.told()
    assert all(len(content) > 1000 for name, content in told.items() if stage or name != "errors")
    assert b"/v1/kv/data/canary" in told["traces"]
    key = (shell.folder / "audit.pem").read_text().splitlines()[1]
    secret_id = (shell.folder / "secret-id").read_text()
    secrets = [IN_VAULT, IN_FILE, IN_ENVIRONMENT, TRACES, ELASTIC, CODES, key, secret_id, servers.errors.dsn]
    homes = {"secret", "secret-id", "audit.pem"}
    files = {
        str(each): each.read_bytes()
        for each in shell.folder.rglob("*")
        if each.is_file() and each.name not in homes
    }
    # The name of who approves is on the screen of who approves.
    said_later = "\n".join(each.out + each.err for each in said[1:]).encode(errors="backslashreplace")
    places = {**told, **files, "said": said_later}
    assert [] == [
        (secret, place)
        for place, content in places.items()
        for secret in [*secrets, NAME]
        if any(form in content for form in forms(secret))
    ]
