#!/bin/sh
# The container's entry: serves /data/main, making it on the first start. Arguments are a sealgate command instead.
set -eu
if [ $# -gt 0 ]; then
    exec sealgate "$@"
fi
sealgate init /data/main --if-needed --root "${SEALGATE_ROOT:-softhsm}" --listen 0.0.0.0:9000 --admin 127.0.0.1:9001
exec sealgate serve /data/main
