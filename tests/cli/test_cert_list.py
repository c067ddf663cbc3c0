# SPDX-License-Identifier: Apache-2.0
"""The list of certificates: narrowed, ordered, page by page."""

from api import Local
from test_ca import refuses


def test_certificates_are_found(gateway):
    """Newest first, by status, by whose they are, by name and by the first digits."""
    gateway.bundle("barn-1")
    gateway.bundle("barn-2")
    gateway.bundle("shed_1")
    gateway.cli("cert", "revoke", "--device", "barn-2")

    def names(*options):
        return [c["device"] or c["name"] for c in gateway.json("cert", "list", *options)]

    mine = ["shed_1", "barn-2", "barn-1"]
    assert names("--of", "devices", "--order", "desc", "--match", "barn") == mine[1:]
    assert names("--match", "BARN", "--status", "revoked") == ["barn-2"]
    assert names("--match", "barn", "--status", "good") == ["barn-1"]
    assert names("--match", "d_1") == ["shed_1"] and names("--match", "b_r") == []
    assert names("--status", "expired") == names("--status", "hold") == []
    assert "barn-1" not in names("--of", "gateway") and names("--of", "gateway")
    shed = next(c for c in gateway.json("cert", "list") if c["device"] == "shed_1")
    for digits in (shed["fingerprint"][:7], shed["fingerprint"], shed["serial"].upper()[:12]):
        assert names("--match", digits) == ["shed_1"], digits
    assert names("--order", "desc", "--of", "devices")[:3] == mine
    path = "/api/v1/certificates?order=desc&of=devices&limit=2"
    page = Local(gateway.socket).request("GET", path).json()
    rest = Local(gateway.socket).request("GET", f"{path}&after={page['next']}").json()
    assert [c["device"] for c in page["items"] + rest["items"]][:3] == mine
    for option, value in (("--status", "fine"), ("--of", "me"), ("--order", "up")):
        refuses(gateway, "cert", "list", option, value, code=2, says="allowed are")
    refuses(gateway, "cert", "list", "--device", "barn-1", "--status", "good", code=2, says="cannot be said together")
