ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PYTHON=python3
WORKDIR /app
RUN ${PYTHON} -m venv /app/.venv
COPY pyproject.toml README.md LICENSE ./
COPY emotion emotion
COPY service service
COPY training training
RUN /app/.venv/bin/pip install --no-cache-dir --no-compile .

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home emotion
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY model_store model_store
USER emotion
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EMOTION_HOST=0.0.0.0 \
    EMOTION_STORE=/app/model_store
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "service"]
