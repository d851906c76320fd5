#!/bin/sh
# Serves a data directory in the foreground, making it first if there is none. Called by `make run`.
#
#   LISTEN   address of the endpoint          (127.0.0.1:9000; the admin listener takes the next port)
#   DATA     data directory                   (.sealgate)
#   ROOT     auto, softhsm or file            (auto: SoftHSM2 where it is installed)
#   WORKERS  worker processes, 0: all cores   (0)
#
# A data directory that exists keeps its data, its keys and its settings; LISTEN and WORKERS win over the settings.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
sealgate="$here/.venv/bin/sealgate"

data=${DATA:-$here/.sealgate}

"$sealgate" init "$data" --if-needed --root "${ROOT:-auto}" --listen "${LISTEN:-127.0.0.1:9000}" --workers "${WORKERS:-0}"

if [ -n "${LISTEN:-}" ]; then
    SEALGATE_LISTEN_ADDRESS=$LISTEN
    SEALGATE_ADMIN_ADDRESS=$("$here/.venv/bin/python" -c 'import sys; from gateway.config_reader import next_port; print(next_port(sys.argv[1]))' "$LISTEN")
    export SEALGATE_LISTEN_ADDRESS SEALGATE_ADMIN_ADDRESS
fi
if [ -n "${WORKERS:-}" ]; then
    export SEALGATE_LISTEN_WORKERS="$WORKERS"
fi
exec "$sealgate" serve "$data" --dev-env
