# `make help` lists the targets. Everything is installed into .venv, from requirements/, by hash.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
ADMIN_PORT ?= 9090
PYTEST_ARGS ?=
UV = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help run test soak lint format e2e image bench scan audit sbom lock docs proto clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

run: $(VENV)/.runtime ## serve with embedded defaults on :8080 (PORT=, ADMIN_PORT=)
	@echo "page     http://127.0.0.1:$(PORT)/"
	@echo "docs     http://127.0.0.1:$(PORT)/docs"
	@echo "metrics  http://127.0.0.1:$(ADMIN_PORT)/metrics"
	@echo "probes   http://127.0.0.1:$(ADMIN_PORT)/readyz?verbose"
	@# no drain delay: nothing balances load to it, and Ctrl-C should not wait
	@exec $(BIN)/python -m service serve --port $(PORT) --admin-port $(ADMIN_PORT) --set server.drain_delay=0

test: $(VENV)/.dev ## unit, property, integration and manifest tests
	@# hundreds of processes start: what one has compiled is there for the next
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto -m "not e2e and not bench and not soak" $(PYTEST_ARGS)

soak: $(VENV)/.dev ## minutes under load and attack: slow clients, restarts, overload, rotation, fuzzing
	$(BIN)/python -m pytest -p no:xdist -m "soak and not e2e" $(PYTEST_ARGS)

lint: $(VENV)/.dev ## formatting, style, types, layers, docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet service
	$(BIN)/yamllint --strict .

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

e2e: $(VENV)/.dev ## end-to-end tests on the cluster of KUBECONFIG
	$(BIN)/python -m pytest -m "e2e and not soak" $(PYTEST_ARGS)

bench: $(VENV)/.dev ## measurements against peers; results in docs/benchmarks.md
	$(BIN)/python -m tests.bench

image: ## build the container image httpserver:dev
	$(or $(shell command -v docker),$(shell command -v podman),buildah) build -t httpserver:dev .

scan: .scan-venv/.done ## install the manifest and Dockerfile scanners, so that `make test` uses them
	@echo "scanners are in .scan-venv/bin"

audit: .supply-venv/.done ## ask for known vulnerabilities of what the image holds; fails when it can't ask
	@PATH="$(CURDIR)/.supply-venv/bin:$$PATH" python -m tools.audit $(AUDIT_ARGS)

sbom: .supply-venv/.done build/sbom/.done ## list what the image holds: build/sbom.cdx.json (DPKG_STATUS=file adds the base)
	@PATH="$(CURDIR)/.supply-venv/bin:$$PATH" python -m tools.sbom --python build/sbom/bin/python \
	  $(if $(DPKG_STATUS),--dpkg-status $(DPKG_STATUS)) --output build/sbom.cdx.json

docs: $(VENV)/.dev ## write anew what is made from code: docs, example and chart schema of the settings, dashboards
	$(BIN)/python -m tools.settings_docs
	$(BIN)/python -m tools.chart_schema
	$(BIN)/python -m tools.alert_rules
	$(BIN)/python -m tools.dashboards

proto: $(VENV)/.dev ## write the Python code of the gRPC API anew, from proto/
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m tools.proto

lock: $(VENV)/.dev ## compile requirements/*.txt anew
	$(UV) pyproject.toml -o requirements/runtime.txt
	$(UV) pyproject.toml --group dev --group bench -o requirements/dev.txt
	$(UV) --group scan -o requirements/scan.txt
	$(UV) --group supply -o requirements/supply.txt

clean: ## remove what was installed and cached
	rm -rf $(VENV) .scan-venv .supply-venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make PYTHON=python3.13 …"'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), about a minute …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/.runtime

.scan-venv/.done: requirements/scan.txt
	$(PYTHON) -m venv .scan-venv
	.scan-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.supply-venv/.done: requirements/supply.txt
	$(PYTHON) -m venv .supply-venv
	.supply-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# as the Dockerfile installs it
build/sbom/.done: requirements/runtime.txt | .supply-venv/.done
	$(PYTHON) -m venv --without-pip --clear build/sbom
	.supply-venv/bin/python -m pip --python build/sbom/bin/python install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
