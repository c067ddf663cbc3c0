# SPDX-License-Identifier: Apache-2.0
"""gatehouse firewall: which packets reach the gateway's ports, from two networks, with the real nftables of a network
namespace. What is not the gateway's must be as reachable as before."""

import json
import re
import subprocess

import pytest

from gateway import build

V4, V6 = "10.77.1.1", "fd00:77:1::1"  # the machine, for the host inside
SSH = 22
OTHER = """table ip other {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 4711 drop
	}
}
"""


def configure(m):
    c = m.daemon.config
    c["listener mqtts"] = {"bind": "*:8883"}
    c["listener mqtt"] = {"bind": "10.77.1.1:1883", "tls": "off", "auth": "password", "allow-from": "10.77.1.0/24"}
    c["listener local"] = {"bind": "127.0.0.1:2883", "tls": "off", "auth": "password"}
    c["listener balanced"] = {"bind": "*:8885", "proxy-protocol": "v2", "proxy-from": "10.77.2.2"}
    c["admin"]["bind"] = "*:8443"
    c["enrol"]["bind"] = "*:8444"


@pytest.fixture(scope="module")
def m(machine):
    configure(machine)
    machine.start()
    machine.listen(SSH)
    machine.run("nft", "-f", "-", input=OTHER)
    return machine


@pytest.fixture(autouse=True)
def clean(m):
    yield
    if "table inet gatehouse" in m.tables():
        m.run("nft", "delete", "table", "inet", "gatehouse")


def is_dropped(m, host, address, port):
    """Not only silent for a moment: the table counted the packet."""
    before = m.dropped(port)
    return host.reach(address, port, 0.3) == "dropped" and m.dropped(port) > before


def test_only_given_networks_reach_the_ports(m):
    assert m.outside.reach("10.77.2.1", 8883) == "open"
    m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24", "--from", "fd00:77:1::/64")
    for port in (8883, 8443, 8444):
        assert m.inside.reach(V4, port) == m.inside.reach(V6, port) == "open", port
        assert is_dropped(m, m.outside, "10.77.2.1", port), port
        assert is_dropped(m, m.outside, "fd00:77:2::1", port), port


def test_what_is_not_the_gateways_stays_reachable(m):
    m.gatehouse("firewall", "apply", "--from", "10.99.0.0/16")
    assert is_dropped(m, m.inside, V4, 8883)
    assert m.inside.reach(V4, SSH) == m.outside.reach("10.77.2.1", SSH) == "open"
    assert m.inside.reach(V4, 9) == "closed"  # a port where nothing listens answers as before
    m.listen(1883, "10.77.2.1")  # the listener mqtt has that port on another address
    m.gatehouse("firewall", "apply", "--from", "10.99.0.0/16")
    assert m.outside.reach("10.77.2.1", 1883) == "open"
    assert is_dropped(m, m.inside, V4, 1883)


def test_the_machine_itself_reaches_everything(m):
    m.gatehouse("firewall", "apply", "--from", "10.99.0.0/16")
    assert m.reach("127.0.0.1", 8883) == m.reach(V4, 8443) == m.reach("127.0.0.1", 2883) == "open"


def test_without_networks_the_listeners_say_from_where(m):
    said = m.gatehouse("firewall", "apply").stdout
    assert re.search(r"^mqtts +\*:8883 +from everywhere", said, re.M)
    assert re.search(r"^mqtt +10\.77\.1\.1:1883 +from 10\.77\.1\.0/24$", said, re.M)
    assert "local" not in said and "2883" not in m.table()
    assert m.outside.reach("10.77.2.1", 8883) == m.inside.reach(V4, 8883) == "open"
    assert m.inside.reach(V4, 1883) == "open"
    m.outside.run("ip", "route", "add", "10.77.1.0/24", "via", "10.77.2.1")
    assert is_dropped(m, m.outside, V4, 1883)


def test_without_networks_the_faces_say_from_where(m):
    """Settings, not the file: the other tests want these ports open."""
    for key, value in (("admin.allow-from", "10.77.1.0/24"), ("admin.proxy-from", "10.77.3.9"),
                       ("enrol.allow-from", "10.77.2.0/24")):
        m.gatehouse("config", "set", key, value)
    try:
        said = m.gatehouse("firewall", "apply").stdout
        assert re.search(r"^admin +\*:8443 +from 10\.77\.1\.0/24, 10\.77\.3\.9$", said, re.M)
        assert re.search(r"^enrol +\*:8444 +from 10\.77\.2\.0/24$", said, re.M)
        said = m.gatehouse("firewall", "apply", "--from", "10.77.9.0/24").stdout
        assert re.search(r"^admin +\*:8443 +from 10\.77\.9\.0/24$", said, re.M)
    finally:
        for key in ("admin.allow-from", "admin.proxy-from", "enrol.allow-from"):
            m.gatehouse("config", "set", key, "")


def test_the_interface_can_have_networks_of_its_own(m):
    m.gatehouse("firewall", "apply", "--from", "10.77.0.0/16", "--admin-from", "10.77.1.2")
    assert m.inside.reach(V4, 8443) == "open" and is_dropped(m, m.outside, "10.77.2.1", 8443)
    assert m.outside.reach("10.77.2.1", 8883) == m.outside.reach("10.77.2.1", 8444) == "open"


def test_behind_a_proxy_the_proxy_is_the_source(m):
    m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24")
    assert m.outside.reach("10.77.2.1", 8885) == "open"
    assert is_dropped(m, m.inside, V4, 8885)


def test_banned_sources_reach_nothing_of_the_gateway(m):
    m.gatehouse("firewall", "apply")
    m.run("nft", "add element inet gatehouse ban4 { 10.77.1.2 timeout 1h }")
    m.run("nft", "add element inet gatehouse ban6 { fd00:77:1:: timeout 1h }")
    for port in (8883, 8443):
        assert is_dropped(m, m.inside, V4, port) and is_dropped(m, m.inside, V6, port), port
        assert m.outside.reach("10.77.2.1", port) == "open", port
    assert m.inside.reach(V4, SSH) == "open"
    m.gatehouse("firewall", "apply", "--from", "10.77.0.0/16")
    assert is_dropped(m, m.inside, V4, 8883), "a ban outlives the next apply"


def test_it_touches_no_other_table_and_may_be_repeated(m):
    before = m.tables()
    m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24")
    once = m.table()
    m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24")
    assert re.sub(r"packets \d+ bytes \d+", "", m.table()) == re.sub(r"packets \d+ bytes \d+", "", once)
    assert m.run("nft", "list", "table", "ip", "other") == OTHER
    m.gatehouse("firewall", "remove")
    assert m.tables() == before
    m.gatehouse("firewall", "remove")
    assert m.tables() == before


def test_print_shows_what_apply_does(m):
    script = m.gatehouse("firewall", "print", "--from", "10.77.1.0/24").stdout
    assert "gatehouse" not in m.tables()
    assert json.loads(m.gatehouse("--json", "firewall", "print", "--from", "10.77.1.0/24").stdout) == {"script": script}
    m.run("nft", "-f", "-", input=script)
    by_hand = m.table()
    m.gatehouse("firewall", "remove")
    m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24")
    assert m.table() == by_hand


def test_a_script_that_nft_refuses_changes_nothing(m):
    m.run("nft", "-f", "-", input="table inet gatehouse { set ban4 { type ipv6_addr; }; }\n")
    before = m.tables()
    done = m.gatehouse("firewall", "apply", "--from", "10.77.1.0/24", check=False)
    assert done.returncode == 1 and "nothing was changed" in done.stderr and m.tables() == before


@pytest.mark.parametrize("network", ["10.77.1.0/33", "10.77.1.1/24", "host", "fd00::/129"])
def test_what_is_no_network_is_refused(m, network):
    done = m.gatehouse("firewall", "apply", "--from", "10.0.0.0/8", "--from", network, check=False)
    assert done.returncode == 2 and f"--from {network}: " in done.stderr and "192.168.7.0/24" in done.stderr
    assert "gatehouse" not in m.tables()


def test_an_empty_network_is_refused(m):
    done = m.gatehouse("firewall", "apply", "--from", "10.0.0.0/8", "--from", "", check=False)
    assert done.returncode == 2 and "--from is empty" in done.stderr
    assert "gatehouse" not in m.tables()


def test_others_than_root_are_told_so(m):
    m.gatehouse("firewall", "apply")
    before = m.tables()
    done = subprocess.run(m.command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                    build() / "gatehouse", "firewall", "remove"), capture_output=True, text=True)
    assert done.returncode == 3 and "run this as root" in done.stderr and m.tables() == before


def test_without_nft_the_package_is_named(m):
    done = subprocess.run([build() / "gatehouse", "firewall", "remove"], env={"PATH": "/nonexistent"},
                          capture_output=True, text=True)
    assert done.returncode == 1 and "install the package nftables" in done.stderr


def test_the_unit_is_sound(tmp_path):
    """systemd's own judgement of the unit, with the programs where the build has them."""
    unit = (build() / "packaging/systemd/gatehouse-firewall.service").read_text()
    assert "firewall apply $FIREWALL_OPTIONS" in unit and "firewall remove" in unit
    file = tmp_path / "gatehouse-firewall.service"
    file.write_text(re.sub(r"(?<==)\S+/gatehouse ", f"{build()}/gatehouse ", unit))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True)
    assert done.returncode == 0 and str(file) not in done.stderr, done.stderr
