# Two commands do everything: `make demo` and `make test`. Each target sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
PRISM_READY := tools/prism-cli/node_modules/.ready
# Node.js comes as a Python package. No tool may phone home or look for updates.
NODE := PATH="$(CURDIR)/$(BIN):$$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true REDOCLY_SUPPRESS_NOTIFICATIONS=true NO_UPDATE_NOTIFIER=1
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
SYSTEM := chromium fonts-dejavu-core libcpprest-dev libcurl4-openssl-dev redis-server iproute2 zsh fish curl \
  ruby ruby-faraday ruby-marcel ruby-oauth2 php-cli php-curl php-mbstring php-guzzlehttp-guzzle \
  mono-mcs mono-runtime libnewtonsoft-json5.0-cil libmono-system-web4.0-cil libmono-system-net-http4.0-cil \
  libmono-system-runtime-serialization4.0-cil
SPEC := openapi/domo-oauth.yaml
# In CI a test that fails runs once more, as a busy machine may stand still for seconds; the summary lists it.
PYTEST := -m pytest -n auto $(if $(CI),--reruns 1 -rfERsxX)
CONCURRENCY := tests/core/test_sharing.py tests/core/test_deadlines.py tests/core/test_interrupts.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(READY): requirements-dev.txt pyproject.toml src/domo_oauth/_version.py
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 TARGET")'
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

demo: $(READY) ## Take the tour on the embedded sandbox (LIVE=1: against Domo, with credentials in the environment)
	@$(MAKE) --no-print-directory sdk
	@$(PY) tools/demo.py $(if $(filter 1,$(LIVE)),--live)

test: $(READY) ## Run the tests (ARGS='-k name' selects some)
	@$(PY) $(MEASURE) $(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY) ## Run all tests, with the slow ones: processes, fleets, faults, a browser, shells
	@$(PY) $(MEASURE) $(PYTEST) $(ARGS)

sdk: $(READY) ## Generate the client from the contract if anything changed (FORCE=1: always)
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

coverage: $(READY) $(NODE_READY) $(PRISM_READY) page docs ## Run all tests; require 100 % line and branch coverage of src/
	@$(PY) -m coverage erase
	@$(MAKE) --no-print-directory test-all MEASURE="-m coverage run"
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

package: $(READY) page ## Build sdist, wheel and SBOM, check them, try the wheel in an empty environment
	$(PY) -m tools.check_package

check: lint types lint-spec drift contract-diff docs coverage package ## Run all CI checks except other languages, reference servers and other Python versions (needs git and Go)

test-pythons: ## Run make test on every other installed Python from 3.12 on
	@for minor in 12 13 14 15; do \
	  found=; \
	  for python in python3.$$minor "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$$minor.*/bin/python3; do \
	    if test -z "$$found" && "$$python" -c '' 2>/dev/null; then found=$$python; fi; \
	  done; \
	  if test -z "$$found"; then echo "== Python 3.$$minor is not installed: skipped"; continue; fi; \
	  echo "== Python 3.$$minor"; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-3.$$minor || exit 1; \
	done

# In an environment of its own, so that everything else stays locked.
test-range: $(READY) ## Run the tests with the VERSIONS=lowest or newest that pyproject.toml allows (ALL=1: slow ones, too)
	@test "$(VERSIONS)" = lowest -o "$(VERSIONS)" = newest || { echo "test-range: give VERSIONS=lowest or VERSIONS=newest" >&2; exit 2; }
	@$(MAKE) --no-print-directory VENV=.venv-$(VERSIONS) .venv-$(VERSIONS)/.ready
	@$(BIN)/uv pip install --quiet --python .venv-$(VERSIONS)/bin/python --upgrade -r pyproject.toml --all-extras \
	  $(if $(filter lowest,$(VERSIONS)),--resolution lowest-direct,--group dev)
	@$(MAKE) --no-print-directory VENV=.venv-$(VERSIONS) $(if $(filter 1,$(ALL)),test-all,test)

bench: $(READY) ## Compare with other libraries and write benchmarks/results.md (QUICK=1: two rounds, no probes, print only)
	@$(PY) -m benchmarks $(if $(filter 1,$(QUICK)),--quick)

bench-proxy: $(READY) ## Compare domo-oauth proxy with nginx and write benchmarks/proxy.md (needs nginx and wrk)
	@$(PY) -m benchmarks.proxy

soak: $(READY) ## Run a year of renewals in an hour, with faults (MINUTES=60 SEED=1 PUBLISH=1); report in build/soak
	@$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(if $(filter 1,$(PUBLISH)),--publish)

fleet: $(READY) ## Simulate fleets for 30 days and write benchmarks/fleet/results.md (QUICK=1: small fleets, print only)
	@$(PY) -m benchmarks.fleet $(if $(filter 1,$(QUICK)),--quick)

page: $(READY) ## Build the interactive reference page: build/page, and into the sandbox
	@$(PY) tools/page.py

docs: $(READY) page ## Build the documentation into build/site; a warning fails
	@rm -rf build/site
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --jobs auto -c docs -d .cache/docs . build/site
	@echo build/site/index.html

docs-serve: docs ## Build the documentation and serve it on loopback (PORT=8000)
	@exec $(PY) -m http.server --bind 127.0.0.1 --directory build/site $(or $(PORT),8000)

prism: $(READY) $(NODE_READY) $(PRISM_READY) ## Serve the contract on loopback with Stoplight Prism (PORT=4010)
	@exec $(PY) tools/prism.py --port $(or $(PORT),4010)

interop: $(READY) ## Build and run a client in every language (LANGUAGES="go rust" FORCE=1 PUBLISH=1)
	@$(PY) -m interop.run $(LANGUAGES) $(if $(filter 1,$(FORCE)),--force) $(if $(filter 1,$(PUBLISH)),--update-readme)

reference-server: $(READY) ## Run the framework that Domo most likely runs, on loopback (SERVER=sso-2.0, sso-2.5 or sas-1.5 for another)
	@exec $(PY) -m interop.reference $(SERVER)

observe: $(READY) ## Ask all reference servers, and write openapi/recordings/observed-*.har
	@$(PY) -m interop.observe

oauth-libraries: $(READY) ## Run the recipes for standard OAuth libraries (LIBRARIES="go node" FORCE=1 PUBLISH=1)
	@$(PY) -m interop.oauth_libraries $(LIBRARIES) $(if $(filter 1,$(FORCE)),--force) $(if $(filter 1,$(PUBLISH)),--update-readme)

test-reference: $(READY) ## Test against all reference servers (needs a JDK, Maven, Go and Node.js)
	@# Maven and the generators may work for minutes the first time.
	@$(PY) -m pytest -o faulthandler_timeout=1800 tests/reference $(ARGS)

interop-generators: $(READY) ## Try every stable generator of OpenAPI Generator on the contract
	@$(PY) -m interop.generators

ecosystem: $(READY) ## Run domo-oauth in dlt, Airflow, celery and others (RECIPES="dlt celery"; LOCK=1: newest versions)
	@$(PY) -m interop.ecosystem.run $(RECIPES) $(if $(filter 1,$(LOCK)),--lock)

contract-diff: $(READY) ## List changes of the contract since its last version, or since BASE (needs git and Go)
	@$(PY) tools/contract_diff.py $(BASE)

release-spec: $(READY) ## Write a release of the contract to dist/: YAML, JSON, overlay, recordings, checksums
	@$(PY) tools/release_spec.py

release: $(READY) ## Check everything, build dist/ and tag it: VERSION=1.2.0 (DRY=1: all but the tag)
	@$(PY) tools/release.py "$(VERSION)"
	@$(MAKE) --no-print-directory $(or $(CHECKS),check) release-spec
	@$(PY) tools/release.py "$(VERSION)" $(if $(filter 1,$(DRY)),,--tag)

system: ## Install what some tests need, with apt-get: Redis, shells, a browser, network namespaces
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends $(SYSTEM)

# In development mode, and every second time with threads that switch as often as they can.
repeat: $(READY) ## Run the concurrency tests up to TIMES=200 times, until one fails (TESTS="tests/core/test_sharing.py")
	@for run in $$(seq $(or $(TIMES),200)); do \
	  echo "Run $$run of $(or $(TIMES),200)"; \
	  $(PY) -X dev -c 'import sys, pytest; sys.setswitchinterval(float(sys.argv.pop(1))); sys.exit(pytest.main())' \
	    $$(test $$((run % 2)) = 0 && echo 1e-6 || echo 5e-3) -q -m "not slow" -p no:cacheprovider $(or $(TESTS),$(CONCURRENCY)) || exit 1; \
	done

fuzz: $(READY) ## Try 1,000 random inputs with each property test; those that fail are kept in .cache/hypothesis
	$(PY) -m pytest -n auto -q -m hypothesis --hypothesis-profile=fuzz $(ARGS)

faults: $(READY) ## Inject every fault of network, proxy and server, TIMES=20 times (PUBLISH=1: write benchmarks/faults.md)
	@FAULTS_TIMES=$(or $(TIMES),20) $(PY) -m pytest tests/faults $(ARGS)

# Each area with the fastest tests that cover it. The faults cover what an answer means.
MUTANTS_DIR := .cache/mutants/$(or $(AREA),paths)
MUTANTS := values answer request provider stores adapters proxy
MUTATE_values := credentials scopes token errors base_url timing redact
TESTED_values := $(patsubst %,tests/core/test_%.py,values credential_sources redaction expiry deadlines) tests/adapters/test_httpx.py
MUTATE_answer := answer
TESTED_answer := tests/faults/test_token_endpoint.py tests/core/test_failures.py tests/core/test_request.py
MUTATE_request := request
TESTED_request := $(patsubst %,tests/core/test_%.py,request values deadlines) tests/faults/test_token_endpoint.py
MUTATE_provider := provider flight state
TESTED_provider := $(patsubst %,tests/core/test_%.py,expiry failures sharing deadlines credential_sources forks values) $(patsubst %,tests/stores/test_%.py,sharing open_store)
MUTATE_stores := stores/__init__ stores/file stores/redis stores/sealing
TESTED_stores := tests/stores
MUTATE_adapters := adapters/*
TESTED_adapters := tests/adapters
MUTATE_proxy := proxy
TESTED_proxy := tests/proxy
PATHS ?= $(MUTATE_$(AREA):%=src/domo_oauth/%.py)
TESTS ?= $(TESTED_$(AREA))

mutants: $(READY) ## Break AREA=proxy (or PATHS, TESTS) in one place at a time, and show what no test notices (NAMES='*[05]': a fifth)
	@test -n "$(PATHS)" -a -n "$(TESTS)" || { echo "mutants: give AREA, one of: $(MUTANTS); or PATHS and TESTS" >&2; exit 2; }
	@rm -rf $(MUTANTS_DIR) && mkdir -p $(MUTANTS_DIR)
	@cp -R src generated openapi tests README.md $(MUTANTS_DIR)
	@sed -i.bak 's/^PATIENCE = .*/PATIENCE = 10.0/' $(MUTANTS_DIR)/tests/fakes.py # a broken program is waited for
	@sed -E -e 's|^(only_mutate = ).*|\1[$(PATHS:%="%",)]|' \
	  -e 's|^(pytest_add_cli_args_test_selection = ).*|\1[$(TESTS:%="%",)]|' pyproject.toml >$(MUTANTS_DIR)/pyproject.toml
	@cd $(MUTANTS_DIR) && nice $(CURDIR)/$(BIN)/uv tool run --quiet --python $(CURDIR)/$(PY) --with-editable $(CURDIR) \
	  --with-requirements $(CURDIR)/requirements-dev.txt --from mutmut==3.8.1 sh -c \
	  'mutmut run --max-children 6 $(if $(NAMES),"$(NAMES)") && for name in $$(mutmut results | sed -n "s/: survived$$//p"); do mutmut show "$$name"; done && \
	  mutmut export-cicd-stats && cat mutants/mutmut-cicd-stats.json'

record: $(READY) ## Record the real endpoint's responses, redacted (needs DOMO_CLIENT_ID and DOMO_CLIENT_SECRET; OUT=folder)
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
