#!/bin/sh
# Makes .venv with Sealgate and its dependencies, and installs SoftHSM2 where that is permitted.
#
#   scripts/bootstrap.sh        what `make run` needs
#   scripts/bootstrap.sh dev    what `make test` needs, too: tools, NSS, PostgreSQL, clients of other makers
#
# Does nothing when all of it is there: a stamp in .venv holds the hash of pyproject.toml.
set -eu
cd "$(dirname "$0")/.."

extras=${1:-}
venv=.venv

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    say "Sealgate needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt-get install python3-venv)."
    say "If it is installed under another name: make PYTHON=/path/to/python3 ..."
    exit 1
}

hash_of() { "$1" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$2"; }

install_packages() {
    python=$(find_python)
    # A virtual environment of a Python that was removed or replaced does not run: make it anew.
    if [ ! -x $venv/bin/python ] || ! $venv/bin/python -c '' >/dev/null 2>&1; then
        say "making $venv with $python"
        rm -rf $venv
        "$python" -m venv $venv
    fi
    wanted="$(hash_of $venv/bin/python pyproject.toml) $1"
    if [ "$(cat "$venv/stamp-$1" 2>/dev/null || true)" = "$wanted" ]; then
        return
    fi
    say "installing Sealgate into $venv"
    if [ "$1" = dev ]; then
        $venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
    else
        $venv/bin/python -m pip install --quiet --disable-pip-version-check -e .
    fi
    printf '%s\n' "$wanted" >"$venv/stamp-$1"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

softhsm() { $venv/bin/python -c 'from kms.hsm.provision import find_softhsm; print(find_softhsm() or "")'; }
postgresql() { $venv/bin/python -c 'from tests.postgresql import find_postgresql; print(find_postgresql() or "")'; }
nss() { $venv/bin/python -c 'from kms.hsm.nss import find_nss; print(find_nss() or "")'; }

apt_install() {
    # A missing list of packages is the usual reason for a first failure.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1 ||
        { as_root apt-get update -qq >/dev/null 2>&1 &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1; } ||
        say "apt-get could not install $1"
}

may_apt() { command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true >/dev/null 2>&1; }; }

install_softhsm() {
    if [ -n "$(softhsm)" ]; then
        return
    fi
    if may_apt; then
        say "installing SoftHSM2 by apt-get"
        apt_install softhsm2
    elif command -v brew >/dev/null 2>&1; then
        say "installing SoftHSM2 by brew"
        brew install --quiet softhsm || say "brew could not install softhsm"
    fi
    if [ -z "$(softhsm)" ]; then
        say "SoftHSM2 is not installed, and installing it is not permitted here. Ask for the package softhsm2 (Debian,"
        say "Ubuntu, Fedora: softhsm) or name its library in SEALGATE_SOFTHSM_MODULE. Until then the root of all keys is"
        say "a sealed file: good for trying out, not for data that matters."
    fi
}

install_nss() {
    if [ -z "$(nss)" ] && may_apt; then
        say "installing NSS, the second PKCS#11 token of the tests, by apt-get"
        apt_install libnss3
    fi
    if [ -z "$(nss)" ]; then
        say "NSS (package libnss3, Fedora: nss-softokn) is not installed: tests on a second token are skipped."
    fi
}

install_postgresql() {
    if [ -z "$(postgresql)" ] && may_apt; then
        say "installing PostgreSQL, which the tests start for themselves, by apt-get"
        apt_install postgresql
    fi
    if [ -z "$(postgresql)" ]; then
        say "PostgreSQL (package postgresql, Fedora: postgresql-server) is not installed: tests of the index on it are"
        say "skipped. Its programs may also be named by SEALGATE_POSTGRESQL_BIN."
    fi
}

# By the npm of that environment, set up as the machine's own is.
install_javascript() {
    if [ -f /etc/npmrc ]; then
        export NPM_CONFIG_GLOBALCONFIG=/etc/npmrc
    fi
    PATH=../bin:$PATH ../bin/npm install --loglevel=error --fetch-retries=1 --no-package-lock --no-audit --no-fund >/dev/null
}

# The clients of other makers that the tests drive: an environment of their own, for what they depend on is not ours.
install_clients() {
    clients=$venv/clients
    wanted=$(cat tests/clients/others/requirements.txt tests/clients/others/package.json | cksum)
    if [ "$(cat $clients/stamp 2>/dev/null || true)" = "$wanted" ]; then
        return
    fi
    say "installing the clients of the tests into $clients"
    [ -x $clients/bin/python ] || $venv/bin/python -m venv $clients
    $clients/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/others/requirements.txt
    mkdir -p $clients/javascript
    cp tests/clients/others/package.json $clients/javascript
    if (cd $clients/javascript && install_javascript); then
        printf '%s\n' "$wanted" >$clients/stamp
    else
        say "npm could not install the SDK for JavaScript: its test is skipped"
    fi
}

install_packages "${extras:-run}"
install_softhsm
if [ "$extras" = dev ]; then
    install_nss
    install_postgresql
    install_clients
fi
