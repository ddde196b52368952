"""What is secret by its name is masked wherever it stands; what is not is left alone."""

from __future__ import annotations

import tomllib

import pytest

from nicegold_ops.report.secrets import MASK, without_secrets
from nicegold_ops.toml import table_to_toml


@pytest.mark.parametrize(
    "key",
    ["password", "api_key", "apikey", "bot_token", "TOKEN", "client_secret", "private_key_pem", "sentry_dsn"],
)
@pytest.mark.parametrize("value", ['hunter"2\\', ["hunter2", "x"], {"a": "hunter2"}, 42, "x, y } z"])
def test_a_secret_by_its_name_is_masked_and_the_rest_stays_toml(key, value):
    text = table_to_toml(("plugins", "venue"), {"host": "example.org", key: value, "port": 1})

    read = tomllib.loads(without_secrets(text))

    assert {"host": "example.org", key: MASK, "port": 1} == read["plugins"]["venue"]


def test_a_secret_inside_a_table_on_one_line_is_masked():
    text = table_to_toml(("plugins", "venue"), {"login": {"user": "me", "password": "hunter2", "retry": 3}})

    read = tomllib.loads(without_secrets(text))

    assert {"user": "me", "password": MASK, "retry": 3} == read["plugins"]["venue"]["login"]


def test_the_password_in_a_url_is_masked():
    assert f'url = "amqp://me:{MASK}@host/x"' == without_secrets('url = "amqp://me:hunter2@host/x"')


@pytest.mark.parametrize(
    "reference", ["env:MT5_PASSWORD", "file:/run/secrets/x", "vault:kv/nicegold/mt5#password"]
)
def test_where_a_secret_is_may_be_read(reference):
    text = f'password = "{reference}"'

    assert text == without_secrets(text)


def test_what_is_no_secret_is_left_as_it_is():
    text = '[plugins.cross]\nuse = "ma_cross"\nfast = 10\npath = "keys/tokens.csv"\n'

    assert text == without_secrets(text)
