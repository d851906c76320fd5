#!/bin/sh
# A gateway of compose.yaml: the first makes the installation, the others (JOIN=yes) take root and settings from it.
#
#   DATA      its data directory                                    (/data/main)
#   SHARED    where the first leaves what the others need           (/shared)
#   SECRETS   files: database, backing-key, backing-secret          (/run/secrets)
#   INDEX     the database, for index, identities and keys
set -eu
umask 077
DATA=${DATA:-/data/main}
SHARED=${SHARED:-/shared}
SECRETS=${SECRETS:-/run/secrets}

# Secrets are mounted readable for others; what they are good for is refused then.
password=$(dirname "$DATA")/database-password
cat "$SECRETS/database" > "$password"
AWS_ACCESS_KEY_ID=$(cat "$SECRETS/backing-key")
AWS_SECRET_ACCESS_KEY=$(cat "$SECRETS/backing-secret")
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

if [ "${JOIN:-no}" = yes ]; then
    if [ ! -e "$DATA/sealgate.toml" ]; then
        while [ ! -e "$SHARED/complete" ]; do sleep 1; done
        mkdir -p "$DATA/kms"
        cp "$SHARED/pin" "$DATA/pin"
        cp "$SHARED/root" "$DATA/kms/root"
        cp "$SHARED/sealgate.toml" "$DATA/sealgate.toml"
    fi
else
    sealgate init "$DATA" --if-needed --root file --listen 0.0.0.0:9000 --admin 0.0.0.0:9001 \
        --index "$INDEX" --kms-store "$INDEX" --index-password-file "$password"
    cp "$DATA/sealgate.toml" "$DATA/pin" "$SHARED/"
    cp "$DATA/kms/root" "$SHARED/root"
    touch "$SHARED/complete"
fi
exec sealgate serve "$DATA"
