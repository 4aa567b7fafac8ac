# `make help` lists what there is. PORT and DATA_DIR say where the local system listens and lives.

PORT ?= 8000
DATA_DIR ?= .local
MODE ?= standard
PROFILE ?= release

TARGET := $(or $(CARGO_TARGET_DIR),target)
HALYARD := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/halyard
SERVE := --port $(PORT) --data-dir $(DATA_DIR) --mode $(MODE)

.PHONY: help run up down demo build check test unit lint fmt bench audit sqlx-prepare deps watch

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=$(PORT) DATA_DIR=$(DATA_DIR) MODE=$(MODE) (standard or managed) PROFILE=$(PROFILE) (release or dev)"

run: deps build ## Build, start, show a task over real data; Ctrl-C stops everything
	@$(HALYARD) serve $(SERVE) --demo

up: deps build ## Start in the background; prints the base URL when healthy
	@$(HALYARD) up $(SERVE)

down: ## Stop what `up` or `run` started
	@if [ -x $(HALYARD) ]; then $(HALYARD) down --data-dir $(DATA_DIR); else echo "nothing runs: it was never built"; fi

demo: build ## The demonstration against a system that is up
	@$(HALYARD) demo --url http://127.0.0.1:$(PORT)

build: ## Build the program
	@echo "building halyard ($(PROFILE)); the first time takes some minutes" >&2
	@cargo build $$([ -t 2 ] || echo --quiet) --locked --profile $(PROFILE) -p halyard-gateway --bin halyard

deps: ## Install PostgreSQL and Redis where they are missing
	@scripts/install-deps

check: ## The inner loop: format, lints, tests that need no server
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	@$(MAKE) --no-print-directory unit

unit: ## Tests of everything but the integration crate
	scripts/cargo-tool nextest run --workspace --exclude halyard-tests

test: ## Everything: lints, the template, every test against real servers
	@scripts/test

lint: ## Format, clippy, the template
	@scripts/lint

fmt: ## Format the code
	cargo fmt --all

audit: ## Licences, advisories, duplicate and forbidden crates (needs the network)
	scripts/cargo-tool deny --all-features check

bench: deps ## Measure; writes target/bench.json
	@scripts/bench

watch: deps ## The functions under `cargo lambda watch`, the gateway in front of them
	@scripts/watch

sqlx-prepare: deps ## Check the SQL against a real schema and write .sqlx
	@scripts/sqlx-prepare
