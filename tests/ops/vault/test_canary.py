"""Secrets in every place that holds one, while things go well and while they fail: none gets out."""

from __future__ import annotations

import base64
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from prometheus_client import generate_latest

from nicegold_ops.app import bootstrap
from nicegold_ops.config import load
from nicegold_ops.errors import NicegoldError
from nicegold_ops.journal import Run
from tests.ops.commandline import CONFIGURATION, Shell, market_in
from tests.services.openbao import OpenBao
from tests.services.postgresql import PostgreSQL, postgresql

pytestmark = pytest.mark.slow

#: What each encoding would change.
_ODD = '"/+ é\\&%'
IN_VAULT, IN_FILE, IN_ENVIRONMENT, OF_STORE = (
    f"canary-{place}{_ODD}" for place in ("kv", "file", "env", "pg")
)
#: It handles its secrets badly, and fails in every way.
CARELESS = """
import logging

import structlog

from nicegold import Alert, Bar, Health, Portfolio, Secret, hookimpl, plugin


@plugin
class Careless:
    vault: Secret
    file: Secret
    variable: Secret
    stage: str = ""

    def __post_init__(self):
        if self.stage == "built":
            raise ValueError(self.vault, self.file, self.variable)
        if self.stage == "formatted":
            raise ValueError(f"{self.vault}")

    @hookimpl
    def startup(self) -> None:
        self._seen = [each.reveal() for each in (self.vault, self.file, self.variable)]
        for each in (self.vault, self.file, self.variable):
            logging.getLogger("nicegold.careless").error("starts with %s and %r", each, each)
            structlog.get_logger("nicegold.careless").error("starts", secret=each, all=[each])
        if self.stage == "startup":
            raise ValueError(self.vault, self.file, self.variable)

    @hookimpl
    def health(self) -> Health:
        return Health(True, repr(self))

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list | None:
        if self.stage == "bar":
            raise RuntimeError(self, self.vault)
        if self.stage == "answer":
            return [self.vault]
        return None

    @hookimpl
    def notify(self, alert: Alert) -> None:
        raise ValueError(self.file)
"""


class World:
    """Whose secrets are looked for in what was left and said."""

    def __init__(self, shell: Shell, secrets: list[str]) -> None:
        self.shell, self.secrets = shell, secrets
        self.said: list[str] = []
        #: These hold a secret because that is what they are for.
        self.homes = {"secret", "secret-id"}

    def types(self, *arguments: str) -> int:
        answer = self.shell(*arguments)
        self.said += [answer.out, answer.err]
        return answer.code

    def leaks(self) -> list[tuple[str, str]]:
        """Which secret is where, in whatever form."""
        files = [
            each for each in self.shell.folder.rglob("*") if each.is_file() and each.name not in self.homes
        ]
        places = {str(each): each.read_bytes() for each in files}
        places["said"] = "\n".join(self.said).encode(errors="backslashreplace")
        return [
            (secret, place)
            for place, content in places.items()
            for secret in self.secrets
            if any(form in content for form in forms(secret))
        ]


def forms(secret: str) -> set[bytes]:
    """How *secret* may be written, whole or as the middle of something longer."""
    raw = secret.encode()
    shifted = {base64.b64encode(b"x" * pad + raw)[(4, 4, 8)[pad] if pad else 0 : -4] for pad in (0, 1, 2)}
    return {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        base64.urlsafe_b64encode(raw).rstrip(b"=")[:-1],
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        repr(secret)[1:-1].encode(),
        *shifted,
    }


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture
def world(
    bao: OpenBao,
    server: PostgreSQL,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    bao.root.secrets.kv.v2.create_or_update_secret("canary", {"password": IN_VAULT}, mount_point="kv")
    role_id, secret_id = bao.app_role("canary", token_policies="trader", token_ttl="600s")
    market_in(tmp_path)
    (tmp_path / "careless.py").write_text(CARELESS)
    for name, content in {"secret": IN_FILE, "secret-id": secret_id}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("CANARY", IN_ENVIRONMENT)
    monkeypatch.setenv("CANARY_STORE", OF_STORE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    # Where the traceback of what should not happen goes.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(logging, "raiseExceptions", True)
    database = server.new_database()
    server.guard("keeper" + database, "the password of PostgreSQL", database)
    with server.connect() as connection:
        literal = OF_STORE.replace("'", "''")
        connection.execute(f"ALTER ROLE keeper{database} PASSWORD '{literal}'")
    url = server.url(database).replace("nicegold@", f"keeper{database}@")
    (tmp_path / "nicegold.toml").write_text(
        f'[vault]\naddress = "{bao.url}"\nauth = "approle"\nrole_id = "{role_id}"\n'
        'secret_id = "file:secret-id"\n'
        + CONFIGURATION.replace("seed = 7\n", f'store = "{url}"\nstore_password = "env:CANARY_STORE"\n')
        + '[plugins.careless]\nuse = "careless:Careless"\nvault = "vault:kv/canary#password"\n'
        'file = "file:secret"\nvariable = "env:CANARY"\n'
    )
    yield World(Shell(tmp_path, capsys), [IN_VAULT, IN_FILE, IN_ENVIRONMENT, OF_STORE, secret_id, bao.token])
    sys.modules.pop("careless", None)


def test_what_is_looked_for_would_be_found(world):
    for number, form in enumerate(forms(IN_VAULT)):
        (world.shell.folder / f"leak-{number}").write_bytes(b"<" + form + b">")

    assert len(forms(IN_VAULT)) == len(world.leaks())


def test_nothing_gets_out_while_all_goes_well(world):
    codes = [
        world.types("check"),
        world.types("check", "--json", "-"),
        world.types("backtest", "--report", "page.html", "--json", "result.json"),
        world.types("replay", "--json", "-"),
        world.types("run", "--set", "run.mode=paper", "--json", "paper.json"),
        world.types("plugins", "--json", "-"),
    ]
    world.types("sweep", "--over", "plugins.cross.fast=3,4", "--json", "-")
    world.types("doctor")
    world.types("doctor", "--json", "-")
    world.types("blackbox")
    world.types("report")

    assert [0] * 6 == codes, world.said
    assert any('"secret":"Secret(…)"' in each.read_text() for each in world.shell.folder.rglob("log.jsonl"))
    assert [] == world.leaks()


def test_no_metric_and_no_health_shows_a_secret(world):
    app = bootstrap(load("nicegold.toml"), Run("watched", "backtest", 1))
    world.said += [generate_latest(app.telemetry.registry).decode(), repr(app), repr(app.settings)]
    world.said += [repr(reply) for reply in app.host.call("health")()]
    app.close()

    assert any("nicegold_secret_created_timestamp_seconds" in said for said in world.said)
    assert [] == world.leaks()


@pytest.mark.parametrize("stage", ["built", "formatted", "startup", "bar", "answer"])
def test_nothing_gets_out_of_a_plugin_that_fails(world, stage):
    said = f"plugins.careless.stage={stage}"

    world.types("backtest", "--set", said, "--report", "page.html", "--json", "-")
    world.types("run", "--set", said, "--set", "run.mode=paper", "--json", "-")
    world.types("replay")
    world.types("check", "--set", said)

    assert [] == world.leaks()


@pytest.mark.parametrize(
    "how", ["seal", "kill", "revoke", "deny", "delete", "wrong secret id", "wrong password"]
)
def test_nothing_gets_out_while_a_server_fails(bao, world, monkeypatch, how):
    match how:
        case "seal" | "kill":
            getattr(bao, how)()
        case "revoke":
            bao.root.sys.revoke_prefix("auth/approle/login")
            bao.root.adapter.delete("/v1/auth/approle/role/canary")
        case "deny":
            bao.write("auth/approle/role/canary", token_policies="default")
        case "delete":
            bao.root.secrets.kv.v2.delete_latest_version_of_secret("canary", mount_point="kv")
        case "wrong secret id":
            (world.shell.folder / "secret-id").write_text(IN_FILE)
        case "wrong password":
            monkeypatch.setenv("CANARY_STORE", f"{OF_STORE} of yesterday")

    code = world.types("backtest", "--json", "-")
    world.types("doctor", "--json", "-")
    world.types("check")

    assert 0 != code
    assert [] == world.leaks()


@pytest.mark.parametrize("setting", ["plugins.careless.vault", "run.store_password", "vault.secret_id"])
@pytest.mark.parametrize("form", ["{}", '"{}', '["{}"]', "{{a = '{}'}}", "vault:{}", "env:{}", "file:\0{}"])
def test_a_secret_in_the_wrong_place_is_not_repeated(world, setting, form):
    secret = f"canary-typed{_ODD}".replace('"', "").replace("\\", "")
    world.secrets.append(secret)

    code = world.types("check", "--set", f"{setting}={form.format(secret)}")

    assert 2 == code
    assert [] == world.leaks()


def test_a_secret_in_the_file_is_not_repeated_and_not_kept(world):
    path = world.shell.folder / "nicegold.toml"
    world.homes.add(path.name)
    path.write_text(path.read_text().replace('"env:CANARY"', json.dumps(IN_ENVIRONMENT, ensure_ascii=False)))

    codes = {world.types(name) for name in ("check", "backtest", "run", "doctor", "approve")}

    assert 0 not in codes
    assert [] == world.leaks()


def test_a_url_with_a_password_is_not_repeated(world):
    secret = "canary-in-a-url"
    world.secrets.append(secret)

    with pytest.raises(NicegoldError) as caught:
        load("nicegold.toml", [f"run.store=postgresql+psycopg://ana:{secret}@127.0.0.1/gold"])
    world.said.append(str(caught.value))
    world.types("check", "--set", f"vault.address=https://ana:{secret}@127.0.0.1:8200")

    assert [] == world.leaks()
