# Set-up, checks and the demo. Needs nothing but make and Python 3.11 or newer (with its venv module).

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
AUDIT := $(VENV)/audit

# The first of these that is new enough; name another with `make PYTHON=/path/to/python …`.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; print("$(name)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
ARGS   ?=
SEEDS  ?= 200

.DEFAULT_GOAL := help
.PHONY: help demo run test faults lint format bench soak chaos wheel image chart package version sbom audit lock clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Play seven recorded workspaces through the real programs, no cluster or Coder needed
	@$(BIN)/coder-logstream demo $(ARGS)

run: $(READY) ## Start everything on this machine: make run ARGS='--coder-url https://…'
	@$(BIN)/coder-logstream run $(ARGS)

test: $(READY) ## Run the tests; what this machine lacks is named at the end (ARGS='-k word' to choose)
	$(BIN)/python -m pytest $(ARGS)

faults: $(READY) ## Play seeded schedules of faults: make faults SEEDS=2000 ARGS='--resume FILE'
	$(BIN)/python -m tests.faults --seeds $(SEEDS) $(ARGS)

lint: $(READY) ## Style, types and the walls between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Put the code into the shape that `make lint` asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure speed and size; prints one table
	$(BIN)/python -m bench $(ARGS)

soak: $(READY) ## 5,000 workspaces arrive, live and leave within ten minutes: what grows, what is left
	$(BIN)/python -m bench.soak $(ARGS)

chaos: $(READY) ## Three minutes of kill -9 and SIGSTOP against the real programs on a real control plane (needs Go)
	LOGSTREAM_CHAOS_S=$(or $(SECONDS),180) LOGSTREAM_CHAOS_WORKSPACES=$(or $(WORKSPACES),200) \
		$(BIN)/python -m pytest tests/cluster/test_chaos.py $(ARGS)

chart: $(READY) ## Write what is derived from the chart's values, and its kept renders (needs Go): read the difference
	$(BIN)/python -m tests.chart.values_page
	$(BIN)/python -m tests.chart.golden

wheel: $(READY) ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# What the image says of itself. A release sets SOURCE to the repository's address.
VERSION  := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
SOURCE   ?= unknown

image: ## Build the container image coder-logstream:VERSION for this machine (needs docker; ARGS for docker build)
	@command -v docker >/dev/null || { echo "make image needs docker, or another builder: see the Dockerfile" >&2; exit 1; }
	DOCKER_BUILDKIT=1 docker build $(ARGS) --tag coder-logstream:$(VERSION) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(REVISION) --build-arg SOURCE=$(SOURCE) .

package: ## Package the chart for an image that is published: make package IMAGE_REPO=ghcr.io/OWNER/coder-logstream (needs helm)
	@[ -n "$(IMAGE_REPO)" ] || { echo "say where the image is: make package IMAGE_REPO=ghcr.io/OWNER/coder-logstream" >&2; exit 1; }
	charts/package '$(IMAGE_REPO)' '$(VERSION)' '$(CURDIR)/dist'

version: ## Print the version
	@echo $(VERSION)

sbom: $(AUDIT) ## Write the bill of materials (CycloneDX) of what the lock file installs into dist/
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
		--output-file dist/coder-logstream.cdx.json

audit: $(AUDIT) ## Look for known holes in what the lock file installs (asks a service on the internet)
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

lock: $(READY) ## Renew the lock files from pyproject.toml (needs uv; ARGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 1; }
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --output-file requirements-dev.lock --group pyproject.toml:dev pyproject.toml
	$(COMPILE) --output-file requirements-build.lock --constraint requirements-dev.lock --group pyproject.toml:build
	$(COMPILE) --output-file requirements-audit.lock --group pyproject.toml:audit

UV      ?= $(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv)
COMPILE  = $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url $(ARGS)

clean: ## Remove everything that make has made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Everything is installed by hash; the project itself is linked, so edits count at once.
$(READY): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || echo none)." \
		"Name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its venv module" \
		"(on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(AUDIT): requirements-audit.lock | $(BIN)/python
	$(BIN)/python -m venv --clear $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.lock
	@touch $@
