# `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-engines browser docs check pull diff generate forms public record contract conformance bench lock clean

# The first Python that is new enough; make PYTHON=… chooses another.
PYTHON ?= $(or $(shell for p in python3 python python3.13 python3.12 python3.11; do $$p -c 'import sys; \
	sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$p && break; done),python3)
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
READY := $(VENV)/.ready
ENGINES := .venv-engines
ENGINES_BIN := $(ENGINES)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

COMPILE := $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url pyproject.toml

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name does; do printf '  %-12s %s\n' "$$name" "$$does"; done

setup: $(READY) ## make .venv with everything that the other targets need

$(READY): $(VENV)/.locked pyproject.toml
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

$(VENV)/.locked: tools/locks/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, and $(PYTHON) is %d.%d. Say which to use: make PYTHON=…" % sys.version_info[:2])'
	@echo "Setting up $(VENV), once; this takes about a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/dev.lock
	@touch $(VENV)/.locked

demo: $(READY) ## send 1,461 real rows to a sandbox, twice, and show what became of them
	@$(RUN) examples/weather.py

test: $(READY) ## run all tests; no network is needed
	@$(RUN) -m pytest -n 2 --dist worksteal -q

test-engines: $(ENGINES)/.ready ## test and type-check the integrations with the real engines; takes some minutes
	@$(ENGINES_BIN)/python -m mypy --no-error-summary --config-file tests/engines/mypy.ini
	@$(ENGINES_BIN)/python -m pytest -q tests/engines

$(ENGINES)/.ready: tools/locks/engines.lock pyproject.toml
	@echo "Setting up $(ENGINES), once; the engines are large, and this takes some minutes."
	@$(PYTHON) -m venv --clear $(ENGINES)
	@$(ENGINES_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/engines.lock
	@$(ENGINES_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(ENGINES)/.ready

browser: $(READY) ## test the sandbox's page in a headless Chromium, which must be installed
	@$(RUN) -m pytest -q tests/browser

docs: $(READY) ## build the documentation into build/docs, with broken links as errors
	@$(RUN) -m tools.docs
	@$(BIN)/properdocs build --strict --config-file tools/mkdocs.yml
	@echo "The documentation is in build/docs; open build/docs/index.html."

check: $(READY) ## lint, types, layers, workflows, and whether generated code is what its sources say
	@$(RUN) -m ruff check --no-cache --quiet .
	@$(RUN) -m ruff format --no-cache --quiet --check .
	@$(RUN) -m mypy --no-error-summary
	@$(BIN)/basedpyright --level error > $(VENV)/basedpyright.txt || { cat $(VENV)/basedpyright.txt; exit 1; }
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/zizmor --offline --quiet --no-progress .github > $(VENV)/zizmor.txt || { cat $(VENV)/zizmor.txt; exit 1; }
	@$(RUN) -m tools.unasync --check
	@$(RUN) -m tools.spec.check

pull: $(READY) ## fetch the published description; SPEC_URL= overrides the address
	@SPEC_URL="$(SPEC_URL)" $(RUN) -m tools.spec.pull

diff: $(READY) ## how two descriptions differ, in words: OLD=file NEW=file; the last commit and the work tree without
	@$(RUN) -m tools.spec.diff $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

generate: $(READY) ## rebuild generated/ and databox/_sync; SPEC= takes another description
	@$(RUN) -m tools.spec.generate $(if $(SPEC),--spec "$(SPEC)")
	@$(RUN) -m tools.unasync

forms: $(READY) ## generate from the same API described in many other forms; MINUTES= for combinations of them
	@$(RUN) -m tests.pipeline --minutes $(or $(MINUTES),0)

public: $(READY) ## renew tests/public.txt, the names and signatures that users rely on
	@$(RUN) -m tools.public

record: $(READY) ## record real responses; needs a key and DATABOX_RECORD=1; BASE_URL= for another server
	@$(RUN) -m tools.contract.record $(if $(BASE_URL),--base-url "$(BASE_URL)") $(if $(ACCOUNT),--account "$(ACCOUNT)")

contract: $(READY) ## hold description, recordings, sandbox and client against one another; MINUTES= to fuzz
	@$(RUN) -m tests.contract --minutes $(or $(MINUTES),4)

conformance: $(READY) ## hold a client against the cases: CLIENT="node conformance/clients/node/adapter.mjs"; ours without
	@$(RUN) conformance/run.py -- $(or $(CLIENT),$(RUN) conformance/clients/python/adapter.py)

bench: $(READY) ## measure, as ratios against the alternatives
	@$(RUN) -m tools.benchmarks

lock: $(READY) ## renew the lock files from pyproject.toml (needs the network)
	@$(RUN) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) $(addprefix --extra ,sandbox files parquet cli redis) --group dev -o tools/locks/dev.lock
	@$(COMPILE) --all-extras --group engines -o tools/locks/engines.lock

clean: ## remove what was built
	@rm -rf $(VENV) $(ENGINES) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
