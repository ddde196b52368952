from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.exchange.client import ROOT
from tests.live import campaign, life
from tests.live.campaign import Account, Task

#: A campaign against sessions in which something is wrong: in each worker too, as those import this file.
PLANTED = """
import sys
from nicegold import Order, hookimpl
from nicegold_ops import journal
from nicegold_plugins.brokers.venue import TcpVenue
from tests.live import campaign

{bug}

if __name__ == "__main__":
    sys.exit(campaign.main(sys.argv[1:]))
"""
LATE_RECORD = """
journal._AT_ONCE -= {Order}
"""
SENT_TWICE = """
once = TcpVenue.place_order

@hookimpl
def place_order(self, order):
    once(self, order)
    return once(self, order)

TcpVenue.place_order = place_order
"""


def planted(folder: Path, bug: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a campaign against a *bug*, and what it says."""
    script = folder / "planted.py"
    script.write_text(PLANTED.format(bug=bug))
    done = subprocess.run(
        [sys.executable, str(script), *arguments, f"--folder={folder}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_killed_sessions_lose_nothing_and_double_nothing(tmp_path, capsys):
    code = campaign.main(["--kills", "12", "--seed", "7", "--folder", str(tmp_path)])

    out = capsys.readouterr().out
    assert 0 == code, out
    assert re.match(r"12 of 12 kills of 2 accounts: 0 findings; \d+ lives, ", out.splitlines()[-1])
    assert [] == [*tmp_path.iterdir()]


def test_neither_do_those_whose_journal_is_in_postgresql(tmp_path, server, capsys):
    code = campaign.main(["--kills", "12", "--seed", "7", "--folder", str(tmp_path), "--store", server.url()])

    out = capsys.readouterr().out
    assert 0 == code, out
    with server.connect() as connection:
        names = [name for (name,) in connection.execute("SELECT datname FROM pg_database")]
    assert [] == [each for each in names if each.startswith("kills_")]


def test_an_order_that_leaves_before_it_is_on_record_is_found(tmp_path):
    code, out = planted(tmp_path, LATE_RECORD, "--kills", "30", "--seed", "1")

    assert 1 == code
    assert re.search(r"account \d, life \d+: left without a record: ", out), out


def test_what_is_found_is_kept_and_can_be_repeated(tmp_path):
    doubled = r"account 1, life \d+: \d+ orders have arrived at the exchange, and \d+ of them were new"

    code, out = planted(tmp_path, SENT_TWICE, "--kills", "5", "--seed", "1")

    assert 1 == code
    assert re.search(doubled, out), out
    (kept,) = re.findall(r"kept: (\S+)", out)
    assert (Path(kept) / "journal.sqlite").is_file()
    (again,) = re.findall(r"again: python -m tests.live.campaign (.+)", out)
    code, out = planted(tmp_path, SENT_TWICE, *shlex.split(again))
    assert 1 == code
    assert re.search(doubled, out), out


def test_a_seed_plans_the_same_lives_each_time(tmp_path):
    task = Task(seed=1, number=3, kills=10, folder=tmp_path / "one", store=None)
    other = Task(seed=1, number=3, kills=10, folder=tmp_path / "other", store=None)

    plans = [drawn(each) for each in (task, other)]

    assert plans[0] == plans[1]
    assert {life.RECOVERS, life.TRADES, life.ENDS} == {each.when for each in plans[0]}


def drawn(task: Task) -> list[life.Plan]:
    account = Account(task)
    try:
        return [account._plan() for _ in range(50)]
    finally:
        account.close()


def test_a_campaign_ends_after_its_seconds_and_says_how_far_it_came(capsys):
    code = campaign.main(["--kills", "1000000", "--seconds", "0", "--workers", "1"])

    assert 0 == code
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith("0 of 1,000,000 kills of 0 accounts: 0 findings")
    )
