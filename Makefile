# The doors of the project. Everything runs from .venv, which `config.bootstrap` makes; PYTHON chooses what it is made from.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# Missing migrations are found without a database; that its history cannot be compared then is no news.
NO_DATABASE := "ignore:Got an error checking a consistent migration history:RuntimeWarning"

.PHONY: run dev check test chaos bench demo-reset

run:  ## start everything; Ctrl-C stops everything
	@$(PYTHON) -m config.bootstrap run

dev:  ## make .venv with what checks and tests need
	@$(PYTHON) -m config.bootstrap dev

check: dev  ## format, lint, types, import rules, missing migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W $(NO_DATABASE) manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING

test: dev  ## the whole suite against real servers
	$(BIN)/python -m pytest -n $(WORKERS)

chaos: dev  ## ten minutes of load under kill -9; usage must agree to the call
	$(BIN)/python -m tests.chaos --seconds 600

bench: dev  ## Tollgate beside nginx, HAProxy and others
	$(BIN)/python -m bench

demo-reset:  ## forget everything that the demo has written
	@$(PYTHON) -m config.reset
