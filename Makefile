# kefu: `make run` serves the sample shop, `make test` runs everything CI runs.
# Needs Python 3.11 or newer and make; nothing else. `make run PORT=9000` takes another port.
# `make demo-cluster` starts three desks with all that they share and kills each program under load.

PYTHON ?= python3
PORT ?= 8000
SECONDS ?= 600
RATE ?= 150
VENV := .venv
BIN := $(VENV)/bin
# Wheels only: no compiler is ever needed. Versions and hashes are those of constraints.txt.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run demo-cluster test check format constraints clean

run: $(VENV)/run.stamp
	$(BIN)/kefu serve --demo --port $(PORT)

# PostgreSQL, Redis, two llama.cpp servers and nginx, no container. `SECONDS=60` for a short one.
demo-cluster: $(VENV)/dev.stamp
	@deploy/test-services
	$(BIN)/kefu models pull gemma-3-270m-desk use-multilingual-v3 multilingual-e5-small-kefu \
		multilingual-e5-small-reader
	$(BIN)/python -m loadtests.cluster --seconds $(SECONDS) --rate $(RATE)

test: $(VENV)/dev.stamp
	@deploy/test-services
	$(BIN)/kefu models pull gemma-3-270m-kefu gemma-3-270m-desk use-multilingual-v3 \
		multilingual-e5-small-kefu multilingual-e5-small-reader
	$(BIN)/python -m pytest

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/made.stamp
	$(INSTALL) --only-binary=:all: --require-hashes -r constraints.txt
	$(INSTALL) --no-deps --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp constraints-dev.txt
	$(INSTALL) --only-binary=:all: --require-hashes -r constraints-dev.txt
	touch $@

$(VENV)/made.stamp:
	@deploy/make-venv $(PYTHON) $(VENV)
	touch $@

# After a change of the dependencies in pyproject.toml. uv writes hashes for every platform.
constraints: $(VENV)/made.stamp
	$(INSTALL) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate pyproject.toml --output-file constraints.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra dev pyproject.toml --output-file constraints-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra cluster --extra traces --constraints constraints.txt \
		pyproject.toml --output-file constraints-cluster.txt

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache
