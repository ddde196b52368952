"""The commands that look into the audit trail, typed as a person on call types them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.ops.audit.test_checkpoint import pem
from tests.ops.commandline import Shell, market_in

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """In a folder where a session on paper was lived."""
    folder = tmp_path_factory.mktemp("session")
    market_in(folder, bars=120)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    shell = Shell(folder, capsys)
    assert 0 == shell("run", "--set", "run.mode=paper", "--json", "result.json").code
    return shell


def test_a_search_shows_the_newest_first_without_calls(shell):
    found = shell("audit", "search", "--limit", "500", "--json", "-").json

    assert "engine.finished" == found[0]["event.action"]
    assert "engine.started" == found[-1]["event.action"]
    assert "hook.called" not in {each["event.action"] for each in found}


def test_words_and_times_narrow_a_search(shell):
    fills = shell("audit", "search", "action:order.filled", "side:buy", "--json", "-").json
    assert fills
    assert {("order.filled", "buy")} == {
        (each["event.action"], each["nicegold.order.side"]) for each in fills
    }
    assert [] == shell("audit", "search", "--until", "2020-01-01", "--json", "-").json
    assert "nothing was found\n" == shell("audit", "search", "strategy:nobody").out


def test_a_document_is_shown_field_by_field(shell):
    [fill] = shell("audit", "search", "action:order.filled", "--limit", "1", "--json", "-").json

    shown = shell("audit", "show", fill["event.id"])

    assert fill == shell("audit", "show", fill["event.id"], "--json", "-").json
    assert f"event.id                    {fill['event.id']}".split() == next(
        line.split() for line in shown.out.splitlines() if line.startswith("event.id")
    )
    nobody = shell("audit", "show", "nope")
    assert (3, True) == (nobody.code, "there is no document nope" in nobody.err)


def test_a_word_that_means_nothing_is_refused_with_what_there_is(shell):
    refused = shell("audit", "search", "ordr:cross-1")

    assert 2 == refused.code
    assert 'there is no field "ordr"; did you mean "order"?' in refused.err


def test_an_export_has_each_document_once_and_can_be_narrowed(shell):
    done = shell("audit", "export", "trail.jsonl")
    lines = [json.loads(line) for line in (shell.folder / "trail.jsonl").read_text().splitlines()]

    assert f"{len(lines):,} documents\n" == done.err
    assert len(lines) == len({each["event.id"] for each in lines})
    assert {"hook.called", "hook.counted", "order.filled"} <= {each["event.action"] for each in lines}
    shell("audit", "export", "fills.jsonl", "action:order.filled")
    fills = (shell.folder / "fills.jsonl").read_text().splitlines()
    assert [each for each in lines if each["event.action"] == "order.filled"] == list(map(json.loads, fills))


def test_a_record_that_was_changed_is_named_and_the_exit_code_says_so(shell):
    assert (0, True) == _verified(shell, "all chains are sound")

    with closing(sqlite3.connect(shell.folder / "state" / "journal.sqlite")) as journal:
        journal.execute("DELETE FROM blocks WHERE number = 1")
        journal.commit()

    assert (1, True) == _verified(shell, "1 of 1 runs are not sound")
    assert "block 1 of run" in shell("audit", "verify").out


def _verified(shell: Shell, said: str) -> tuple[int, bool]:
    done = shell("audit", "verify")
    return done.code, said in done.out


def test_an_order_is_explained_from_its_input_to_its_fill(shell):
    done = shell("explain", "cross-2")
    found = shell("explain", "cross-2", "--json", "-").json

    hooks = [each["nicegold.hook.name"] for each in found["calls"]]
    assert hooks.index("on_bar") < hooks.index("check_order") < hooks.index("place_order")
    assert ["order.submitted", "order.accepted", "order.filled"] == [
        each["event.action"] for each in found["events"]
    ]
    assert {found["trace"]} == {each["trace.id"] for each in found["events"]}
    for said in (found["trace"], "no objection", "order.filled", "limit", "cross-2: "):
        assert said in done.out


def test_an_order_that_never_left_is_explained_by_who_objected(shell):
    assert (
        0 == shell("run", "--set", "run.mode=paper", "--set", "plugins.limit.limit=0.05", "--json", "r").code
    )

    done = shell("explain", "cross-1")

    assert "objected" in done.out
    assert "limit: would hold" in done.out


def test_an_order_that_nobody_knows_is_refused(shell):
    done = shell("explain", "cross-999")

    assert 3 == done.code
    assert 'no run has told of an order "cross-999"' in done.err


def test_work_without_anything_to_do_says_what_to_add(shell):
    done = shell("work", "--once")

    assert (2, True) == (done.code, "add a table [elasticsearch] with its url" in done.err)


def test_what_was_traded_is_shown_day_by_day_also_of_a_backtest(shell):
    traded = shell("executions", "--json", "-").json
    assert sum(each["trades"] for each in traded) == shell.json("result.json")["fills"]
    assert "cross" in shell("executions").out

    assert 0 == shell("backtest", "--json", "backtest.json").code
    tested = shell("executions", "--json", "-").json
    assert sum(each["trades"] for each in tested) == shell.json("backtest.json")["fills"]


def test_who_approved_is_on_record_by_an_id_and_can_be_erased(shell):
    assert 0 == shell("approve", "--by", "Ana Suwannarat", "--why", "reviewed").code

    [ana] = shell("audit", "people", "--json", "-").json
    [granted] = shell("audit", "search", f"user:{ana['id']}", "action:approval.granted", "--json", "-").json
    assert ("Ana Suwannarat", 1, "reviewed") == (ana["name"], ana["actions"], granted["event.reason"])
    assert "Ana Suwannarat" in shell("audit", "people").out
    assert "Ana" not in (shell.folder / "state" / "approved.json").read_text()
    assert "Ana" not in shell("audit", "search", "--json", "-").out

    erased = shell("audit", "erase", ana["id"], "--by", "Bo", "--why", "asked for it on the 3rd")

    assert (0, True) == (erased.code, ana["id"] in erased.out)
    gone, bo = shell("audit", "people", "--json", "-").json
    assert (None, "Bo") == (gone["name"], bo["name"])
    assert "erased 20" in shell("audit", "people").out
    assert (0, True) == _verified(shell, "all chains are sound")
    again = shell("audit", "erase", ana["id"], "--by", "Bo", "--why", "again")
    assert (3, True) == (again.code, f"the name of {ana['id']} was erased already" in again.err)


def test_who_lifts_a_halt_is_on_record_before_trading_begins(shell):
    said = ("--lift-halt", "the cause is gone", "--by", "Ana")
    assert 0 == shell("run", "--set", "run.mode=paper", *said, "--json", "second.json").code

    [lifted] = shell("audit", "search", "action:halt.lifted", "--json", "-").json
    assert "the cause is gone" == lifted["event.reason"]
    [begun] = shell(
        "audit", "search", f"run:{lifted['nicegold.run.id']}", "action:engine.started", "--json", "-"
    ).json
    assert lifted["@timestamp"] <= begun["@timestamp"]


def test_codes_are_looked_at_with_the_key_of_the_configuration(shell, monkeypatch):
    monkeypatch.setenv("MAC", "0123456789abcdef" * 2)
    (shell.folder / "audit.pem").write_text(pem().reveal())
    with (shell.folder / "nicegold.toml").open("a") as file:
        file.write('[audit]\nsigning_key = "file:audit.pem"\nmac_key = "env:MAC"\n')
    assert 0 == shell("run", "--set", "run.mode=paper", "--json", "second.json").code

    unkeyed, keyed = shell("audit", "verify", "--json", "-").json["runs"]
    assert (0, True) == (unkeyed["codes"], keyed["codes"] > 10)
    assert "codes are looked at with the key in [audit], and there is none: " in " ".join(
        shell("audit", "verify", "--state", "state").out.split()
    )
    monkeypatch.setenv("MAC", "another-one-of-32-letters-and-more")
    assert (1, True) == _verified(shell, "it was written with the key secret:")
    monkeypatch.setenv("MAC", "too short")
    short = shell("audit", "verify")
    assert (2, True) == (short.code, "[audit] mac_key leads to fewer than 32 letters" in short.err)
