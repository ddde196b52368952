"""A secret is in nothing that is made of the object that holds it."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nicegold import Secret, plugin

CANARY = "canary-7f3a"
SECRET = Secret(CANARY)


@plugin
class Broker:
    password: Secret
    account: str = "gold"


def test_a_secret_is_revealed_where_it_is_asked_for():
    assert CANARY == SECRET.reveal()


@pytest.mark.parametrize(
    "show",
    [
        repr,
        ascii,
        "{!r}".format,
        "%r".__mod__,
        pprint.pformat,
        lambda each: str([each]),
        lambda each: str({1: each}),
    ],
)
def test_what_shows_an_object_shows_the_same_for_every_secret(show: Callable[[object], str]):
    shown = show(SECRET)

    assert "Secret(" in shown
    assert CANARY not in shown
    assert shown == show(Secret("another"))


def test_a_plugin_shows_no_secret_of_its_settings():
    assert "Broker(password=Secret(…), account='gold')" == repr(Broker(password=SECRET))


@pytest.mark.parametrize(
    "text", [str, format, "{}".format, "%s".__mod__, lambda each: f"{each:>20}", "".join]
)
def test_making_text_of_a_secret_is_refused_and_the_way_out_said(text: Callable[[object], str]):
    with pytest.raises(TypeError) as caught:
        text(SECRET)

    assert CANARY not in str(caught.value)
    assert "reveal()" in str(caught.value) or text == "".join


@pytest.mark.parametrize(
    "save",
    [
        pickle.dumps,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        lambda each: each.__getstate__(),
        lambda each: msgspec.json.encode(Broker(password=each)),
        lambda each: pickle.dumps(Broker(password=each)),
        lambda each: json.dumps({"password": each}, default=str),
    ],
)
def test_what_saves_or_sends_objects_takes_no_secret(save: Callable[[Any], object]):
    with pytest.raises(TypeError) as caught:
        save(SECRET)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_what_looks_for_fields_finds_none():
    assert not hasattr(SECRET, "__dict__")
    assert not dataclasses.is_dataclass(SECRET)


def test_a_copy_is_the_secret_itself():
    assert SECRET is copy.copy(SECRET)
    assert SECRET is copy.deepcopy({"password": SECRET})["password"]
    assert SECRET is dataclasses.asdict(Broker(password=SECRET))["password"]


def test_a_secret_is_compared_with_secrets_only():
    assert Secret(CANARY) == SECRET
    assert Secret("another") != SECRET
    assert SECRET != CANARY


def test_an_assertion_that_fails_shows_no_secret():
    with pytest.raises(AssertionError) as caught:
        assert Secret("another") == SECRET

    assert CANARY not in str(caught.value)


def test_a_secret_is_no_key_and_has_no_order():
    with pytest.raises(TypeError, match="unhashable"):
        hash(SECRET)
    with pytest.raises(TypeError, match="not supported"):
        sorted([SECRET, Secret("another")])  # type: ignore[type-var]


def test_a_log_line_that_was_given_a_secret_does_not_hold_it(capsys):
    written = io.StringIO()
    logger = logging.Logger("nicegold.test")
    logger.addHandler(logging.StreamHandler(written))

    for form in ("password %s", "password %r"):
        logger.error(form, SECRET)

    told = capsys.readouterr().err
    assert "password Secret(…)\n" == written.getvalue()
    assert "reveal()" in told
    assert CANARY not in told


def test_an_error_that_holds_a_secret_tells_nothing_of_it():
    error = ValueError("refused", SECRET)

    assert CANARY not in "".join(traceback.format_exception(error)) + str(error)


@pytest.mark.parametrize(("text", "error"), [("", ValueError), (b"canary", TypeError), (7, TypeError)])
def test_what_is_no_text_is_no_secret(text: Any, error: type[Exception]):
    with pytest.raises(error) as caught:
        Secret(text)

    assert "canary" not in str(caught.value)


def test_a_secret_that_is_withheld_says_why():
    with pytest.raises(ValueError, match="a replay reads none"):
        Secret.withheld("a replay reads none").reveal()


def test_a_secret_that_is_withheld_is_no_other():
    assert Secret.withheld("a") != Secret.withheld("b")
    assert Secret.withheld("a") != Secret("a")
