# The whole loop. `make run` needs make and Python 3.11 or newer and nothing else; everything goes into .venv.

SHELL := /bin/sh
# Tests start the program hundreds of times: without its bytecode each start would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help run test check matrix soak test-hosts hosts-up hosts-down bench lock snapshots screenshots deb clean

# Most tests wait for a real program most of the time: six at once keep two processors busy.
JOBS ?= 6
ARGS ?=

# Two halves of `make check` that take equally long, one for each of two processors. Collecting once leaves the bytecode
# of all tests for the processes of `make test`, each of which would make it anew.
UNIT := .venv/bin/coverage run -m pytest -q
define BESIDE
{ set -x; .venv/bin/mypy && .venv/bin/lint-imports --no-logo && $(UNIT) tests/unit/engine && \
.venv/bin/python -m pytest -qq --collect-only >/dev/null; }
endef

help: ## Says what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 24

run: ## Opens the wizard; without a terminal, plays the first labs in plain lines
	@.ci/setup run
	@if [ -t 0 ] && [ -t 1 ]; then exec .venv/bin/firescreen $(ARGS); \
	else exec .venv/bin/firescreen lab play $(ARGS); fi

test: check ## Checks, then tests with real programs on this machine
	.venv/bin/python -m pytest -n $(JOBS) --ignore=tests/unit/engine --ignore=tests/unit/planner $(ARGS)

check: ## Style, types, import rules, and how much the unit tests reach of planner and engine
	@.ci/setup dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/coverage erase
	@$(BESIDE) & beside=$$!; $(UNIT) tests/unit/planner; planner=$$?; wait $$beside && exit $$planner
	.venv/bin/coverage combine -q
	.venv/bin/coverage report

matrix: ## Every component at every level with programs of three generations, and the other long runs
	@.ci/setup dev
	FIRESCREEN_KILLS=$${FIRESCREEN_KILLS:-24} .venv/bin/python -m pytest -n $(JOBS) -m matrix \
		-p tests.integration.matrix_coverage tests/integration tests/screens $(ARGS)

soak: ## Kills applies, after each line of the journal and 200 at random instants, and recovers
	@.ci/setup dev
	FIRESCREEN_KILLS=$${FIRESCREEN_KILLS:-200} .venv/bin/python -m pytest -n 2 -m 'matrix or not matrix' \
		tests/integration/test_kill.py $(ARGS)

test-hosts: ## Tests on real systemd hosts and containers that it boots (as root, Debian)
	@[ "$$(id -u)" = 0 ] || { echo 'firescreen: make test-hosts boots hosts of its own: run it as root.' >&2; exit 1; }
	@.ci/setup dev
	tests/hosts/prepare
	.venv/bin/python -m pytest -n $(JOBS) tests/hosts --ignore=tests/hosts/test_container_cost.py $(ARGS)
	.venv/bin/python -m pytest tests/hosts/test_container_cost.py $(ARGS) # counts scrapes of a second: alone

hosts-up: ## Boots two hosts and a container to try the wizard on, says how to reach them (as root, Debian)
	@[ "$$(id -u)" = 0 ] || { echo 'firescreen: make hosts-up boots hosts of its own: run it as root.' >&2; exit 1; }
	@.ci/setup dev
	@tests/hosts/up

hosts-down: ## Ends the hosts of make hosts-up, and nothing else
	@tests/hosts/down

bench: ## Measures, against a yardstick in the same run; fails past a limit
	@.ci/setup dev
	@status=0; for file in tests/bench/bench_*.py; do .venv/bin/python "$$file" || status=1; done; exit $$status

snapshots: ## Takes the snapshots of all screens anew, for tests/screens/test_snapshots.py
	@.ci/setup dev
	FIRESCREEN_RENEW_SNAPSHOTS=1 .venv/bin/python -m pytest -q -n 2 tests/screens/test_snapshots.py $(ARGS)

screenshots: ## Draws the README's pictures and its recording from the running program
	@.ci/setup dev
	.venv/bin/python tests/tools/screenshots.py
	.venv/bin/python tests/tools/recording.py

deb: ## Builds a Debian package of this checkout in dist (on Debian and Ubuntu)
	@.ci/setup dev
	@.ci/deb

lock: ## Writes the lock files from pyproject.toml (newest versions: make lock ARGS=--upgrade)
	@.ci/setup dev
	.ci/lock $(ARGS)

clean: ## Removes .venv and what the tools left; a person's own data stays
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
