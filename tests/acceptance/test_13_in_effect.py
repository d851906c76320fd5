"""What takes a right away is in effect, in every worker, before it is answered: no use that begins later succeeds.

Clients with connections to all workers use a key through S3 and the KMS without pause, while it is taken from them and
given back. Requests that began after the answer are counted. A harmless change made just before shows that the count
would see a use.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms.hsm.provision import find_softhsm
from tests.acceptance.load import Load, Round, load
from tests.acceptance.observe import requests_by_worker
from tests.acceptance.raw import PRESIGNING, Answer, KeptConnection, Prepared, kms_request, presign, presign_by, target
from tests.clients.test_kms_import import FOREVER, prepared
from tests.clients.users import TestUser, allow, deny, make_user
from tests.harness import Gateway, running_gateway, wait_until

WORKERS = 3
CONNECTIONS_OF_A_WORKER = 2
CHANGES = 3
CHANGES_BY_COMMAND = 2
"""A command takes a second, or several under this load."""
BODY = b"what the key protects"
SHARED = "-by-bucket-key"
USES = ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("effect"), workers=WORKERS) as made:
        made.client("s3").create_bucket(Bucket="probe")
        made.client("s3").put_object(Bucket="probe", Key="k", Body=b"x")
        yield made


@pytest.fixture(scope="module")
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture(scope="module")
def connections(gateway: Gateway) -> Iterator[list[KeptConnection]]:
    """The same number to each worker: the kernel chooses, and the workers' own counters tell whom it chose."""
    probe = Prepared("probe", "GET", target(presign(gateway, "get_object", Bucket="probe", Key="k")))
    of_worker: dict[int, list[KeptConnection]] = {pid: [] for pid in gateway.children("gateway.worker")}
    assert len(of_worker) == WORKERS
    while any(len(each) < CONNECTIONS_OF_A_WORKER for each in of_worker.values()):
        before = Counter(requests_by_worker(gateway, "GetObject", "2xx"))
        connection = KeptConnection(gateway.endpoint_url)
        assert connection.ask(probe).status == 200

        def counted(before: Counter[int] = before) -> Counter[int]:
            return Counter(requests_by_worker(gateway, "GetObject", "2xx")) - before

        [pid] = wait_until(counted, "the request was counted")
        of_worker[pid].append(connection)
    made = [connection for each in of_worker.values() for connection in each[:CONNECTIONS_OF_A_WORKER]]
    yield made
    for each in of_worker.values():
        for connection in each:
            connection.close()


@dataclass
class Uses:
    """Every way to use a key, as one user; the objects that need it are there."""

    gateway: Gateway
    user: TestUser
    key: str
    bucket: str
    requests: list[Prepared] = field(default_factory=list)

    def call(self, operation: str, **members: Any) -> None:
        credentials = self.user.access_key_id, self.user.secret_access_key
        self.requests.append(kms_request(self.gateway.endpoint_url, credentials, operation, **members))

    def s3(self, method: str, operation: str, body: bytes | None = None, *, shared: bool = False, **named: Any) -> None:
        """With `shared` in the bucket whose objects have a bucket key."""
        bucket, name = (f"{self.bucket}{SHARED}", f"{operation}{SHARED}") if shared else (self.bucket, operation)
        url = presign_by(self.user.client("s3", **PRESIGNING), operation, Bucket=bucket, **named)
        self.requests.append(Prepared(name, method, target(url), body))


def uses(gateway: Gateway, user: TestUser, key: str) -> Uses:
    """Of a symmetric key that the account's root user may use at this moment."""
    s3, kms = gateway.client("s3"), gateway.client("kms")
    made = Uses(gateway, user, key, f"effect-{uuid.uuid4()}")
    s3.create_bucket(Bucket=made.bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=made.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=made.bucket, Key="inline", Body=BODY)
    s3.put_object(Bucket=made.bucket, Key="file", Body=BODY * 10_000)
    upload_id = s3.create_multipart_upload(Bucket=made.bucket, Key="begun")["UploadId"]
    shared = f"{made.bucket}{SHARED}"
    s3.create_bucket(Bucket=shared)
    rule = {"ApplyServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"], "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=shared, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.put_object(Bucket=shared, Key="inline", Body=BODY)["BucketKeyEnabled"]
    made.s3("GET", "get_object", shared=True, Key="inline")
    made.s3("PUT", "put_object", BODY, shared=True, Key="new")
    made.s3("GET", "get_object", Key="inline")
    made.s3("GET", "get_object", Key="file")
    made.s3("PUT", "put_object", BODY, Key="new")
    made.s3("PUT", "upload_part", BODY, Key="begun", UploadId=upload_id, PartNumber=1)
    blob = in_base64(kms.encrypt(KeyId=key, Plaintext=BODY)["CiphertextBlob"])
    made.call("Decrypt", CiphertextBlob=blob)
    made.call("Decrypt", CiphertextBlob=blob, KeyId=key)
    made.call("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    made.call("Encrypt", KeyId=key, Plaintext=in_base64(BODY))
    made.call("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key)
    return made


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def one_round(connection: KeptConnection, requests: Sequence[Prepared]) -> Round:
    def ask_all() -> list[Answer]:
        answers = []
        for request in requests:
            answers.append(connection.ask(request))
            assert connection.is_open, answers[-1]  # another one might lead to another worker
        return answers

    return ask_all


def moment(change: Callable[[], object]) -> float:
    """When the change had been answered."""
    change()
    return time.monotonic()


def uses_since(clients: Load, answered: float) -> Counter[str]:
    """What succeeded although it began after `answered`."""
    return Counter(answer.name for answer in clients.since(answered) if answer.status == 200)


def assert_in_effect(
    made: Uses,
    connections: list[KeptConnection],
    *,
    take: Callable[[], object],
    give: Callable[[], object],
    codes: set[str],
    changes: int = CHANGES,
) -> None:
    """`take` and `give` return once they are answered; `codes` is what requests are refused with between the two."""
    names = {request.name for request in made.requests}
    kms = made.gateway.client("kms")
    with load([one_round(connection, made.requests) for connection in connections]) as clients:
        for change in range(changes):
            described = f"change {change}"
            harmless = moment(lambda: kms.update_key_description(KeyId=made.key, Description=described))  # noqa: B023
            assert {answer.status for answer in clients.since(harmless)} == {200}
            assert uses_since(clients, harmless).keys() == names

            taken = moment(take)
            assert uses_since(clients, taken) == {}
            assert {answer.code for answer in clients.since(taken)} == codes

            given = moment(give)
            assert uses_since(clients, given).keys() == names
            assert {answer.status for answer in clients.since(given)} == {200}


def state_codes(code: str) -> set[str]:
    """As the KMS says it, and S3."""
    return {code, f"KMS.{code}"}


DENIED = {"AccessDeniedException", "AccessDenied"}


def key_policy(*arns: str) -> str:
    """Leaves all to the root user, and the use of the key to the principals, if any."""
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:*", "Resource": "*"} for arn in arns
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def root_arn(user: TestUser) -> str:
    return f"arn:aws:iam::{user.account_id}:root"


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    """May do everything in S3, and in the KMS what a key gives."""
    return make_user(gateway, allow("s3:*"))


@pytest.fixture(scope="module")
def powerful(gateway: Gateway) -> TestUser:
    return make_user(gateway, allow("s3:*", "kms:*"))


def new_key(kms: Any, **parameters: Any) -> str:
    return str(kms.create_key(**parameters)["KeyMetadata"]["Arn"])


@pytest.mark.parametrize("protection", ["software", "hsm"])
def test_disable_key(
    gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection], protection: str
) -> None:
    if protection == "hsm" and find_softhsm() is None:
        pytest.skip("SoftHSM2 is not installed, and a file root holds no keys")
    key = new_key(kms, CustomKeyStoreId=protection)
    assert_in_effect(
        uses(gateway, powerful, key),
        connections,
        take=lambda: kms.disable_key(KeyId=key),
        give=lambda: kms.enable_key(KeyId=key),
        codes=state_codes("DisabledException"),
    )


def test_schedule_key_deletion(
    gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]
) -> None:
    key = new_key(kms)

    def give() -> None:
        kms.cancel_key_deletion(KeyId=key)
        kms.enable_key(KeyId=key)

    assert_in_effect(
        uses(gateway, powerful, key),
        connections,
        take=lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
        give=give,
        codes=state_codes("KMSInvalidStateException"),
    )


def test_delete_imported_key_material(
    gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]
) -> None:
    key = new_key(kms, Origin="EXTERNAL")

    def give() -> None:
        kms.import_key_material(**prepared(kms, key, bytes(range(32))), **FOREVER)

    give()
    assert_in_effect(
        uses(gateway, powerful, key),
        connections,
        take=lambda: kms.delete_imported_key_material(KeyId=key),
        give=give,
        codes=state_codes("KMSInvalidStateException"),
    )


def test_put_key_policy(gateway: Gateway, kms: Any, user: TestUser, connections: list[KeptConnection]) -> None:
    key = new_key(kms, Policy=key_policy(root_arn(user), user.arn))
    assert_in_effect(
        uses(gateway, user, key),
        connections,
        take=lambda: kms.put_key_policy(KeyId=key, Policy=key_policy(root_arn(user))),
        give=lambda: kms.put_key_policy(KeyId=key, Policy=key_policy(root_arn(user), user.arn)),
        codes=DENIED,
    )


@pytest.mark.parametrize("by", ["RevokeGrant", "RetireGrant", "RetireGrant by token"])
def test_the_end_of_a_grant(
    gateway: Gateway, kms: Any, user: TestUser, connections: list[KeptConnection], by: str
) -> None:
    key = new_key(kms)
    grant: dict[str, str] = {}

    def give() -> None:
        made = kms.create_grant(KeyId=key, GranteePrincipal=user.arn, RetiringPrincipal=root_arn(user), Operations=USES)
        grant.update(GrantId=made["GrantId"], GrantToken=made["GrantToken"])

    def take() -> None:
        if by == "RevokeGrant":
            kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
        elif by == "RetireGrant":
            kms.retire_grant(KeyId=key, GrantId=grant["GrantId"])
        else:
            kms.retire_grant(GrantToken=grant["GrantToken"])

    give()
    assert_in_effect(uses(gateway, user, key), connections, take=take, give=give, codes=DENIED)


def test_policies_of_a_user(gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]) -> None:
    key = new_key(kms)
    assert_in_effect(
        uses(gateway, powerful, key),
        connections,
        take=lambda: powerful.put_policy(deny("kms:*"), name="never"),
        give=lambda: powerful.delete_policy("never"),
        codes=DENIED,
        changes=CHANGES_BY_COMMAND,
    )


def test_update_alias(gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]) -> None:
    """From the answer on the alias names the other key, in every worker."""
    key, other, alias = new_key(kms), new_key(kms), f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.disable_key(KeyId=other)
    made = Uses(gateway, powerful, key, "")
    blob = kms.encrypt(KeyId=key, Plaintext=BODY)["CiphertextBlob"]
    made.call("Encrypt", KeyId=alias, Plaintext=in_base64(BODY))
    made.call("GenerateDataKey", KeyId=alias, KeySpec="AES_256")
    made.call("ReEncrypt", CiphertextBlob=in_base64(blob), DestinationKeyId=alias)
    assert_in_effect(
        made,
        connections,
        take=lambda: kms.update_alias(AliasName=alias, TargetKeyId=other),
        give=lambda: kms.update_alias(AliasName=alias, TargetKeyId=key),
        codes={"DisabledException"},
    )


@pytest.mark.parametrize("by", ["UpdateAlias", "TagResource"])
def test_what_policies_ask_of_a_key(gateway: Gateway, kms: Any, connections: list[KeptConnection], by: str) -> None:
    """Access by the key's aliases, and by its tags."""
    key, alias = new_key(kms, Tags=[{"TagKey": "stage", "TagValue": "open"}]), f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    other = new_key(kms)
    condition = {
        "UpdateAlias": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
        "TagResource": {"StringEquals": {"aws:ResourceTag/stage": "open"}},
    }[by]
    user = make_user(gateway, allow("s3:*"), allow("kms:*") | {"Condition": condition})

    def change(target: str, stage: str) -> None:
        if by == "UpdateAlias":
            kms.update_alias(AliasName=alias, TargetKeyId=target)
        else:
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": "stage", "TagValue": stage}])

    assert_in_effect(
        uses(gateway, user, key),
        connections,
        take=lambda: change(other, "shut"),
        give=lambda: change(key, "open"),
        codes=DENIED,
    )


def test_bucket_policies(gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]) -> None:
    """They decide before the key is asked for."""
    s3, key = gateway.client("s3"), new_key(kms)
    made = uses(gateway, powerful, key)
    made.requests = [
        request for request in made.requests if request.method != "POST" and not request.name.endswith(SHARED)
    ]
    resource = f"arn:aws:s3:::{made.bucket}/*"
    statement = {"Effect": "Deny", "Principal": {"AWS": powerful.arn}, "Action": "s3:*", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert_in_effect(
        made,
        connections,
        take=lambda: s3.put_bucket_policy(Bucket=made.bucket, Policy=policy),
        give=lambda: s3.delete_bucket_policy(Bucket=made.bucket),
        codes={"AccessDenied"},
    )


def test_access_keys(gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]) -> None:
    key, place = new_key(kms), str(gateway.data)
    assert_in_effect(
        uses(gateway, powerful, key),
        connections,
        take=lambda: gateway.sealgate("access-key", "disable", place, powerful.access_key_id),
        give=lambda: gateway.sealgate("access-key", "enable", place, powerful.access_key_id),
        codes={"InvalidAccessKeyId", "UnrecognizedClientException"},
        changes=CHANGES_BY_COMMAND,
    )


def test_disable_key_of_asymmetric_and_hmac_keys(
    gateway: Gateway, kms: Any, powerful: TestUser, connections: list[KeptConnection]
) -> None:
    signing = new_key(kms, KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    mac = new_key(kms, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    agreeing = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")
    rsa = new_key(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    keys = (signing, mac, agreeing, rsa)
    algorithms = {"MacAlgorithm": "HMAC_SHA_256"}
    made = Uses(gateway, powerful, signing, "")
    signature = kms.sign(KeyId=signing, Message=BODY, SigningAlgorithm="ED25519_SHA_512")["Signature"]
    tag = kms.generate_mac(KeyId=mac, Message=BODY, **algorithms)["Mac"]
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    peer_der = peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    blob = kms.encrypt(KeyId=rsa, Plaintext=BODY, EncryptionAlgorithm="RSAES_OAEP_SHA_256")["CiphertextBlob"]

    made.call("Sign", KeyId=signing, Message=in_base64(BODY), SigningAlgorithm="ED25519_SHA_512")
    made.call(
        "Verify",
        KeyId=signing,
        Message=in_base64(BODY),
        SigningAlgorithm="ED25519_SHA_512",
        Signature=in_base64(signature),
    )
    made.call("GetPublicKey", KeyId=signing)
    made.call("GenerateMac", KeyId=mac, Message=in_base64(BODY), **algorithms)
    made.call("VerifyMac", KeyId=mac, Message=in_base64(BODY), Mac=in_base64(tag), **algorithms)
    made.call("DeriveSharedSecret", KeyId=agreeing, KeyAgreementAlgorithm="ECDH", PublicKey=in_base64(peer_der))
    made.call("Decrypt", KeyId=rsa, CiphertextBlob=in_base64(blob), EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert_in_effect(
        made,
        connections,
        take=lambda: [kms.disable_key(KeyId=key) for key in keys],
        give=lambda: [kms.enable_key(KeyId=key) for key in keys],
        codes={"DisabledException"},
    )
