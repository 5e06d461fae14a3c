# `make start` for learners, `make test` for those who work on the kit. Neither needs more than Python and PyPI.
# Without make, or on Windows: the README has the same steps as plain pip and pytest lines.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A user's own settings must not decide which packages the kit gets.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: start test test-all lint clean

start: $(VENV)/.start
	@$(BIN)/deepdive assets --quiet
	@$(BIN)/python -m pytest; code=$$?; [ $$code -le 1 ] || exit $$code  # wrong answers are no failure of make

test: $(VENV)/.test lint
	@$(BIN)/deepdive assets --quiet
	$(BIN)/python -m pytest tests -m "not slow" -n 2 --dist loadfile

test-all: $(VENV)/.test lint
	@$(BIN)/deepdive assets --quiet
	$(BIN)/python -m pytest tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(VENV)/.start: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("deepdive needs Python 3.11 or newer; \
	$(PYTHON) is %d.%d. Try: make start PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing the kit and its libraries, about 2 GB, once; a few minutes …"
	@$(PIP) install -c constraints.txt -e . || { echo "pip could not install the kit: is there a network, and room \
	on the disk? Its own words are above."; exit 1; }
	@touch $@

$(VENV)/.test: $(VENV)/.start
	@$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@
