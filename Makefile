# Everything here makes its own .venv from a bare Python 3.11 or later; nothing else is needed.

PYTHON ?= python3
# Two test processes: the suite is written for two cores. `make test WORKERS=0` runs it in one.
WORKERS ?= 2
# Where the chance of `make soak` begins: another one each time, and said, so that it can be repeated.
SEED := $(or $(SEED),$(shell date +%s))

ready := .venv/.ready
bin := .venv/bin

# The uv that uv.lock names, for machines that have none.
uv_version := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)
uv = $(shell command -v uv || echo $(bin)/uv)

# Compiled into the tree where there is a C compiler: see hatch_build.py.
native := ops/nicegold_ops/telemetry/_watched.c \
    $(addprefix core/nicegold/,answers.py engine.py indicators.py matching.py orders.py portfolio.py values.py venue.py)

reference := $(wildcard docs/reference/*.md) docs/alerts.md docs/audit.md docs/emits.md docs/reliability.md docs/write-a-broker.md
rule_tests := $(wildcard alerts/tests/*.yml)

# A half-made file must not look finished, and `check` runs in the order it is written in.
.DELETE_ON_ERROR:
.NOTPARALLEL:

.PHONY: help
help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: $(ready)  ## Trade simulated gold on paper until Ctrl-C, or for RUN_SECONDS
	$(bin)/nicegold run --config examples/gold.toml $(if $(RUN_SECONDS),--seconds $(RUN_SECONDS))

.PHONY: test
test: $(ready)  ## Run the tests, without those that take long
	$(bin)/pytest -q -n $(WORKERS) -m "not slow"

.PHONY: services
services: $(ready)  ## Bring the servers of tests that Debian has no package of, once, into ~/.cache/nicegold-services
	$(bin)/python -m tests.services

.PHONY: check
check: format lint types imports test slow pure fuzz reference alerts reliability  ## What CI runs: format, lint, types, imports, tests, fuzz, docs, alerts, crashes

.PHONY: bench
bench: $(ready)  ## Measure the engine against its peers, in half an hour; QUICK=1 takes a few minutes
	$(bin)/python -m tests.bench.run $(if $(QUICK),--quick)

# What is proven each time, in some ten minutes: docs/reliability.md. With few GATE_HOURS it is stopped before.
.PHONY: reliability
reliability: $(ready)
	$(bin)/python -m tests.reliability.tiers gate --hours $(or $(GATE_HOURS),1)

.PHONY: soak
soak: $(ready)  ## Crash, kill and confuse it for HOURS, then the readers of files for ten minutes; SEED=7 repeats those
	$(bin)/python -m tests.reliability.tiers nightly --hours $(or $(HOURS),8) --write
	$(bin)/python -m tests.fuzz.campaign --seconds 480 --learned .fuzz/learned --seed $(SEED)
	NICEGOLD_FUZZ_FILES=2500 NICEGOLD_FUZZ_SOAK=1 $(bin)/pytest -q -n $(WORKERS) tests/fuzz --hypothesis-seed=$(SEED)

.PHONY: docs
docs: $(ready)  ## Write the generated pages and dashboards again
	$(bin)/cog -r $(reference)
	$(bin)/python -m dashboards.grafana.build
	$(bin)/python -m dashboards.kibana.build

.PHONY: fix
fix: $(ready)  ## Format the code and repair what ruff can
	$(bin)/ruff check --fix
	$(bin)/ruff format

.PHONY: lock
lock: $(ready)  ## Resolve the dependencies again, after pyproject.toml changed
	$(uv) lock
	$(MAKE) venv

.PHONY: venv
venv: $(ready)  ## Make .venv, or bring it up to date

.PHONY: clean
clean:  ## Remove .venv and what the tools left
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .fuzz build dist core/nicegold__mypyc.*.so core/nicegold/*.so ops/nicegold_ops/telemetry/*.so

# The steps of `check`.

.PHONY: format
format: $(ready)
	$(bin)/ruff format --check

.PHONY: lint
lint: $(ready)
	$(bin)/ruff check

.PHONY: types
types: $(ready)
	$(bin)/mypy

.PHONY: imports
imports: $(ready)
	$(bin)/lint-imports --no-logo

# Processes that are killed, servers that are cut off and restored, wheels, a million rows, all real data: most
# of them wait now and then, so that three share two cores well.
.PHONY: slow
slow: $(ready)  ## Run the tests that take long: kills, servers, builds, all real data
	$(bin)/pytest -q -n $(or $(SLOW_WORKERS),3) --dist worksteal -m slow

# What runs compiled, once more as Python.
.PHONY: pure
pure: $(ready)
	NICEGOLD_PURE=1 $(bin)/pytest -q -n $(WORKERS) tests/core tests/test_life_of_a_tick.py $(wildcard tests/plugins/test_paper*.py)

# A minute of what `soak` does in ten, each time the same.
.PHONY: fuzz
fuzz: $(ready)
	$(bin)/python -m tests.fuzz.campaign --seconds 25 --seed 1
	NICEGOLD_FUZZ_FILES=400 $(bin)/pytest -q -n $(WORKERS) tests/fuzz

.PHONY: reference
reference: $(ready)
	@# Without -r: with it, cog writes what it should check, and succeeds.
	$(bin)/cog --check --diff --check-fail-msg="run 'make docs'" $(reference)
	$(bin)/python -m dashboards.grafana.build --check
	$(bin)/python -m dashboards.kibana.build --check

.PHONY: alerts
alerts:
	@if command -v promtool >/dev/null && command -v amtool >/dev/null; then \
	    promtool check config ops/deploy/prometheus.yml && promtool test rules $(rule_tests) \
	    && amtool check-config ops/deploy/alertmanager.yml; \
	elif [ "$$NICEGOLD_REQUIRE_SERVICES" = 1 ]; then \
	    echo "alerts: promtool or amtool is not installed, and NICEGOLD_REQUIRE_SERVICES=1 asks for both" >&2; exit 1; \
	else \
	    echo "alerts: skipped, promtool or amtool is not installed" \
	        "(on Debian: apt-get install prometheus prometheus-alertmanager)"; \
	fi

# The environment. It is made again only when one of these changes.

.PHONY: .venv
.venv: $(ready)

$(ready): pyproject.toml uv.lock hatch_build.py $(native)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "nicegold needs Python 3.11 or later, and '$(PYTHON)' is not that; name one that is: make PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	    echo "'$(PYTHON)' cannot make a virtual environment (on Debian: apt-get install python3-venv)" >&2; \
	    exit 1; }
	@# One left by a Python that is gone, or too old, is made anew.
	@$(bin)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@command -v uv >/dev/null || $(bin)/python -m pip install --quiet --disable-pip-version-check uv==$(uv_version)
	env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never \
	    $(uv) sync --quiet --frozen --all-extras --reinstall-package nicegold --python $(bin)/python
	@$(bin)/python -c 'import nicegold_ops.telemetry._watched, nicegold__mypyc' 2>/dev/null || \
	    echo "nicegold: some of it is not compiled and runs in pure Python, slower; '$(uv) build --wheel' says why"
	@touch $@
