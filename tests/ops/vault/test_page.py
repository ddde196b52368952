"""docs/connect-vault.md is run as it stands, with the server that it asks for on a port of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from nicegold_ops.audit.keys import InVault as CodesInVault
from nicegold_ops.audit.signing import InVault as SignsInVault
from nicegold_ops.audit.signing import PublicKey
from nicegold_ops.commands._runs import opened
from nicegold_ops.config import parse
from nicegold_ops.people import InVault as KeysInVault
from nicegold_ops.reference import Reference
from nicegold_ops.secrets import Local
from nicegold_ops.vault.settings import VaultSettings
from nicegold_ops.vault.transit import Transit
from nicegold_ops.vault.vault import Vault
from tests.ops.commandline import CONFIGURATION
from tests.services.openbao import openbao, program_in
from tests.services.postgresql import postgresql
from tests.test_docs import run_page

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs/connect-vault.md"


def test_the_page_leads_from_nothing_to_a_session_with_a_secret(tmp_path, monkeypatch):
    with openbao() as bao:
        monkeypatch.setenv("BAO_ADDR", bao.url)
        monkeypatch.setenv("BAO_TOKEN", bao.token)
        monkeypatch.setenv("PATH", program_in(tmp_path), prepend=":")
        page = tmp_path / "page.md"
        page.write_text(PAGE.read_text().replace("http://127.0.0.1:8200", bao.url))

        run_page(page, tmp_path)

    [log] = (tmp_path / "state" / "runs").glob("*/log.jsonl")
    assert "not-a-real-token" not in log.read_text()
    assert (log.parent / "result.json").exists()


def section(title: str) -> str:
    """What the page says below *title*."""
    return PAGE.read_text().partition(f"## {title}")[2].partition("\n## ")[0]


def test_the_policy_of_the_page_is_enough_for_the_keys_of_the_audit_trail(tmp_path, monkeypatch):
    text = section("Keys of the audit trail")
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    [policy] = re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)
    with openbao() as bao:
        monkeypatch.setenv("BAO_ADDR", bao.url)
        monkeypatch.setenv("BAO_TOKEN", bao.token)
        monkeypatch.setenv("PATH", program_in(tmp_path), prepend=":")
        subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True, capture_output=True)
        bao.root.sys.create_or_update_policy("audit", policy)
        token = tmp_path / "token"
        token.write_text(bao.root.auth.token.create(policies=["audit"])["auth"]["client_token"])
        settings = VaultSettings(address=bao.url, auth="token", token=Reference(f"file:{token}"))
        vault = Vault(settings, Local({}, lambda *said, **more: None).resolve)
        transit = Transit(vault)
        signer = SignsInVault(transit, "nicegold-audit")
        people = KeysInVault(transit, "nicegold-person-")

        assert PublicKey(signer.public).verify(b"block", signer.sign(b"block"))
        assert signer.verify(b"block", signer.sign(b"block"))
        assert "transit:nicegold-codes:v1" == CodesInVault(transit, "nicegold-codes").newest("run").name
        assert "Ana" == people.open("1", people.seal("1", "Ana"))
        people.destroy("1")
        vault.close()


def test_the_page_leads_to_a_store_whose_users_vault_makes(tmp_path, monkeypatch):
    text = section("A user of PostgreSQL")
    [administrators, creation] = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    [commands] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    *_, settings = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "creation.sql").write_text(creation)
    with openbao() as bao, postgresql() as server:
        with server.connect() as connection:
            for statement in administrators.strip().split("\n"):
                connection.execute(statement.replace("...", "a password"))
        monkeypatch.setenv("BAO_ADDR", bao.url)
        monkeypatch.setenv("BAO_TOKEN", bao.token)
        monkeypatch.setenv("PATH", program_in(tmp_path), prepend=":")
        for command in commands.replace("\\\n", "").replace(":5432", f":{server.port}").splitlines():
            done = subprocess.run(
                ["bash", "-ec", command], cwd=tmp_path, input=b"a password", capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
        (tmp_path / "token").write_text(bao.token)
        vault = f'[vault]\naddress = "{bao.url}"\nauth = "token"\ntoken = "file:token"\n'
        run = settings.replace("localhost/", f"127.0.0.1:{server.port}/")
        meant = parse(vault + CONFIGURATION.replace("seed = 7\n", run), tmp_path / "nicegold.toml")

        store = opened(meant)
        with store.connect() as connection:
            names = connection.exec_driver_sql("SELECT session_user, current_user").one()
        store.dispose()

    assert ("v-", "gold") == (names[0][:2], names[1])
