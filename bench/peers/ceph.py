"""Ceph's radosgw, encrypting under a key of its testing backend, before one monitor, one manager and one OSD.

Bluestore: the OSD's device is a sparse file; one copy of each object. Debian's packages radosgw, ceph-mon, ceph-osd,
ceph-mgr and ceph-common.
"""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.endpoint import Endpoint
from bench.peers.peer import ACCESS_KEY_ID, SECRET, Peer, credentials, daemon, free_port, run, wait_for_http
from tests.harness import wait_until

KMS_KEY = "testkey-1"
DEVICE_BYTES = 20 << 30

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = {monitor}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
osd objectstore = bluestore
bluestore block size = {device_bytes}
run dir = {directory}/run
admin socket = {directory}/run/$name.asok
log file = {directory}/log/$name.log
keyring = {directory}/keyring
mon data = {directory}/mon
mgr data = {directory}/mgr
osd data = {directory}/osd
rgw data = {directory}/rgw
osd class dir = {classes}

[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {kms_key}={key}
rgw crypt require ssl = false
"""

RIGHTS = {
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "mon.": ("mon", "allow *"),
    "mgr.a": ("mon", "allow profile mgr", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"),
    "client.rgw.a": ("mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"),
}


@contextmanager
def start(directory: Path) -> Iterator[Endpoint]:
    for name in ("mon", "mgr", "osd", "rgw", "run", "log"):
        (directory / name).mkdir()
    fsid, port, path = str(uuid.uuid4()), free_port(), directory / "ceph.conf"
    monitor = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
    path.write_text(
        CONFIGURATION.format(
            fsid=fsid,
            classes=next(Path("/usr/lib").glob("*/rados-classes")),  # Debian 13 has a relative path built in
            monitor=monitor,
            device_bytes=DEVICE_BYTES,
            directory=directory,
            port=port,
            kms_key=KMS_KEY,
            key=base64.b64encode(os.urandom(32)).decode(),
        )
    )
    keyring, configured = str(directory / "keyring"), ("-c", str(path))
    for number, (name, rights) in enumerate(RIGHTS.items()):
        capabilities = [part for at in range(0, len(rights), 2) for part in ("--cap", *rights[at : at + 2])]
        created = [] if number else ["--create-keyring"]
        run(["ceph-authtool", *created, keyring, "--gen-key", "-n", name, *capabilities])
    monitors = str(directory / "monmap")
    run(["monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, monitors])
    run(["ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--keyring", keyring, *configured])
    with ExitStack() as ending:

        def serve(program: str, *arguments: str) -> subprocess.Popen[bytes]:
            log_path = directory / "log" / f"{program}.out"
            return ending.enter_context(daemon([program, "-f", *arguments, *configured], log_path))

        mon = serve("ceph-mon", "-i", "a")
        mgr = serve("ceph-mgr", "-i", "a")
        osd_id = str(uuid.uuid4())
        run(["ceph", *configured, "osd", "new", osd_id])
        run(["ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd_id, *configured])
        osd = serve("ceph-osd", "-i", "0")
        wait_until(lambda: "1 up" in run(["ceph", *configured, "osd", "stat"]), "the OSD is up")
        radosgw = serve("radosgw", "-n", "client.rgw.a")
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url, radosgw, directory / "log" / "radosgw.out")
        user = ["user", "create", "--uid", "bench", "--display-name", "bench"]
        run(["radosgw-admin", *configured, *user, "--access-key", ACCESS_KEY_ID, "--secret-key", SECRET])
        processes = {"radosgw": [radosgw.pid], "osd": [osd.pid], "mon": [mon.pid], "mgr": [mgr.pid]}
        yield Endpoint("radosgw", url, credentials(), lambda: processes)


PEER = Peer(
    "radosgw",
    "SSE-KMS with a key from its configuration (no KMS is asked, nothing is audited); bluestore on a file, one copy; "
    "radosgw, OSD, monitor and manager count",
    ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-mgr"),
    start,
    {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": KMS_KEY},
)
