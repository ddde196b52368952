"""docs/connect-vault.md is run as it stands, with the server that it asks for on a port of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from nicegold_ops.commands._runs import opened
from nicegold_ops.config import parse
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


def test_the_page_leads_to_a_store_whose_users_vault_makes(tmp_path, monkeypatch):
    text = PAGE.read_text().partition("## A user of PostgreSQL")[2]
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
