# The commands of this project. `make help` lists them. Works with GNU make 3.81 and later.

CARGO ?= cargo
# Arguments for the supervisor that `make serve` runs, such as ARGS='--set gateway.listen=127.0.0.1:9000', and for
# `make chaos`.
ARGS ?=

# The engines' build scripts need the tools that tools/setup fetched.
with_tools = tools/setup && . .tools/env &&
programs = -p impetus-supervisor -p impetus-gateway -p impetus-worker-gguf -p impetus-worker-candle \
	-p impetus-worker-onnx -p impetus-fetcher

# Programs and tests in one selection: with another one, features of shared crates differ and engines compile anew.
all = --release --locked --workspace --bins --tests

.PHONY: help build dashboard serve test lint dist deb deny bench bench-peer chaos clients clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## everything, optimised, into dist/, which can be moved anywhere
	@tools/page
	@echo "building (the first time takes minutes: the engine is compiled for this machine)"
	@$(with_tools) $(CARGO) build --release --locked $(programs)
	@tools/stage

dashboard: ## the page that the gateway serves, into dashboard/dist, from the beginning; needs Node.js 20.19 or newer
	@command -v npm >/dev/null || { echo "Node.js is missing: the gateway then serves the API alone" >&2; exit 1; }
	@cd dashboard && npm ci --no-audit --no-fund && npm run build

serve: build ## build, then run the server with the bundled model; ARGS are passed on
	@exec tools/serve $(ARGS)

# IMPETUS_SKIP_CLIENTS=1 goes without what needs Python packages from the network: clients, exporters, a real model.
test: ## everything that CI runs except lint, with cargo-nextest when it is installed
	@[ "$$IMPETUS_SKIP_CLIENTS" = 1 ] || { tools/setup clients && tools/setup export \
	&& PYTHONPATH=.tools/export $${PYTHON:-python3} bundled/tiny/export.py --check; }
	@$(with_tools) $(CARGO) build $(all)
	@$(with_tools) if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run $(all) --lib; \
	else $(CARGO) test $(all) --lib; fi

lint: ## formatting and clippy, warnings being errors
	@$(CARGO) fmt --all --check
	@$(with_tools) $(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

dist: build ## what was built as an archive in target/dist/, with units, completions, manual pages and a list of its parts
	@tools/dist

deb: build ## the same as a package for Debian; needs cargo-deb
	@tools/deb

deny: ## licences, advisories and sources of all dependencies; needs cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install cargo-deny" >&2; exit 1; }
	@$(CARGO) deny --locked check

# ARGS: names of parts run these alone; see docs/benchmarks.md.
bench: ## decode and prefill speed, of the engines alone and through the gateway
	@tools/setup export
	@$(with_tools) $(CARGO) build $(all) --examples
	@target=$${CARGO_TARGET_DIR:-target}; $(with_tools) "$$target/release/bench" $(ARGS)

# ARGS: see docs/benchmarks.md; names of parts and models run these alone.
bench-peer: ## this server and llama.cpp's own, from PyPI, in turns
	@tools/setup peer
	@$(with_tools) $(CARGO) build $(all)
	@target=$${CARGO_TARGET_DIR:-target}; $(with_tools) "$$target/release/bench" peer $(ARGS)

# ARGS: --seed N repeats a run, --short is what `make test` does, names of scenarios run these alone.
chaos: ## processes killed, stopped, starved and misled under load, and what that cost anybody: nothing
	@$(with_tools) $(CARGO) build $(all)
	@target=$${CARGO_TARGET_DIR:-target}; $(with_tools) "$$target/release/chaos" $(ARGS)

# ARGS: names of clients run these alone, --write puts the table into docs/clients.md. Installs gigabytes into .tools/apps.
clients: ## real clients and coding agents, installed from their registries, against the bundled model
	@$(with_tools) $(CARGO) build $(all)
	@target=$${CARGO_TARGET_DIR:-target}; $(with_tools) tests/clients/run.py --programs "$$target/release" $(ARGS)

clean: ## remove what was built; the tools in .tools/ stay
	@$(CARGO) clean
	@rm -rf dist
