# syntax=docker/dockerfile:1
# Nothing is compiled: every pinned package comes as a wheel. The first stage only keeps pip and its
# cache out of the image that runs.
FROM python:3.11.14-slim-bookworm AS packages
# OTEL=1 adds what OTEL_ENDPOINT needs.
ARG OTEL=""
COPY requirements.txt requirements-otel.txt /
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --requirement "/requirements${OTEL:+-otel}.txt"

# What the page's modules import. No package runs a script of its own.
FROM node:24.19.0-bookworm-slim AS modules
COPY package.json package-lock.json .npmrc /
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11.14-slim-bookworm
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=project.settings
RUN groupadd --gid 10001 noc \
 && useradd --uid 10001 --gid noc --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin noc
COPY --from=packages /venv /venv
WORKDIR /app
COPY . .
COPY --from=modules /node_modules node_modules
# The settings refuse to load without these; collecting files uses none of them, and they are gone
# after this line.
RUN SECRET_KEY=for-this-line-only DATABASE_URL=postgresql://nowhere/noc \
    CELERY_BROKER_URL=redis://nowhere CHANNEL_LAYER_URL=redis://nowhere \
    python manage.py collectstatic --no-input \
        --ignore development --ignore node --ignore "*.d.ts" --ignore "*.map"
# The code belongs to root: the programs can read it and change nothing.
USER 10001:10001
