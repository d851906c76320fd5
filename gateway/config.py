"""Every setting of Sealgate, as frozen dataclasses: name, type, default, unit and limits in one place.

`load` reads a TOML file and the environment strictly: an unknown, ill-typed or out-of-range setting is refused with
its name and line. `conf/sealgate.example.toml` is `example()`, which a test compares. Secrets are never settings: the
file names files (`pin_file`) that hold them.
"""

# ruff: noqa: RUF009  (`setting` returns a dataclass field, as `dataclasses.field` does)

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path

from database.location import check_url
from gateway.config_reader import ConfigError, Reader, format_example, setting, toml_value
from gateway.storage.blobs.naming import directory_of, is_in_files, locations_of
from gateway.storage.blobs.s3.location import check_endpoint, parse_location
from kms.api.quotas import parse_quotas
from kms.store.opening import KeyDatabase

__all__ = [
    "CONFIG_NAME",
    "AccessSettings",
    "AccountSettings",
    "AdminSettings",
    "AuditSettings",
    "BackingSettings",
    "ConfigError",
    "DatabaseSettings",
    "IssuerSettings",
    "KMSSettings",
    "LimitSettings",
    "ListenSettings",
    "LogSettings",
    "MirrorSettings",
    "ScrubSettings",
    "Settings",
    "StorageSettings",
    "UserSettings",
    "WebIdentitySettings",
    "example",
    "format_settings",
    "load",
    "parse",
]

CONFIG_NAME = "sealgate.toml"
"""The configuration file's name in a data directory."""

_ADDRESSING = ("auto", "path", "virtual")
_RATE = {"minimum": 0, "maximum": 1_000_000}


def _check_networks(networks: tuple[str, ...]) -> None:
    for each in networks:
        ip_network(each)  # whose ValueError names the text, and what is wrong with it


def _check_blobs(text: str) -> None:
    for location in locations_of(text):
        if not is_in_files(location):
            parse_location(location, endpoint="", region="us-east-1", addressing="auto")
        directory_of(location)


def _check_index(text: str) -> None:
    if text != "sqlite":
        check_url(text)


def _check_backing_endpoint(text: str) -> None:
    if text:
        check_endpoint(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """The S3, KMS, STS and IAM endpoint."""

    address: str = setting("127.0.0.1:9000", "host:port to listen on; port 0 takes a free one", address=True)
    domains: tuple[str, ...] = setting(
        (), 'domains under which buckets are addressed as "bucket.domain", without port; none: path style only'
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "addresses of proxies (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed; none: neither header is",
        check=_check_networks,
    )
    workers: int = setting(0, "worker processes; 0: one for each core", minimum=0, maximum=256)
    max_connections: int = setting(1024, "open connections of each worker", minimum=1, maximum=100_000)
    connections_per_address: int = setting(
        0,
        "of these, from an IPv4 address or an IPv6 /64 that is no trusted proxy; 0: any number",
        minimum=0,
        maximum=100_000,
    )
    header_bytes: int = setting(
        16_384, "request line and headers together, bytes (AWS: 8 KB of headers)", minimum=4096, maximum=65_536
    )
    header_count: int = setting(128, "headers of one request", minimum=32, maximum=1024)
    header_seconds: float = setting(20.0, "time to receive the headers of a request", minimum=1, maximum=600)
    body_read_seconds: float = setting(
        20.0, "longest pause while a request body arrives (AWS answers RequestTimeout)", minimum=1, maximum=600
    )
    body_minimum_rate: int = setting(
        1024, "slowest mean rate of a body in either direction, bytes/s after a minute; 0: any", minimum=0
    )
    write_seconds: float = setting(
        30.0, "longest pause while a client takes nothing of a response", minimum=1, maximum=600
    )
    idle_seconds: float = setting(75.0, "a kept-alive connection without request is closed", minimum=1, maximum=3600)
    drain_seconds: float = setting(30.0, "requests in flight may finish after SIGTERM", minimum=0, maximum=3600)
    unready_seconds: float = setting(
        0.0,
        "after SIGTERM, requests are still taken for so long, while readiness says no: time for a balancer to notice",
        minimum=0,
        maximum=600,
    )
    retire_seconds: float = setting(
        600.0,
        "after `sealgate reload`, requests in flight may finish in the workers of before",
        minimum=0,
        maximum=86_400,
    )
    signature_version_2: bool = setting(
        False, "take Signature Version 2 of S3 as well, for clients that know nothing newer: it does not cover bodies"
    )
    tls_certificate: Path | None = setting(
        None, "PEM file of the certificate chain; none: plain HTTP", relative_to_data=True
    )
    tls_key: Path | None = setting(
        None, "PEM file of the private key; none: in the certificate's file", relative_to_data=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """Health and metrics, on a listener of their own: it has no authentication, so keep it private."""

    address: str = setting(
        "127.0.0.1:9001", "host:port of /healthz and /metrics; port 0 takes a free one", address=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KMSSettings:
    """The embedded KMS, its keys and its root."""

    store: str = setting(
        "sqlite",
        'where keys, wrapped by the root, and their grants and policies are: "sqlite", in the data directory, or '
        '"postgresql://USER@HOST:PORT/DATABASE?sslmode=…" (see [database]), for all gateways of one root',
        check=_check_index,
    )

    root: str = setting(
        "pkcs11", "where the root keys are: a PKCS#11 token, or a sealed file", choices=("pkcs11", "file")
    )
    uri: str = setting("", "PKCS#11 URI (RFC 7512) of the token, with module-path; never with a PIN")
    pin_file: Path = setting(
        Path("pin"),
        "file with the PIN of the token, or the passphrase of the file root; mode 0600",
        relative_to_data=True,
    )
    softhsm_conf: Path | None = setting(
        None, "SoftHSM2's configuration file, exported as SOFTHSM2_CONF to kmsd", relative_to_data=True
    )
    driver_file: Path | None = setting(
        None, "driver profile of the token, as `sealgate hsm probe` writes it (docs/hsm.md)", relative_to_data=True
    )
    root_file: Path = setting(Path("kms/root"), 'the sealed root, when root is "file"', relative_to_data=True)
    protection: str = setting(
        "software",
        "where a new KMS key may be in the clear unless it chooses itself: in kmsd for a lease, or in the HSM alone",
        choices=("software", "hsm"),
    )
    on_key_disabled: str = setting(
        "finish",
        "what becomes of downloads, uploads and copies under way when their KMS key is disabled or scheduled for "
        "deletion: they end, as on AWS, or are broken off within a second",
        choices=("finish", "abort"),
    )
    other_regions: tuple[str, ...] = setting(
        (), "further regions whose KMS this endpoint answers for: multi-Region keys are replicated between them"
    )
    lease_seconds: float = setting(
        300.0, "an unwrapped KMS key is used without asking the root again", minimum=1, maximum=86_400
    )
    bucket_key_seconds: float = setting(
        300.0, "a bucket key (SSE-KMS) is used without asking the KMS again", minimum=1, maximum=3600
    )
    bucket_key_life_seconds: float = setting(
        86_400.0, "a bucket key is written with, then a new one is made", minimum=60, maximum=31_536_000
    )
    bucket_key_wraps: int = setting(
        1_048_576,
        "objects that a worker writes with one bucket key, before it makes a new one",
        minimum=1,
        maximum=4_294_967_296,
    )
    socket: Path = setting(
        Path("run/kms.sock"), "Unix socket of kmsd (at most 107 bytes, absolute)", relative_to_data=True
    )
    hang_seconds: float = setting(
        60.0,
        "once calls of the HSM hang for so long, and no key is on lease, kmsd is started anew",
        minimum=1,
        maximum=86_400,
    )
    call_seconds: float = setting(
        5.0, "deadline of one call to kmsd; its root may take four fifths of it", minimum=0.1, maximum=60
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The audit trail of the KMS: a chained line for each call, written by kmsd."""

    directory: Path = setting(
        Path("audit"), "where the trail's files are; better on a disk of its own", relative_to_data=True
    )
    sync: str = setting(
        "background",
        "when lines reach the disk; background: those of changes before the answer, the others right after; "
        "before_answer: all before the answer",
        choices=("background", "before_answer"),
    )
    fail_closed: bool = setting(True, "while lines cannot be written no key is used; false: the loss is noted later")
    rotate_bytes: int = setting(
        67_108_864, "size at which a new file is begun, bytes", minimum=65_536, maximum=1_099_511_627_776
    )
    rotate_seconds: float = setting(86_400.0, "age at which a new file is begun", minimum=60, maximum=31_536_000)
    checkpoint_seconds: float = setting(
        1.0, "pause between two checkpoints signed by the root, while there are new lines", minimum=0.1, maximum=3600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Access to buckets from other accounts and by everyone, and what they take."""

    new_buckets_block_public: bool = setting(
        True, "a new bucket has a public access block with all four settings on, as AWS's have"
    )
    new_buckets_ownership: str = setting(
        "BucketOwnerEnforced",
        "who owns what is written into a new bucket, unless CreateBucket says; the others enable ACLs",
        choices=("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"),
    )
    new_buckets_block_sse_c: bool = setting(
        True,
        "a new bucket takes no objects under customers' keys, as AWS's do since 2026; PutBucketEncryption switches it",
    )
    block_public: bool = setting(
        False, "all four settings of the public access block are on for every bucket, whatever its own say"
    )
    root_access_keys_file: Path | None = setting(
        None,
        "file with access keys of the first account's root user, a line `ACCESS-KEY-ID SECRET` for each; mode 0600",
        relative_to_data=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Brakes: how fast clients may be, counted over all workers; docs/operations.md, "Brakes"."""

    s3_principal_rate: int = setting(
        0, "requests/s to S3 of a principal: a root user, a user, a role with all its sessions; 0: any", **_RATE
    )
    s3_principal_burst: int = setting(0, "how many of these at once, after a pause; 0: those of a second", **_RATE)
    s3_address_rate: int = setting(0, "requests/s to S3 from an IPv4 address or an IPv6 /64; 0: any", **_RATE)
    s3_address_burst: int = setting(0, "how many of these at once, after a pause; 0: those of a second", **_RATE)
    api_principal_rate: int = setting(0, "requests/s to the KMS, IAM and STS of a principal; 0: any", **_RATE)
    api_principal_burst: int = setting(0, "how many of these at once, after a pause; 0: those of a second", **_RATE)
    api_address_rate: int = setting(0, "requests/s to the KMS, IAM and STS from an address; 0: any", **_RATE)
    api_address_burst: int = setting(0, "how many of these at once, after a pause; 0: those of a second", **_RATE)
    kms_quotas: tuple[str, ...] = setting(
        (),
        'request quotas of each account on the KMS, "NAME=requests/s"; "aws" are all of AWS\'s own, and 0 is none: '
        "docs/operations.md",
        check=parse_quotas,
    )
    failures: int = setting(
        100,
        "wrong signatures and unknown access keys from an address, or for an access key, that are answered at once "
        "in failure_seconds; further answers are held back; 0: none is",
        **_RATE,
    )
    failure_seconds: float = setting(60.0, "the time in which failures are counted", minimum=1, maximum=86_400)
    failure_delay_seconds: float = setting(2.0, "how long such an answer is held back", minimum=0.1, maximum=30)
    failure_waiting: int = setting(
        128, "answers held back at once by each worker; beyond, SlowDown", minimum=1, maximum=100_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Index, identities and blobs, in the data directory or where these say."""

    index: str = setting(
        "sqlite",
        'where the index is: "sqlite", in the data directory, or "postgresql://USER@HOST:PORT/DATABASE?sslmode=…" '
        "(see [database])",
        check=_check_index,
    )
    identities: str = setting(
        "sqlite",
        "where accounts, users, roles and policies are: in the data directory, or in the database that storage.index "
        "names, for all its gateways",
        choices=("sqlite", "postgresql"),
    )
    blobs: str = setting(
        "file",
        'where ciphertext lies: "file", in the data directory, "file:/DIRECTORY", or "s3://BUCKET/PREFIX" (see '
        '[backing]); "mirror(A, B)": in two of these at once (an S3 that is B: see [mirror])',
        check=_check_blobs,
    )
    fsync: bool = setting(True, "an acknowledged write survives power loss; false only for tests and benchmarks")
    io_uring: bool = setting(
        True, "write blobs into files by threads of the kernel, where it allows that; false: by threads of the gateway"
    )
    buckets_per_account: int = setting(10_000, "how many buckets an account may have", minimum=1, maximum=1_000_000)
    inline_bytes: int = setting(
        16_384,
        "largest body kept inside the index, bytes; 0: none, so that the index can be rebuilt whole",
        minimum=0,
        maximum=1_048_576,
    )
    copy: str = setting(
        "share",
        "whether copies inside an account share their source's ciphertext, or are sealed anew under data keys of their "
        "own; `sealgate bucket update --copy` sets it for one bucket",
        choices=("share", "reencrypt"),
    )
    sweep_seconds: float = setting(300.0, "pause between two sweeps of garbage", minimum=1, maximum=86_400)
    condemned_grace_seconds: float = setting(
        900.0, "bytes of deleted objects stay this long, for readers that are under way", minimum=0, maximum=604_800
    )
    orphan_grace_seconds: float = setting(
        86_400.0,
        "bytes without an index row stay this long, for uploads that are under way",
        minimum=60,
        maximum=2_592_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubSettings:
    """Looking for stored bytes that are not what was written, while serving; `sealgate scrub` does so at once."""

    schedule: str = setting(
        "files",
        "whether all blobs are checked by their checksums every so often: where they are files (a backing S3 may "
        "charge for what is read, and checks its disks itself), always or never",
        choices=("files", "always", "never"),
    )
    every_days: float = setting(30.0, "from the end of such a pass to the next one", minimum=0.001, maximum=3650)
    deep_every_days: float = setting(
        0.0, "the same for passes that authenticate every object, with the keys of the KMS; 0: none", maximum=3650
    )
    bytes_per_second: int = setting(8 << 20, "read at most so fast; 0: no limit", minimum=0, maximum=1 << 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleSettings:
    """Letting objects, versions and uploads expire by the lifecycle rules of buckets."""

    every_seconds: float = setting(
        3600.0, "from the begin of one pass over all buckets to that of the next", minimum=0.1, maximum=7 * 86_400
    )
    removals_per_second: float = setting(500.0, "remove at most so many; 0: no limit", maximum=1_000_000)
    day_seconds: float = setting(
        86_400.0,
        "how long a day of a rule lasts: for tests alone, as nothing else than a day is one",
        minimum=0.1,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The database that holds the index, and what else is there, where storage.index names one."""

    password_file: Path | None = setting(
        None, "file with the password, mode 0600; none: the server asks for none", relative_to_data=True
    )
    schema: str = setting(
        "sealgate", "the schema of ours in it, made if there is none", pattern=r"[a-z_][a-z0-9_]{0,62}"
    )
    connections: int = setting(8, "open to it at once, for each worker", minimum=1, maximum=1000)
    connect_seconds: float = setting(5.0, "deadline of a connection", minimum=0.1, maximum=60)
    operation_seconds: float = setting(
        20.0, "deadline of what a request asks of it at once, further attempts included", minimum=0.1, maximum=600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingSettings:
    """The S3 that holds ciphertext where storage.blobs names a bucket; credentials come as for any AWS program."""

    endpoint: str = setting(
        "", 'its address, "https://HOST:PORT"; empty: that of AWS in the region', check=_check_backing_endpoint
    )
    region: str = setting("us-east-1", "the region that requests to it are signed for", pattern=r"[a-z0-9-]{1,32}")
    addressing: str = setting(
        "auto", "whether the bucket stands in the path or before the host; auto: before AWS's", choices=_ADDRESSING
    )
    connections: int = setting(64, "open to it at once, for each worker", minimum=1, maximum=10_000)
    connect_seconds: float = setting(5.0, "deadline of a connection", minimum=0.1, maximum=60)
    idle_seconds: float = setting(20.0, "between two pieces of an answer", minimum=0.1, maximum=300)
    attempt_seconds: float = setting(
        120.0, "of a request that writes 8 MiB at most; one that fails is repeated four times", minimum=1, maximum=3600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings(BackingSettings):
    """The S3 that is the second location of storage.blobs = "mirror(A, B)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Logs; every line goes to standard error unless a file is named."""

    level: str = setting("info", "least severe level that is logged", choices=("debug", "info", "warning", "error"))
    access_log: str = setting("-", 'access log: a file, "-" for standard error, "" for none')


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """A user of the account above that is there at each start, with keys and one inline policy; any number of them."""

    name: str = setting("", "what it is called", required=True)
    path: str = setting("/", "the path in its ARN; counts when it is made")
    access_keys_file: Path | None = setting(None, "as that of an account", relative_to_data=True)
    policy_file: Path | None = setting(
        None, "JSON file of an inline policy, which is called `configured`; none: it has none", relative_to_data=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """An account that is there at each start (docs/operations.md); any number of them."""

    id: str = setting("", "its 12 digits", required=True)
    canonical_id: str = setting("", "its canonical user id, 64 hex digits; random ones if it is made without")
    name: str = setting("", "what it is called; left as it is if not set, and required to make it")
    email: str = setting("", "its e-mail address; left as it is if not set")
    access_keys_file: Path | None = setting(
        None,
        "file with access keys of the root user, a line `ACCESS-KEY-ID SECRET` for each; mode 0600",
        relative_to_data=True,
    )
    user: tuple[UserSettings, ...] = setting((), "users")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebIdentitySettings:
    """How the keys of OpenID Connect providers are fetched (AssumeRoleWithWebIdentity)."""

    fetch_seconds: float = setting(5.0, "deadline of each of the two documents of a provider", minimum=0.1, maximum=60)
    keep_seconds: float = setting(
        900.0, "fetched keys are used without asking the provider again", minimum=1, maximum=86_400
    )
    loopback: bool = setting(
        False,
        "ask issuers at localhost, 127.0.0.1 and [::1] too, also by http: who makes providers reaches those ports then",
    )
    ca_file: Path | None = setting(
        None, "PEM file of certificate authorities that are trusted besides the system's", relative_to_data=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """An OpenID Connect provider whose keys lie in a file, and are never fetched; any number of them."""

    url: str = setting("", "the issuer, as its tokens name it", required=True)
    keys_file: Path = setting(Path("jwks.json"), "its JSON Web Key Set, read at the start", relative_to_data=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Paths are absolute: relative ones in the file are relative to the data directory."""

    data_directory: Path = setting(Path(), "everything that is kept lives here; relative to the directory of this file")
    region: str = setting("us-east-1", "the AWS region this endpoint answers for", pattern=r"[a-z0-9-]{1,32}")
    listen: ListenSettings = field(default_factory=ListenSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    kms: KMSSettings = field(default_factory=KMSSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    backing: BackingSettings = field(default_factory=BackingSettings)
    mirror: MirrorSettings = field(default_factory=MirrorSettings)
    scrub: ScrubSettings = field(default_factory=ScrubSettings)
    lifecycle: LifecycleSettings = field(default_factory=LifecycleSettings)
    log: LogSettings = field(default_factory=LogSettings)
    account: tuple[AccountSettings, ...] = setting((), "accounts")
    webidentity: WebIdentitySettings = field(default_factory=WebIdentitySettings)
    issuer: tuple[IssuerSettings, ...] = setting((), "issuers")

    @property
    def worker_count(self) -> int:
        """Worker processes to run: as set, else one for each core this process may use."""
        return self.listen.workers or available_cores()

    @property
    def index_path(self) -> Path:
        return self.data_directory / "index" / "index.sqlite"

    @property
    def blobs_directory(self) -> Path:
        """Root of the blob store (which lays out `blobs/` and `tmp/` below it)."""
        return self.data_directory / "store"

    @property
    def notes_path(self) -> Path:
        """What a rebuild of the index needs beside the blobs (`gateway.index_notes`)."""
        return self.data_directory / "store" / "index-notes"

    @property
    def identities_path(self) -> Path:
        return self.data_directory / "iam" / "identities.sqlite"

    @property
    def identities_copy_path(self) -> Path:
        """What this node knows of identities that are on PostgreSQL."""
        return self.data_directory / "iam" / "copy.sqlite"

    @property
    def keys_path(self) -> Path:
        """The key store; where keys are on PostgreSQL, what this node knows of them."""
        return self.data_directory / "kms" / ("keys.sqlite" if self.kms.store == "sqlite" else "copy.sqlite")

    @property
    def key_database(self) -> KeyDatabase | None:
        """None where keys are in a file of this node's."""
        if self.kms.store == "sqlite":
            return None
        return KeyDatabase(
            url=self.kms.store,
            schema=self.database.schema,
            password_file=self.database.password_file,
            connect_seconds=self.database.connect_seconds,
            operation_seconds=self.database.operation_seconds,
        )

    @property
    def epoch_path(self) -> Path:
        """The shared epoch of key states, mapped by kmsd and by every worker."""
        return self.data_directory / "kms" / "epoch"

    @property
    def run_directory(self) -> Path:
        """What belongs to the running processes only: socket, metrics, lock."""
        return self.data_directory / "run"

    @property
    def metrics_directory(self) -> Path:
        return self.run_directory / "metrics"


def available_cores() -> int:
    """Cores this process may use (an affinity mask or a container's cpuset counts where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of the file at `path`, overridden by `SEALGATE_<SECTION>_<NAME>` of `environment` (default os.environ).

    Raises ConfigError: unreadable file, malformed TOML, unknown, ill-typed or out-of-range setting.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse(text, path, os.environ if environment is None else environment)


def parse(text: str, path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of a TOML text; `path` is where it stands, for messages and as the anchor of relative paths."""
    settings = Reader(text, path, environment or {}).read(Settings)
    _check_together(settings, path)
    return settings


def _check_together(settings: Settings, path: Path) -> None:
    """Rules that join several settings."""
    if any(directory_of(each) == settings.blobs_directory for each in locations_of(settings.storage.blobs)):
        raise ConfigError(f'{path}: storage.blobs: that directory is "file"')
    if settings.listen.tls_key is not None and settings.listen.tls_certificate is None:
        raise ConfigError(f"{path}: listen.tls_key is set without listen.tls_certificate")
    if settings.storage.identities == "postgresql" and settings.storage.index == "sqlite":
        raise ConfigError(f"{path}: storage.identities is postgresql, but storage.index names no database")
    if settings.kms.root == "pkcs11" and "pin-value" in settings.kms.uri:
        raise ConfigError(f"{path}: kms.uri must not hold a PIN (pin-value); put it into the file kms.pin_file")


def example() -> str:
    """The text of conf/sealgate.example.toml: every setting, its default, its meaning."""
    return format_example(Settings)


def format_settings(values: Mapping[str, Mapping[str, object]]) -> str:
    """TOML with just these settings ({"": {...top level...}, "kms": {...}}), as `sealgate init` writes it.

    Every name must be a setting; None values are left out.
    """
    lines: list[str] = []
    for section, entries in values.items():
        if section:
            lines += ["", f"[{section}]"]
        known = _names(section)
        for name, value in entries.items():
            if name not in known:
                raise ValueError(f"no such setting: {section}.{name}")
            if value is not None:
                lines.append(f"{name} = {toml_value(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _names(section: str) -> set[str]:
    owner = getattr(Settings(), section) if section else Settings()
    return {each.name for each in fields(owner)}
