# `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test slow schedules coverage test-engines browser pictures docs check pull diff generate description description-check forms pulls \
	public record contract fuzz conformance bench lock clean

# The first Python that is new enough; make PYTHON=… chooses another.
PYTHON ?= $(or $(shell for p in python3 python python3.13 python3.12 python3.11; do $$p -c 'import sys; \
	sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$p && break; done),python3)
NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"Python 3.11 or later is needed, and $(PYTHON) is %d.%d. Say which to use: make PYTHON=…" % sys.version_info[:2])'
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
READY := $(VENV)/.ready
# Most tests wait for somebody now and then, so more of them run at once than there are processors. Each worker would compile
# all tests for itself if none kept what it compiled.
PYTEST = -m pytest -n $(WORKERS) --dist worksteal -q
WORKERS ?= 6
export PYTHONDONTWRITEBYTECODE :=
DEMO := .venv-demo
DEMO_BIN := $(DEMO)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
ENGINES := .venv-engines
PREFECT := .venv-prefect
DESCRIPTION := .cache/description-venv
ENGINES_BIN := $(ENGINES)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PREFECT_BIN := $(PREFECT)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
DESCRIPTION_BIN := $(DESCRIPTION)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

COMPILE := $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url pyproject.toml

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name does; do printf '  %-18s %s\n' "$$name" "$$does"; done

setup: $(READY) ## create .venv with everything that the other targets need

$(READY): $(VENV)/.locked pyproject.toml
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

$(VENV)/.locked: tools/locks/dev.lock
	@$(PYTHON) -c $(NEW_ENOUGH)
	@echo "Setting up $(VENV), once; this takes about a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/dev.lock
	@touch $(VENV)/.locked

demo: $(DEMO)/.ready ## send 1,461 real rows to a sandbox that fails in the middle, and resume; installs 55 MB
	@$(DEMO_BIN)/databox demo

$(DEMO)/.ready: tools/locks/demo.lock pyproject.toml
	@$(PYTHON) -c $(NEW_ENOUGH)
	@echo "Setting up $(DEMO), once."
	@$(PYTHON) -m venv --clear $(DEMO)
	@$(DEMO_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/demo.lock
	@$(DEMO_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(DEMO)/.ready

test: $(READY) ## run the tests that find a break soonest; no network is needed
	@$(RUN) $(PYTEST) -m "not slow and not node" --hypothesis-profile=quick $(TESTS)

slow: $(READY) ## run all other tests: further cases, every kind of connection; TESTS= for a folder or file
	@$(RUN) $(PYTEST) -m slow $(TESTS)

schedules: $(READY) ## ingest under faults, kills and edits drawn from SEEDS= seeds, and compare report, files and server
	@DATABOX_SEEDS=$(or $(SEEDS),120) $(RUN) $(PYTEST) tests/test_any_schedule.py tests/test_good_rows.py

# Measuring doubles the time, so each test has a longer time-out.
coverage: $(READY) ## run what `make test` and `make slow` run, and report the coverage of databox/
	@$(BIN)/coverage erase
	@$(RUN) -m coverage run $(PYTEST) -m "not node" --timeout=400
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-engines: $(ENGINES)/.ready $(PREFECT)/.ready ## test and type-check the integrations with the real engines: half an hour on two busy cores; TESTS= for a folder
	@$(ENGINES_BIN)/python -m mypy --no-error-summary --config-file tests/engines/mypy.ini
	@$(ENGINES_BIN)/python -m pytest -q --durations 10 $(or $(TESTS),tests/engines)
	@$(PREFECT_BIN)/python -m mypy --no-error-summary --config-file tests/engines/mypy.ini tests/engines/prefect/*.py
	@$(PREFECT_BIN)/python -m pytest -q tests/engines/prefect

$(ENGINES)/.ready: tools/locks/engines.lock pyproject.toml
	@echo "Setting up $(ENGINES), once; the engines are large, and this takes some minutes."
	@$(PYTHON) -m venv --clear $(ENGINES)
	@$(ENGINES_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/engines.lock
	@$(ENGINES_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(ENGINES)/.ready

$(PREFECT)/.ready: tools/locks/prefect.lock pyproject.toml
	@echo "Setting up $(PREFECT), once."
	@$(PYTHON) -m venv --clear $(PREFECT)
	@$(PREFECT_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/prefect.lock
	@$(PREFECT_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(PREFECT)/.ready

browser: $(READY) ## test the sandbox's page in a headless Chromium, which must be installed
	@$(RUN) -m pytest -q tests/browser

pictures: $(READY) ## renew the pictures in README and documentation from a real run; needs Chromium
	@$(RUN) -m tests.browser.pictures

docs: $(READY) ## build the documentation into build/docs, with broken links as errors
	@$(RUN) -m tools.docs
	@$(BIN)/properdocs build --strict --config-file tools/mkdocs.yml
	@echo "The documentation is in build/docs; open build/docs/index.html."

check: $(READY) ## check that generated code is up to date, lint, types, layers, workflows
	@$(RUN) -m tools.spec.check
	@$(RUN) -m tools.unasync --check
	@$(RUN) -m ruff check --no-cache --quiet .
	@$(RUN) -m ruff format --no-cache --quiet --check .
	@$(RUN) -m mypy --no-error-summary
	@$(BIN)/basedpyright --level error > $(VENV)/basedpyright.txt || { cat $(VENV)/basedpyright.txt; exit 1; }
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/zizmor --offline --quiet --no-progress .github > $(VENV)/zizmor.txt || { cat $(VENV)/zizmor.txt; exit 1; }

pull: $(READY) ## fetch the published description; SPEC_URL= overrides the address
	@SPEC_URL="$(SPEC_URL)" $(RUN) -m tools.spec.pull

diff: $(READY) ## describe how two descriptions differ: OLD=file NEW=file; defaults to the last commit and the work tree
	@$(RUN) -m tools.spec.diff $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

generate: $(READY) ## rebuild generated/, databox/_sync, and conformance/databox-v1.yaml; SPEC= sets another description
	@$(RUN) -m tools.spec.generate $(if $(SPEC),--spec "$(SPEC)")
	@$(RUN) -m tools.unasync

description: $(READY) ## write build/databox-v1.yaml, the description in one plain form for other generators
	@$(RUN) -m tools.spec.describe

description-check: $(READY) $(DESCRIPTION)/.ready ## test it with two linters and three generators of others; needs Node
	@$(RUN) -m tests.description --python $(abspath $(DESCRIPTION_BIN))/python

$(DESCRIPTION)/.ready: tools/locks/description.lock
	@$(PYTHON) -m venv --clear $(DESCRIPTION)
	@$(DESCRIPTION_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/description.lock
	@touch $(DESCRIPTION)/.ready

forms: $(READY) ## generate from the same API described in many other forms; MINUTES= for combinations of them
	@$(RUN) -m tests.pipeline --minutes $(or $(MINUTES),0)

pulls: $(READY) ## pull the same API in several forms, each into a copy, and run checks, tests and contract there; FORMS= TARGETS=
	@$(RUN) -m tests.pipeline.pulls $(if $(FORMS),--forms "$(FORMS)") $(if $(TARGETS),--targets "$(TARGETS)")

public: $(READY) ## renew tests/public.txt, the names and signatures that users rely on
	@$(RUN) -m tools.public

record: $(READY) ## record real responses; needs a key and DATABOX_RECORD=1; BASE_URL= for another server
	@$(RUN) -m tools.contract.record $(if $(BASE_URL),--base-url "$(BASE_URL)") $(if $(ACCOUNT),--account "$(ACCOUNT)")

contract: $(READY) ## check description, recordings, sandbox and client against each other; MINUTES= to fuzz
	@$(RUN) -m tests.contract --minutes $(or $(MINUTES),4)

fuzz: $(READY) ## corrupt answers, files, requests, arguments and journals, for MINUTES= each; TARGETS=files,journal for some of them
	@$(RUN) -m tests.fuzz --minutes $(or $(MINUTES),1) $(if $(TARGETS),--targets "$(TARGETS)")

conformance: $(READY) ## test a client with the cases, CLIENT="node adapter.mjs"; defaults to the one in Node, with its planted mistakes
ifdef CLIENT
	@$(RUN) conformance/run.py --strict -- $(CLIENT)
else
	@$(RUN) $(PYTEST) -m node tests/conformance
endif

bench: $(READY) ## measure ratios to the alternatives
	@$(RUN) -m tools.benchmarks

lock: $(READY) ## renew the lock files from pyproject.toml (needs the network)
	@$(RUN) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) $(addprefix --extra ,sandbox files parquet excel sql cli redis) --group dev -o tools/locks/dev.lock
	@$(COMPILE) --all-extras --group engines -o tools/locks/engines.lock
	@$(COMPILE) --extra sandbox --group prefect -o tools/locks/prefect.lock
	@$(COMPILE) --extra cli --group demo -c tools/locks/dev.lock -o tools/locks/demo.lock
	@$(COMPILE) --group description -o tools/locks/description.lock
	@if command -v npm > /dev/null; then $(RUN) -m tests.description --lock; fi

clean: ## remove build output
	@rm -rf $(VENV) $(DEMO) $(ENGINES) $(PREFECT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
