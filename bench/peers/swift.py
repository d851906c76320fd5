"""OpenStack Swift with s3api, tempauth and encryption: a proxy and one server each of accounts, containers and objects.

One worker and one copy each; memcached, on which the proxy relies for what it knows of accounts and containers. PyPI's
`swift` in an environment of its own (with Debian's liberasurecode and memcached), its bin/ on the PATH.
"""

from __future__ import annotations

import base64
import getpass
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.endpoint import Endpoint
from bench.peers.peer import SECRET, Peer, credentials, daemon, free_port, run, wait_for_http

KINDS = ("account", "container", "object")
ACCESS_KEY_ID = "bench:bench"

COMMON = """\
[swift-hash]
swift_hash_path_suffix = bench

[storage-policy:0]
name = one
default = yes
"""

DEFAULT = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 1
user = {user}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
fallocate_reserve = 0
log_level = WARNING

"""

PROXY = """\
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo keymaster encryption
    proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_bench_bench = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:keymaster]
use = egg:swift#keymaster
encryption_root_secret = {root_secret}
[filter:encryption]
use = egg:swift#encryption
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""

STORE = """\
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
container_update_timeout = 30
"""


@contextmanager
def start(directory: Path) -> Iterator[Endpoint]:
    (directory / "devices" / "d1").mkdir(parents=True)
    (directory / "swift.conf").write_text(COMMON)
    values: dict[str, object] = {
        "directory": directory,
        "user": getpass.getuser(),
        "memcached": free_port(),
        "secret": SECRET,
        "root_secret": base64.b64encode(os.urandom(32)).decode(),
    }
    with ExitStack() as ending:
        cached = ["memcached", "-l", "127.0.0.1", "-p", str(values["memcached"]), "-U", "0", "-u", getpass.getuser()]
        processes = {"memcached": [ending.enter_context(daemon(cached, directory / "memcached.log")).pid]}
        for kind in KINDS:
            port, builder = free_port(), str(directory / f"{kind}.builder")
            run(["swift-ring-builder", builder, "create", "6", "1", "1"])
            run(["swift-ring-builder", builder, "add", f"r1z1-127.0.0.1:{port}/d1", "1"])
            run(["swift-ring-builder", builder, "rebalance"])
            path, log_path = directory / f"{kind}-server.conf", directory / f"{kind}.log"
            path.write_text(DEFAULT.format(port=port, **values) + STORE.format(kind=kind))
            server = ending.enter_context(daemon([f"swift-{kind}-server", str(path), "-v"], log_path))
            wait_for_http(f"http://127.0.0.1:{port}/", server, log_path)
            processes[kind] = [server.pid]
        port, path, log_path = free_port(), directory / "proxy-server.conf", directory / "proxy.log"
        path.write_text(DEFAULT.format(port=port, **values) + PROXY.format(**values))
        proxy = ending.enter_context(daemon(["swift-proxy-server", str(path), "-v"], log_path))
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url, proxy, log_path)
        processes = {"proxy": [proxy.pid], **processes}
        yield Endpoint("Swift", url, credentials(ACCESS_KEY_ID), lambda: processes)


PEER = Peer(
    "Swift",
    "s3api, tempauth, encryption with a root secret from its configuration (no KMS, nothing audited); one copy; "
    "proxy, object, container and account server and memcached count",
    ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached"),
    start,
)
