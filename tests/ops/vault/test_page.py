"""docs/connect-vault.md is run as it stands, with the server that it asks for on a port of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.vault.test_store import CREATION
from tests.services.openbao import openbao, program_in
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


def test_the_page_makes_users_as_the_tests_do():
    assert CREATION.replace(";ALTER", ";\nALTER") in PAGE.read_text()
