# The house in a container: by itself embedded, in compose.yaml every process of a production house.

FROM python:3.11.14-slim-bookworm AS build
RUN python -m venv /venv
COPY requirements.txt /
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --use-pep517 -r /requirements.txt

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 999 smarthome \
    && useradd --uid 999 --gid 999 --no-create-home --home-dir /data smarthome \
    && install -d -m 0700 -o smarthome -g smarthome /data /data/pki
COPY --from=build /venv /venv
COPY . /app
RUN /venv/bin/python -m compileall -q /app
ENV PATH=/venv/bin:$PATH DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 999:999
VOLUME /data
EXPOSE 8000 8443
CMD ["sh", "-c", "python manage.py bootstrap && exec python manage.py serve --http 0.0.0.0:8000"]
