"""Which rights on KMS keys a copy needs, in every pair of modes, sharing ciphertext or sealed anew.

Of each pair: a user for every subset of the rights that copies could need. Who has less than the model says is refused
by name of what is missing, and nothing is written. The rest of what copies need is `tests/clients/rights`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from botocore.credentials import Credentials

from gateway.storage.errors import NoSuchKey
from tests.gateway.gateway_in_process import Answer, InProcessGateway
from tests.gateway.operations.copy_model import BY_KMS, PIECES, Encryption, targets
from tests.gateway.operations.copy_world import World, Written, bucket_path, told
from tests.gateway.operations.uploads import begin, stored_files
from tests.properties.encryption import MODES

Right = tuple[str, int]
"""An action on one of the two keys."""

READS, WRITES, WRITES_PARTS = ("kms:Decrypt", 1), ("kms:GenerateDataKey", 2), ("kms:Decrypt", 2)
Users = Mapping[frozenset[Right], Credentials]


async def ask_iam(gateway: InProcessGateway, action: str, **parameters: str) -> Answer:
    form = urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await gateway.call("POST", "/", headers=headers, body=form, service="iam")
    assert answer.status == 200, answer.body
    return answer


async def make_users(world: World, *rights: Right) -> Users:
    """One for each subset of the rights, who may do everything in S3."""
    made: dict[frozenset[Right], Credentials] = {}
    for count in range(len(rights) + 1):
        for allowed in itertools.combinations(rights, count):
            name = f"user-{len(made)}"
            statements = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
            statements += [
                {"Effect": "Allow", "Action": action, "Resource": world.keys[key]} for action, key in allowed
            ]
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            await ask_iam(world.gateway, "CreateUser", UserName=name)
            await ask_iam(world.gateway, "PutUserPolicy", UserName=name, PolicyName="rights", PolicyDocument=policy)
            key = await ask_iam(world.gateway, "CreateAccessKey", UserName=name)
            made[frozenset(allowed)] = Credentials(key.text("AccessKeyId"), key.text("SecretAccessKey"))
    return made


def check_refused(world: World, answer: Answer, missing: list[Right]) -> None:
    """For want of the first of them."""
    action, key = missing[0]
    assert (answer.status, answer.code) == (403, "AccessDenied"), answer.body
    message = answer.text("Message") or ""
    assert action in message and world.keys[key] in message, message


def needed(source: Encryption, target: Encryption, to_write: Right) -> list[Right]:
    """In the order in which they are asked for."""
    rights = [READS] if source.mode in BY_KMS else []
    return [*rights, to_write] if target.mode in BY_KMS else rights


def of_other_keys() -> list[Encryption]:
    """What is copied to: where it is by a KMS key, by another than the source's."""
    return [each for each in targets() if each.key == 2 or each.mode not in BY_KMS]


@pytest.mark.parametrize("shares", [True, False], ids=["share", "reencrypt"])
@pytest.mark.parametrize("mode", MODES)
async def test_copies_need_the_keys_of_both_sides(world: World, mode: str, shares: bool) -> None:
    users = await make_users(world, READS, WRITES)
    bucket, source = bucket_path("source", is_versioned=False, shares=shares), Encryption(mode)
    written = await world.put(f"{bucket}/source", source, PIECES[:1])
    for number, target in enumerate(of_other_keys()):
        for allowed, credentials in users.items():
            path = f"{bucket}/{number}-{len(allowed)}"
            missing = [right for right in needed(source, target, WRITES) if right not in allowed]
            before = stored_files(world.gateway)
            headers = {
                "x-amz-copy-source": written.path,
                **target.asked(world.keys),
                **source.brought_for_source,
            }
            answer = await world.gateway.call("PUT", path, headers=headers, credentials=credentials)
            with told((mode, target, allowed)):
                if not missing:
                    assert answer.status == 200, answer.body
                    await world.delete(Written(path, "", None, {}))
                    continue
                check_refused(world, answer, missing)
                assert stored_files(world.gateway) == before
                with pytest.raises(NoSuchKey):
                    await world.row(path)


@pytest.mark.parametrize("mode", MODES)
async def test_copies_of_parts_need_the_keys_of_both_sides(world: World, mode: str) -> None:
    users = await make_users(world, READS, WRITES_PARTS)
    bucket, source = bucket_path("source", is_versioned=False, shares=True), Encryption(mode)
    written = await world.put(f"{bucket}/source", source, PIECES[:1])
    for target in of_other_keys():
        upload = await begin(world.gateway, f"{bucket}/upload", target.asked(world.keys))
        for allowed, credentials in users.items():
            missing = [right for right in needed(source, target, WRITES_PARTS) if right not in allowed]
            before = stored_files(world.gateway)
            headers = {"x-amz-copy-source": written.path, **target.brought, **source.brought_for_source}
            query = {"partNumber": "1", "uploadId": upload.upload_id}
            answer = await world.gateway.call("PUT", upload.path, query=query, headers=headers, credentials=credentials)
            with told((mode, target, allowed)):
                if not missing:
                    assert answer.status == 200, answer.body
                    continue
                check_refused(world, answer, missing)
                assert stored_files(world.gateway) == before
        assert (await upload.abort()).status == 204


@pytest.mark.parametrize("mode", BY_KMS)
async def test_copies_need_the_key_of_the_bucket_s_default(world: World, mode: str) -> None:
    """Of the copy's bucket; the source is under no KMS key."""
    users = await make_users(world, READS, WRITES)
    bucket, target = bucket_path("source", is_versioned=False, shares=True), Encryption(mode, 2, by_default=True)
    written = await world.put(f"{bucket}/source", Encryption("AES256"), PIECES[:1])
    await world.encrypt_by_default(bucket, target)
    for allowed, credentials in users.items():
        headers = {"x-amz-copy-source": written.path}
        answer = await world.gateway.call("PUT", f"{bucket}/copy", headers=headers, credentials=credentials)
        if WRITES in allowed:
            assert answer.status == 200, answer.body
            assert answer.headers["x-amz-server-side-encryption-aws-kms-key-id"] == world.keys[2]
        else:
            check_refused(world, answer, [WRITES])
