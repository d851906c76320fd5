from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from gateway.config import LimitSettings
from gateway.server.brakes import Brakes
from gateway.server.kms_quotas import KMSQuotas
from gateway.server.rate_table import RateTable
from iam.principals import Caller, root_principal, service_caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.quotas import parse_quotas

OURS = Caller(root_principal("123456789012"), "id")
THEIRS = Caller(root_principal("210987654321"), "id")
ELSEWHERE = Caller(root_principal("123456789012"), "id", region="eu-central-1")


def is_refused(quotas: KMSQuotas, caller: Caller, request: t.Request[Any]) -> bool:
    try:
        quotas.take(caller, request)
    except KMSError as error:
        assert (error.code, error.status) == ("ThrottlingException", 400)
        return True
    return False


def quotas_of(*texts: str) -> KMSQuotas:
    return KMSQuotas(RateTable.private(), parse_quotas(texts))


def test_quotas_are_of_an_account_in_a_region() -> None:
    quotas = quotas_of("CreateKey=2")
    for caller in (OURS, THEIRS, ELSEWHERE):
        assert [is_refused(quotas, caller, t.CreateKey()) for _ in range(3)] == [False, False, True]
    assert not is_refused(quotas, OURS, t.DescribeKey("k"))


def test_operations_share_the_quota_of_their_key_type() -> None:
    quotas = quotas_of("symmetric=2", "RSA=1")
    assert not is_refused(quotas, OURS, t.GenerateDataKey("k", 32))
    assert not is_refused(quotas, OURS, t.Decrypt(b""))
    assert is_refused(quotas, OURS, t.GenerateRandom(32))
    assert not is_refused(quotas, OURS, t.Decrypt(b"", encryption_algorithm="RSAES_OAEP_SHA_1"))


def test_quota_below_one_lets_one_through_at_once() -> None:
    quotas = quotas_of("GetParametersForImport=0.25")
    request = t.GetParametersForImport("k", "RSAES_OAEP_SHA_256", "RSA_2048")
    assert [is_refused(quotas, OURS, request) for _ in range(2)] == [False, True]


def test_the_gateways_own_keys_are_of_no_quota() -> None:
    quotas = quotas_of("symmetric=1")
    caller = service_caller("id")
    assert not any(is_refused(quotas, caller, t.GenerateDataKey("k", 32)) for _ in range(5))


def test_all_quotas_of_aws_fit_the_table_beside_all_brakes() -> None:
    table = RateTable.private()
    rates = {each.name: 1 for each in fields(LimitSettings) if each.name.endswith("_rate")}
    Brakes(table, replace(LimitSettings(), **rates))
    quotas = KMSQuotas(table, parse_quotas(["aws"]))
    assert not is_refused(quotas, OURS, t.CreateKey())


def test_without_quotas_nothing_is_refused() -> None:
    quotas = quotas_of()
    assert not any(is_refused(quotas, OURS, t.CreateKey()) for _ in range(50))


@pytest.mark.parametrize("text", ["aws", "symmetric=5"])
def test_requests_of_two_key_types_count_for_both(text: str) -> None:
    quotas = quotas_of(text, "RSA=1")
    request = t.ReEncrypt(b"", "k", source_encryption_algorithm="RSAES_OAEP_SHA_1")
    assert [is_refused(quotas, OURS, request) for _ in range(2)] == [False, True]
