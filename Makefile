# Two commands do all: `make demo` and `make test`. Each target sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
PRISM_READY := tools/prism-cli/node_modules/.ready
FUZZ_READY := .cache/fuzz/site/.ready
# Node.js comes as a Python package. No tool may phone home or look for updates.
NODE := PATH="$(CURDIR)/$(BIN):$$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true REDOCLY_SUPPRESS_NOTIFICATIONS=true NO_UPDATE_NOTIFIER=1
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
SYSTEM := chromium fonts-dejavu-core libcpprest-dev libcurl4-openssl-dev redis-server iproute2 zsh fish man-db groff curl
SPEC := openapi/domo-oauth.yaml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: fleet help demo test test-all sdk lint-spec lint types drift coverage check package bench soak page prism interop interop-generators contract-diff release-spec repeat faults fuzz mutants system record surface lock audit format clean test-pythons

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(READY): requirements-dev.txt pyproject.toml src/domo_oauth/_version.py
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 TARGET")'
	@echo "Setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(NODE_READY): package.json package-lock.json .npmrc $(READY)
	@$(NODE) npm ci --silent
	@touch $@

$(PRISM_READY): tools/prism-cli/package.json tools/prism-cli/package-lock.json tools/prism-cli/.npmrc $(READY)
	@$(NODE) npm ci --silent --prefix tools/prism-cli
	@touch $@

demo: $(READY) ## Take the tour on the embedded sandbox (LIVE=1 runs it against Domo, with credentials in the environment)
	@$(MAKE) --no-print-directory sdk
	@$(PY) tools/demo.py $(if $(filter 1,$(LIVE)),--live)

test: $(READY) ## Run the tests (ARGS='-k name' for some)
	@$(PY) -m pytest -n auto -m "not slow and not once" $(ARGS)

test-all: $(READY) ## Run all tests, with the slow ones: processes, fleets, faults, a browser, shells
	@$(PY) -m pytest -n auto $(ARGS)

sdk: $(READY) ## Generate the client from the contract, if the contract changed (FORCE=1: always)
	@$(PY) tools/make_sdk.py $(if $(filter 1,$(FORCE)),--force)

lint-spec: $(READY) $(NODE_READY) ## Check the contract with openapi-spec-validator, Spectral and Redocly
	$(NODE) npx --no-install spectral lint --fail-severity=hint --quiet $(SPEC)
	$(NODE) npx --no-install redocly lint $(SPEC)
	$(BIN)/openapi-spec-validator --validation-errors all $(SPEC)

lint: $(READY) ## Check style, layers and CI workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet --persona auditor .github

types: $(READY) ## Check types with mypy and pyright, both strict
	$(BIN)/mypy
	$(BIN)/pyright

drift: $(READY) ## Fail if generated/ differs from what make sdk writes (needs git)
	@git rev-parse --git-dir >/dev/null 2>&1 || \
	  { echo "drift: needs git and a clone to compare generated/ with." >&2; exit 1; }
	$(MAKE) --no-print-directory sdk FORCE=1
	@# Compare with the index, so that a pre-commit hook passes when contract and client are committed together.
	@git diff --exit-code --stat -- generated && test -z "$$(git ls-files --others --exclude-standard -- generated)" || \
	  { git status --short -- generated; echo "generated/ is out of date: run 'make sdk' and commit the result." >&2; exit 1; }

coverage: $(READY) $(NODE_READY) $(PRISM_READY) page ## Run all tests; require 100 % line and branch coverage of src/
	@$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -n auto $(ARGS)
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

package: $(READY) page ## Build sdist and wheel, check them, install the wheel into an empty environment
	$(PY) tools/check_package.py

check: lint types lint-spec drift contract-diff coverage package ## Run all checks of CI except other languages and Pythons (needs git; Go once a contract is released)

test-pythons: ## Run make test on every other installed Python from 3.12 on
	@for minor in 12 13 14; do \
	  found=; \
	  for python in python3.$$minor "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$$minor.*/bin/python3; do \
	    if test -z "$$found" && "$$python" -c '' 2>/dev/null; then found=$$python; fi; \
	  done; \
	  if test -z "$$found"; then echo "== Python 3.$$minor is not installed: skipped"; continue; fi; \
	  echo "== Python 3.$$minor"; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-3.$$minor || exit 1; \
	done

bench: $(READY) ## Compare with other libraries and write benchmarks/results.md (QUICK=1: five minutes)
	@$(PY) -m benchmarks $(if $(filter 1,$(QUICK)),--quick) --update-readme

soak: $(READY) ## Run a year of renewals in an hour, with faults (MINUTES=60 SEED=1 PUBLISH=1); report in build/soak
	@$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(if $(filter 1,$(PUBLISH)),--publish)

fleet: $(READY) ## Simulate fleets for 30 days and write benchmarks/fleet/results.md (QUICK=1: small fleets, print only)
	@$(PY) -m benchmarks.fleet $(if $(filter 1,$(QUICK)),--quick,--update-readme) --jobs $(or $(JOBS),1)

page: $(READY) ## Build the interactive reference page: build/page, and into the sandbox
	@$(PY) tools/page.py

prism: $(READY) $(NODE_READY) $(PRISM_READY) ## Serve the contract on loopback with Stoplight Prism (PORT=4010)
	@exec $(PY) tools/prism.py --port $(or $(PORT),4010)

interop: $(READY) ## Build and run a client in every language (LANGUAGES="go rust" FORCE=1 PUBLISH=1)
	@$(PY) -m interop.run $(LANGUAGES) $(if $(filter 1,$(FORCE)),--force) $(if $(filter 1,$(PUBLISH)),--update-readme)

interop-generators: $(READY) ## Generate with every stable generator of OpenAPI Generator
	@$(PY) -m interop.generators

contract-diff: $(READY) ## List changes of the contract since its last release, or since BASE (needs git and Go)
	@$(PY) tools/contract_diff.py $(BASE)

release-spec: $(READY) ## Write a release of the contract to dist/: YAML, JSON, overlay, recordings, checksums
	@$(PY) tools/release_spec.py

system: ## Install what some tests need, with apt-get: Redis, shells, a browser, network namespaces
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends $(SYSTEM)

repeat: $(READY) ## Repeat the concurrency tests (TIMES=200)
	@$(PY) tools/repeat.py $(or $(TIMES),200)

$(FUZZ_READY): tools/fuzz/requirements.txt $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --only-binary :all: --upgrade --target $(@D) -r $<
	@touch $@

fuzz: $(READY) $(FUZZ_READY) ## Fuzz the parsers of untrusted input (SECONDS=60 TARGETS="answer har")
	FUZZ_EXAMPLES=500 $(PY) -m pytest -q tests/unit/test_corpus.py tests/unit/test_properties.py
	@$(PY) -m tools.fuzz --seconds $(or $(SECONDS),60) $(TARGETS)

faults: $(READY) ## Run all faults of network, proxy and server again and again (TIMES=20); write build/faults.md
	@FAULTS_TIMES=$(or $(TIMES),20) $(PY) -m pytest tests/faults $(ARGS)

mutants: $(READY) ## Run mutation tests (PATHS="src/domo_oauth/provider.py" PERCENT=10)
	@nice $(PY) -m tools.mutants $(PATHS) --percent $(or $(PERCENT),100)

record: $(READY) ## Record the real endpoint's answers, redacted (needs DOMO_CLIENT_ID and DOMO_CLIENT_SECRET; OUT=folder)
	@$(BIN)/domo-oauth record --out "$(or $(OUT),recordings)"

surface: $(READY) ## Accept changes of the contract's surface, after raising info.version
	$(PY) tools/surface.py --write

lock: $(READY) ## Lock the development dependencies (UPGRADE=1: newest versions)
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(if $(filter 1,$(UPGRADE)),--upgrade) -o requirements-dev.txt

audit: $(READY) ## Check locked dependencies for known vulnerabilities (DRY=1: list only)
	$(BIN)/uv tool run pip-audit@2.10.1 --strict --requirement requirements-dev.txt --disable-pip $(if $(filter 1,$(DRY)),--dry-run)

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

clean: ## Remove everything that was installed or built
	rm -rf .venv .venv-* .cache build dist node_modules tools/prism-cli/node_modules .coverage* src/domo_oauth/sandbox/elements
