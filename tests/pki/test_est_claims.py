# SPDX-License-Identifier: Apache-2.0
"""Devices that come with a certificate of a factory: they show it to EST and get one of the gateway's."""

import pytest

from est import Est
from gateway import wait_until
from pki import Authority, Leaf, open_mqtt

BIRTH = {"extendedKeyUsage": "clientAuth", "keyUsage": "digitalSignature"}


@pytest.fixture(scope="module")
def est(gateway):
    return Est(gateway)


@pytest.fixture(scope="module")
def factory(est, tmp_path_factory):
    root = Authority(tmp_path_factory.mktemp("factory"), "Factory Root")
    est.gateway.cli("claim", "add", "factory", root.certificate, "--pattern", "pump-*")
    return root


def enrols(est, birth, name, **options):
    """The answer to a request with a new key; the gateway may not have told the new claim yet."""
    key = est.key()
    wait_until(lambda: "issuer is unknown" not in est.post("simpleenroll", b"0\0", certificate=birth.chain,
                                                           key=birth.key).text, what="the claim's authority")
    return key, est.post("simpleenroll", est.csr(key, name), certificate=birth.chain, key=birth.key, **options)


def test_a_birth_certificate_becomes_one_of_ours(est, factory):
    birth = factory.issue("pump-1", BIRTH)
    key, answer = enrols(est, birth, "pump-1")
    certificate = est.keep(answer)
    with open_mqtt(est.gateway.mqtts, est.root, Leaf(key, certificate, est.chain(certificate)), "pump-1"):
        pass
    # From then on it renews by itself; the factory's certificate renews nothing.
    est.keep(est.post("simplereenroll", est.csr(key, "pump-1"), certificate=certificate, key=key))
    answer = est.post("simplereenroll", est.csr(key, "pump-1"), certificate=birth.chain, key=birth.key)
    assert answer.status == 403


def test_for_its_own_name_and_the_pattern(est, factory):
    birth = factory.issue("pump-2", BIRTH)
    assert enrols(est, birth, "pump-3")[1].status in (400, 403)
    assert enrols(est, factory.issue("valve-1", BIRTH), "valve-1")[1].status == 403


def test_its_authority_is_trusted_and_not_told(est, factory):
    enrols(est, factory.issue("pump-4", BIRTH), "pump-4")
    assert len(est.get("cacerts").certificates()) == 2


def test_what_is_no_birth_certificate(est, factory):
    for extensions in ({"extendedKeyUsage": "serverAuth"}, {"keyUsage": "digitalSignature"}, None):
        answer = enrols(est, factory.issue("pump-5", extensions), "pump-5")[1]
        assert answer.status == 403 and "not accepted" in answer.text


def test_one_factory_cannot_speak_for_another(est, factory, tmp_path):
    """The other one names an authority below itself like this one: its devices are not ours."""
    other = Authority(tmp_path, "Other Root")
    est.gateway.cli("claim", "add", "other", other.certificate, "--pattern", "valve-*")
    false = other.subordinate("Factory Root")
    answer = enrols(est, false.issue("pump-6", BIRTH), "pump-6")[1]
    assert answer.status == 403 and "bears the name of another" in answer.text
    answer = enrols(est, other.issue("pump-6", BIRTH), "pump-6")[1]
    assert answer.status == 403


def test_a_claim_that_was_removed(est, factory, tmp_path):
    gone = Authority(tmp_path, "Gone Root")
    est.gateway.cli("claim", "add", "gone", gone.certificate)
    birth = gone.issue("pump-7", BIRTH)
    est.keep(enrols(est, birth, "pump-7")[1])
    est.gateway.cli("claim", "remove", "gone")
    wait_until(lambda: est.post("simpleenroll", est.csr(est.key(), "pump-7"), certificate=birth.chain,
                                key=birth.key).status == 403, what="the end of the claim")
