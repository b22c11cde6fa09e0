# Everything a person or CI does with this repository; `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

DEMUR := target/debug/demur
VENV := .venv
# The LiteLLM proxy, which is tested with Demur as its guardrail.
LITELLM_VENV := target/litellm/venv
# Labelled rows to measure with, one file a data set; they are no part of this repository.
DATA ?= ../shared/data/dev
# Labelled rows to train the guard model on.
TRAIN_DATA ?= ../shared/data/train
TRAIN_VENV := target/train/venv
COVERAGE_VENV := target/coverage/venv
# How many cases each property test tries under `make fuzz`.
CASES ?= 20000

say = @printf '\033[1m== %s\033[0m\n'

.PHONY: help run test build lint tools python-tools model rust-test policies sdk-test bench train goldens coverage eval fuzz docker clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: build model ## Set up whatever is missing, and serve the model inside at http://127.0.0.1:8080
	$(say) "serving: chat at http://127.0.0.1:8080/v1, metrics at http://127.0.0.1:9090/metrics; Ctrl-C stops"
	@exec $(DEMUR) serve $(ARGS)

test: lint build model rust-test policies sdk-test ## Set up whatever is missing, and run every test
	@:

build: tools ## Build the program
	$(say) "building $(DEMUR) (the first time takes some minutes)"
	@cargo build --locked

lint: tools ## Check formatting and lints
	$(say) "checking the formatting"
	@cargo fmt --check
	$(say) "checking the lints"
	@cargo clippy --locked --all-targets -- -D warnings

model: build python-tools ## Fetch the model inside, when it is missing
	$(say) "looking for the model inside"
	@$(DEMUR) models pull

rust-test: build model
	$(say) "running the Rust tests"
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --no-fail-fast; \
	else cargo test --locked --lib --bins --tests --no-fail-fast; fi

policies: build
	$(say) "checking the shipped policies, and running their cases"
	@$(DEMUR) policy lint policies/*.yaml
	@$(DEMUR) policy test policies/*.yaml

sdk-test: build model $(VENV)/.ready $(LITELLM_VENV)/.ready $(if $(shell command -v promtool),,promtool)
	$(say) "running the tests from outside (OpenAI's and Anthropic's SDKs, LiteLLM, bad input, reload, drain)"
	@PROMTOOL=$$(command -v promtool || ls target/tools/promtool 2>/dev/null || true) \
	    $(VENV)/bin/python -m pytest tests/sdk --quiet -p no:cacheprovider --durations=5 $(ARGS)

bench: build model $(TRAIN_VENV)/.ready ## Measure what Demur adds, beside a minimal proxy, and the guard's encoder beside others
	$(say) "measuring the gateway (about two minutes; leave the machine alone meanwhile)"
	@rm -f target/bench-missed; cargo bench --locked --profile dev --bench gateway -- $(ARGS) || touch target/bench-missed
	$(say) "measuring streams (about seven minutes)"
	@cargo bench --locked --profile dev --bench gateway -- --streams
	$(say) "measuring the encoder beside onnxruntime, candle and PyTorch (about three minutes)"
	@cargo build --locked --example encode
	@$(TRAIN_VENV)/bin/python benches/encoder.py
	@test ! -e target/bench-missed

train: $(TRAIN_VENV)/.ready ## Train the guard model anew from TRAIN_DATA into target/train/guard (hours on a CPU; see models/train)
	@for part in english multilingual; do \
	    printf '\033[1m== %s\033[0m\n' "training the $$part network"; \
	    $(TRAIN_VENV)/bin/python models/train/make.py $$part --data $(TRAIN_DATA) || exit 1; \
	done

goldens: $(TRAIN_VENV)/.ready ## Make the stored outputs that tests/guard_model.rs compares with, after models/guard has changed
	@$(TRAIN_VENV)/bin/python tests/goldens/encoder/make.py

coverage: $(COVERAGE_VENV)/.ready ## Make the lists of all text fields that tests/coverage.rs goes through, after a new version of a vendor's SDK
	@$(COVERAGE_VENV)/bin/python tests/coverage/make.py

eval: build ## Score a policy on the labelled rows in DATA: the quality table, and target/eval/report.html
	@files=$$(ls $(DATA)/*.jsonl $(DATA)/*.jsonl.gz 2>/dev/null || true); \
	if [ -z "$$files" ]; then echo "no rows in $(DATA); name a folder of labelled rows: make eval DATA=FOLDER"; exit 1; fi; \
	mkdir -p target/eval; \
	$(DEMUR) eval $$files --guard-timeout 60s --report target/eval/report.html --report target/eval/report.json $(ARGS)

fuzz: tools ## Run the property tests with many cases (CASES=20000)
	$(say) "running the property tests with $(CASES) cases each"
	@PROPTEST_CASES=$(CASES) cargo test --locked --lib -- prop

docker: ## Build the container images demur and demur:chat
	$(say) "building the images"
	docker build --tag demur .
	docker build --tag demur:chat --target chat .

clean: ## Remove what was built; models stay
	$(say) "removing target and $(VENV)"
	@rm -rf target $(VENV)

# What the machine must have. All that is missing is named at once.
tools:
	@missing=; \
	need() { command -v "$$1" >/dev/null 2>&1 || missing="$$missing\n  $$1: $$2"; }; \
	need git "apt-get install git"; \
	need cc "apt-get install gcc libc6-dev"; \
	need cargo "Rust, from your system or https://rustup.rs"; \
	if [ -n "$$missing" ]; then printf "missing on this machine:$$missing\n"; exit 1; fi

python-tools:
	@missing=; \
	command -v python3 >/dev/null 2>&1 || missing="$$missing\n  python3: apt-get install python3"; \
	python3 -m pip --version >/dev/null 2>&1 || missing="$$missing\n  pip: apt-get install python3-pip"; \
	python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing\n  venv: apt-get install python3-venv"; \
	if [ -n "$$missing" ]; then printf "missing on this machine:$$missing\n"; exit 1; fi

# Where Python's packages lie, and what says which.
$(VENV)/.ready: tests/sdk/requirements.txt
$(LITELLM_VENV)/.ready: tests/sdk/litellm.txt
$(TRAIN_VENV)/.ready: models/train/requirements.txt
$(COVERAGE_VENV)/.ready: tests/coverage/requirements.txt

%/.ready: | python-tools
	$(say) "bringing what $< names into $(@D) (about a minute)"
	@rm -rf $(@D)
	@python3 -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Only the one program out of Debian's package: no service is installed. Without it its tests are skipped, in CI they fail.
.PHONY: promtool
promtool: | target/tools
	@[ -x target/tools/promtool ] && exit 0; \
	printf '\033[1m== %s\033[0m\n' "fetching promtool out of Debian's package prometheus"; \
	if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
	    cd target/tools; \
	    { apt-get download -q prometheus || { apt-get update -qq && apt-get download -q prometheus; }; } >apt.log 2>&1 \
	        && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - --strip-components=3 ./usr/bin/promtool \
	        && rm -f prometheus_*.deb apt.log && exit 0; \
	    cat apt.log; \
	fi; \
	if [ -n "$${CI:-}" ]; then echo "promtool can't be had here; CI needs it"; exit 1; fi; \
	echo "promtool can't be had here; its tests are skipped"

target/tools:
	@mkdir -p $@
