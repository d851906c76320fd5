# Sealgate with SoftHSM2 as its root. Data, token and keys live in the volume /data.
#
#   docker build -t sealgate .
#   docker run -p 127.0.0.1:9000:9000 -v sealgate:/data sealgate
#   docker exec <container> cat /data/main/dev.env
#
# For an HSM, mount its PKCS#11 library and a data directory that `sealgate init --root pkcs11` made.
FROM python:3.13-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends softhsm2 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY database database
COPY gateway gateway
COPY iam iam
COPY kms kms
RUN pip install --no-cache-dir . && rm -rf /src

RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin sealgate \
 && install -d -o sealgate -g sealgate -m 0700 /data
COPY scripts/container.sh /usr/local/bin/sealgate-container

WORKDIR /data
USER sealgate
VOLUME /data
EXPOSE 9000
# Signals go to the supervisor itself, which drains requests in flight; it reaps its own children.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9001/healthz/ready', timeout=5)"]
ENTRYPOINT ["sealgate-container"]
