# Needs Python 3.11 to 3.13 with pip, and make. Everything else goes into .venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
UV_VERSION := 0.13.9
BIN := .venv/bin
PARALLEL := --numprocesses=2 --dist=loadscope --no-loadscope-reorder
STAMP := .venv/.installed
# Where it is set, every process compiles all that it imports anew: ten seconds each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run up docs test test-slow check check-types check-sql check-rest format lock clean

help: ## what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

install: $(STAMP) ## sets up .venv from requirements.lock

# uv installs in seconds what takes pip minutes; where uv cannot reach the package index as
# pip is configured to, pip does the same from the same lock file.
$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found on PATH."; exit 1; }
	@rm -rf .venv/.bootstrap && $(PYTHON) -m pip install --quiet --disable-pip-version-check \
		--root-user-action=ignore --target .venv/.bootstrap uv==$(UV_VERSION)
	@test -x $(BIN)/python || .venv/.bootstrap/bin/uv venv --quiet --allow-existing --python $$(command -v $(PYTHON)) .venv
	@echo "Installing the packages of requirements.lock ..."
	@.venv/.bootstrap/bin/uv pip install --quiet --python $(BIN)/python -r requirements.lock \
		|| $(PYTHON) -m pip --python $(BIN)/python install --quiet -r requirements.lock
	@.venv/.bootstrap/bin/uv pip install --quiet --python $(BIN)/python --no-deps --editable . \
		|| $(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps --editable .
	@touch $@

run: install ## loads, transforms, checks, trains, scores, plans, sends (sandbox only), writes back
	@$(BIN)/leadengine run

up: install ## the long-running stack in the foreground; Ctrl-C stops it
	@$(BIN)/leadengine up || [ $$? -eq 130 ]

docs: install ## builds and serves the documentation of models and expectations; Ctrl-C stops it
	@$(BIN)/leadengine docs || [ $$? -eq 130 ]

test: install ## the test suite with coverage
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL) --cov --cov-report=term

test-slow: install ## what takes longer than the suite allows; CI runs it as well
	@$(BIN)/python -m pytest -m slow $(PARALLEL)

check: install ## format, lint, types, import contracts, SQL lint, secrets scan
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-types check-sql check-rest

# Minutes each from nothing, so side by side.
check-types:
	$(BIN)/mypy

check-sql:
	$(BIN)/python -m tests.dbt_project.linting

check-rest:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/leadengine templates lint
	$(BIN)/detect-secrets-hook --baseline .secrets.baseline $$(git ls-files)

format: install ## rewrites the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install ## resolves requirements.lock anew from pyproject.toml
	.venv/.bootstrap/bin/uv pip compile --universal --python-version 3.11 --no-emit-index-url \
		--no-emit-find-links --no-header --extra dev --quiet pyproject.toml -o requirements.lock

clean: ## removes .venv and the demo's state
	rm -rf .venv .leadengine dbt_project/target dbt_project/logs
