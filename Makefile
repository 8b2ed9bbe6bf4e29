# Two commands do all: `make demo` and `make test`. Each target sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
PRISM_READY := tools/prism-cli/node_modules/.ready
FUZZ_READY := .cache/fuzz/site/.ready
# Node.js comes as a Python package; no tool may report home or look for updates.
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
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, and $(PYTHON) is {v[0]}.{v[1]}: name another one with make PYTHON=...")'
	@echo "Setting up $(VENV) (once; half a minute)"
	@$(PYTHON) -m venv $(VENV)
	@# uv takes seconds where pip takes minutes; pip follows if uv cannot reach the index.
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > $(VENV)/uv.txt
	@$(PIP) --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --require-hashes -r requirements-dev.txt || $(PIP) --require-hashes -r requirements-dev.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(NODE_READY): package.json package-lock.json .npmrc $(READY)
	@$(NODE) npm ci --silent
	@touch $@

$(PRISM_READY): tools/prism-cli/package.json tools/prism-cli/package-lock.json tools/prism-cli/.npmrc $(READY)
	@$(NODE) npm ci --silent --prefix tools/prism-cli
	@touch $@

demo: $(READY) ## The tour, on the embedded sandbox; LIVE=1 with credentials in the environment runs it against Domo
	@$(MAKE) --no-print-directory sdk
	@$(PY) tools/demo.py $(if $(filter 1,$(LIVE)),--live)

test: $(READY) ## Run the tests (ARGS='-k name' for some)
	@$(PY) -m pytest -n auto -m "not slow and not once" $(ARGS)

test-all: $(READY) ## Run all tests, with the slow ones: processes, fleets, faults, a browser, shells
	@$(PY) -m pytest -n auto $(ARGS)

sdk: $(READY) ## Generate the client from the contract; nothing to do if nothing changed, FORCE=1 does it all the same
	@$(PY) tools/make_sdk.py $(if $(filter 1,$(FORCE)),--force)

lint-spec: $(READY) $(NODE_READY) ## Check the contract with openapi-spec-validator, Spectral and Redocly
	$(NODE) npx --no-install spectral lint --fail-severity=hint --quiet $(SPEC)
	$(NODE) npx --no-install redocly lint $(SPEC)
	$(BIN)/openapi-spec-validator --validation-errors all $(SPEC)

lint: $(READY) ## Check the style of the code, its layers, and the workflows of CI
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet --persona auditor .github

types: $(READY) ## Check the types with mypy and pyright, both strict
	$(BIN)/mypy
	$(BIN)/pyright

drift: $(READY) ## Fail if generated/ is not what the contract gives; needs git
	@git rev-parse --git-dir >/dev/null 2>&1 || \
	  { echo "drift: git has what generated/ is compared with: install it, and use a clone." >&2; exit 1; }
	$(MAKE) --no-print-directory sdk FORCE=1
	@# Against the index, so that a commit of the contract and its client together passes the hook.
	@git diff --exit-code --stat -- generated && test -z "$$(git ls-files --others --exclude-standard -- generated)" || \
	  { git status --short -- generated; echo "generated/ is not what 'make sdk' writes: run it and commit the result." >&2; exit 1; }

coverage: $(READY) $(NODE_READY) $(PRISM_READY) page ## Run all tests and measure line and branch coverage of src/
	@$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -n auto $(ARGS)
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

package: $(READY) page ## Build sdist and wheel, check them, and install the wheel into an empty environment
	$(PY) tools/check_package.py

check: lint types lint-spec drift contract-diff coverage package ## Everything that CI checks, but other languages and Pythons; needs git, and Go once a release is tagged

test-pythons: ## Run the tests (but those that take long) on every other Python from 3.12 on that is installed
	@for minor in 12 13 14; do \
	  found=; \
	  for python in python3.$$minor "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$$minor.*/bin/python3; do \
	    if test -z "$$found" && "$$python" -c '' 2>/dev/null; then found=$$python; fi; \
	  done; \
	  if test -z "$$found"; then echo "== Python 3.$$minor is not installed here: passed over"; continue; fi; \
	  echo "== Python 3.$$minor"; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-3.$$minor || exit 1; \
	done

bench: $(READY) ## Measure beside other libraries and update the README's table (QUICK=1 ends in five minutes)
	@$(PY) -m benchmarks $(if $(filter 1,$(QUICK)),--quick) --update-readme

soak: $(READY) ## A year of renewals in an hour, with faults (MINUTES=1 for a try, SEED=1, PUBLISH=1); results in build/soak
	@$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(if $(filter 1,$(PUBLISH)),--publish)

fleet: $(READY) ## Simulate fleets for 30 days and update the README's table and plot (QUICK=1 for small ones, to look at)
	@$(PY) -m benchmarks.fleet $(if $(filter 1,$(QUICK)),--quick,--update-readme) --jobs $(or $(JOBS),1)

page: $(READY) ## Write the reference page to build/page, and its asset to where the sandbox finds it
	@$(PY) tools/page.py

prism: $(READY) $(NODE_READY) $(PRISM_READY) ## Serve the contract on loopback with Stoplight Prism (PORT=4010)
	@exec $(PY) tools/prism.py --port $(or $(PORT),4010)

interop: $(READY) ## Run a client in every language (LANGUAGES="go rust" for some, FORCE=1 anew, PUBLISH=1 to write the table)
	@$(PY) -m interop.run $(LANGUAGES) $(if $(filter 1,$(FORCE)),--force) $(if $(filter 1,$(PUBLISH)),--update-readme)

interop-generators: $(READY) ## Generate with every stable generator of OpenAPI Generator
	@$(PY) -m interop.generators

contract-diff: $(READY) ## Show what changed in the contract since its last release, or since BASE; needs git and Go
	@$(PY) tools/contract_diff.py $(BASE)

release-spec: $(READY) ## Write the files of a release of the contract to dist/: YAML, JSON, overlay, recordings, checksums
	@$(PY) tools/release_spec.py

system: ## Install what some tests need beside Python, with apt-get: a Redis server, shells, network namespaces
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends $(SYSTEM)

repeat: $(READY) ## Run the tests of concurrency again and again (TIMES=200)
	@$(PY) tools/repeat.py $(or $(TIMES),200)

$(FUZZ_READY): tools/fuzz/requirements.txt $(READY)
	@$(PIP) --only-binary :all: --upgrade --target $(@D) -r $<
	@touch $@

fuzz: $(READY) $(FUZZ_READY) ## Fuzz what reads foreign bytes (SECONDS=60 for each of them, TARGETS="answer har" for some)
	FUZZ_EXAMPLES=500 $(PY) -m pytest -q tests/unit/test_corpus.py tests/unit/test_properties.py
	@$(PY) -m tools.fuzz --seconds $(or $(SECONDS),60) $(TARGETS)

faults: $(READY) ## Do to the clients all that networks and servers do, again and again (TIMES=20), and write the table
	@FAULTS_TIMES=$(or $(TIMES),20) $(PY) -m pytest tests/faults $(ARGS)

mutants: $(READY) ## Break src/ in one place at a time, and show what no test notices (PATHS="src/domo_oauth/provider.py", PERCENT=10 of them)
	@nice $(PY) -m tools.mutants $(PATHS) --percent $(or $(PERCENT),100)

record: $(READY) ## Ask the real endpoint (DOMO_CLIENT_ID, DOMO_CLIENT_SECRET) and write redacted recordings: OUT=folder
	@$(BIN)/domo-oauth record --out "$(or $(OUT),recordings)"

surface: $(READY) ## Accept the contract's surface as it is now, after info.version was raised
	$(PY) tools/surface.py --write

lock: $(READY) ## Resolve the development environment anew (UPGRADE=1 to newer versions)
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(if $(filter 1,$(UPGRADE)),--upgrade) -o requirements-dev.txt

audit: $(READY) ## Ask the package index for known faults of what is locked, which CI does not do (DRY=1 only lists)
	$(BIN)/uv tool run pip-audit@2.10.1 --strict --requirement requirements-dev.txt --disable-pip $(if $(filter 1,$(DRY)),--dry-run)

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

clean: ## Remove what was installed and built
	rm -rf .venv .venv-* .cache build dist node_modules tools/prism-cli/node_modules .coverage* src/domo_oauth/sandbox/elements
