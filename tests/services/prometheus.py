"""A real Prometheus, started for a test on a free port of this machine and stopped after it."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.services.required import program

#: Seconds that the server may take to start, to answer and to stop.
PATIENCE = 30.0

#: The configuration that operators are given; its rules are alerts/.
_DEPLOYED = Path(__file__).parents[2] / "ops" / "deploy" / "prometheus.yml"
#: How many times sooner an alert fires in a test.
_HURRY = 6
_LISTENS = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')


class Prometheus:
    """A running server, asked through its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        return self._get("/-/ready") is not None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series of an instant query."""
        answer = self._get(f"/api/v1/query?{urlencode({'query': expression})}")
        found = json.loads(answer or b'{"data": {"result": []}}')["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {labels["alertname"] for labels, _ in self.query('ALERTS{alertstate="firing"}')}

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, and how that went."""
        answer = self._get("/api/v1/targets") or b'{"data": {"activeTargets": []}}'
        targets: list[dict[str, Any]] = json.loads(answer)["data"]["activeTargets"]
        return targets

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(self._url + path, timeout=PATIENCE) as answer:  # noqa: S310  # ours
                content: bytes = answer.read()
                return content
        except OSError:
            return None


def scraping(*targets: str) -> dict[str, Any]:
    """A configuration that scrapes *targets* (host:port) each second."""
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "nicegold", "static_configs": [{"targets": list(targets)}]}],
    }


def deployed(
    folder: Path, *targets: str, work: tuple[str, ...] = (), alertmanagers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The configuration of ops/deploy with its rules, for *targets* that are scraped each second.

    They are sessions, and *work* is where `nicegold work` tells its metrics. The rules are in *folder*, in
    a hurry.
    """
    ours: dict[str, Any] = yaml.safe_load(_DEPLOYED.read_text())
    rules = [str(path) for each in ours["rule_files"] for path in _hurried(_DEPLOYED.parent / each, folder)]
    alerting = {**ours["alerting"], "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
    hurried = {**ours["global"], "scrape_interval": "1s", "evaluation_interval": "1s"}
    scraped = {"nicegold": targets, "nicegold-work": work}
    jobs = [
        {**job, "static_configs": [{"targets": list(scraped[job["job_name"]])}]}
        for job in ours["scrape_configs"]
    ]
    return {**ours, "scrape_configs": jobs, "global": hurried, "rule_files": rules, "alerting": alerting}


def _hurried(files: Path, folder: Path) -> Iterator[Path]:
    """Copies of the rules in *files* in *folder*, looked at and held *_HURRY* times shorter.

    What they ask is as it was, with its windows and limits. How long a rule must hold, promtool's tests show.
    """
    for path in sorted(files.parent.glob(files.name)):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = _shorter(group["interval"])
            for rule in group["rules"]:
                rule.update({"for": _shorter(rule["for"])} if "for" in rule else {})
        copy = folder / path.name
        # JSON is YAML.
        copy.write_text(json.dumps(rules))
        yield copy


def _shorter(time: str) -> str:
    """A time of Prometheus's, such as 30s or 2m. Raises KeyError for one that is longer than minutes."""
    milliseconds = int(time[:-1]) * {"s": 1_000, "m": 60_000}[time[-1]] // _HURRY
    return f"{milliseconds}ms"


@contextmanager
def prometheus(
    folder: Path, target: str, configuration: Mapping[str, Any] | None = None
) -> Iterator[Prometheus]:
    """A server that scrapes *target* (host:port), or does as *configuration* says, in *folder*."""
    configuration = scraping(target) if configuration is None else configuration
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                program("prometheus", "prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                # What was sent before it knew the Alertmanager is sent again after this.
                "--rules.alert.resend-delay=2s",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        running = Prometheus(_port(server, log))
        until(running.is_ready, f"Prometheus is not ready:\n{log.read_text()}")
        yield running
    finally:
        server.terminate()
        server.wait(PATIENCE)


def until(holds: Callable[[], bool], otherwise: str | Callable[[], str], patience: float = PATIENCE) -> None:
    """Ask until it holds; the test fails with *otherwise* when it does not within *patience* seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.05)


def _port(server: subprocess.Popen[bytes], log: Path) -> int:
    """The free port that the server took, as its log says."""
    until(
        lambda: bool(_LISTENS.search(log.read_text())) or server.poll() is not None,
        f"Prometheus does not say where it listens:\n{log.read_text()}",
    )
    found = _LISTENS.search(log.read_text())
    assert found is not None, f"Prometheus has ended:\n{log.read_text()}"
    return int(found[1])
