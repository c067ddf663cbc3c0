# SPDX-License-Identifier: Apache-2.0
"""Fresh Debian 12 machines for tests: a root by debootstrap, booted by systemd-nspawn, with systemd as its first
process and an address of its own, and no way to anywhere else.

    lan = Lan()                                  # from here on this thread is outside, in a network of its own
    with Machine("gate", lan, packages) as m:    # boots; packages: .deb files, put into m.INBOX
        m.run("systemctl", "is-active", "dbus")
        lan.address(m)                           # for clients

The root and the packages that ours depends on are fetched once, with this machine's own apt sources, into the
folder that GATEHOUSE_MACHINES names; later runs need no network. Needs root, as the machines do.
"""

import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from gateway import build, wait_until

SUITE = "bookworm"
CLONE_NEWNET = 0x40000000
BOOT_PATIENCE = 120  # seconds; also for the end


def call(*words, **more):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def plain_environment(**more):
    """Without what a make above has set."""
    return {**{k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}, **more}


def folder():
    path = pathlib.Path(os.environ.get("GATEHOUSE_MACHINES", build() / "machines"))
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def mirror():
    """Where this machine gets the suite from."""
    lines = call("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    for line in lines.splitlines():
        site, codename, component = line.split()
        if (codename, component) == (SUITE, "main"):
            return site
    raise AssertionError(f"this machine has no apt source for Debian's {SUITE}: {lines}")


def dependencies(package):
    return call("dpkg-deb", "--field", package, "Depends")


def base(package):
    """The root that machines are copied from, with what the package depends on in apt's cache."""
    root = folder() / "base"
    mark = root / "var/cache/apt/has"
    wanted = hashlib.sha256(dependencies(package).encode()).hexdigest()
    if not root.exists():
        new = folder() / "base.new"
        shutil.rmtree(new, ignore_errors=True)
        call("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,ca-certificates", SUITE, new,
             mirror())
        (new / "etc/machine-id").write_text("")
        new.rename(root)
    if not mark.exists() or mark.read_text() != wanted:
        shutil.copy(package, root / "var/tmp/ours.deb")
        try:
            call("chroot", root, "apt-get", "update", "-q")
            call("chroot", root, "apt-get", "install", "-y", "--download-only", "--no-install-recommends",
                 "/var/tmp/ours.deb")
        finally:
            (root / "var/tmp/ours.deb").unlink()
        mark.write_text(wanted)
    return root


class Lan:
    """A network of its own for this thread and what it starts: outside of the machines, beside them."""

    NET = "10.77.0"

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        call("ip", "link", "set", "lo", "up")
        call("ip", "link", "add", "lan", "type", "bridge")
        call("ip", "addr", "add", f"{self.NET}.1/24", "dev", "lan")
        call("ip", "link", "set", "lan", "up")
        self.numbers = {}

    def address(self, machine):
        return f"{self.NET}.{self.numbers[machine.name]}"

    def join(self, machine):
        """A named network for the machine, which so has its address before it boots."""
        number = self.numbers.setdefault(machine.name, 10 + len(self.numbers))
        call("ip", "netns", "add", machine.netns)
        call("ip", "link", "add", f"to{number}", "type", "veth", "peer", "name", "host0", "netns", machine.netns)
        call("ip", "link", "set", f"to{number}", "master", "lan", "up")
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{self.NET}.{number}/24", "dev", "host0"],
                      ["link", "set", "host0", "up"]):
            call("ip", "-n", machine.netns, *words)


class Machine:
    INBOX = "/var/tmp/inbox"

    def __init__(self, name, lan, packages):
        self.name, self.lan = name, lan
        self.netns = f"gatehouse-{os.getpid()}-{name}"
        self.root = folder() / f"{name}-{os.getpid()}"
        self.log = folder() / f"{name}.log"
        self.nspawn = self.leader = None
        call("cp", "-a", "--reflink=auto", base(packages[0]), self.root)
        (self.root / "etc/hostname").write_text(name + "\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        self.inbox = self.root / self.INBOX.lstrip("/")
        self.inbox.mkdir()
        for package in packages:
            shutil.copy(package, self.inbox)
        lan.join(self)

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self):
        with open(self.log, "w") as log:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}", "--boot",
                 "--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{self.netns}",
                 "--console=pipe"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.leader = wait_until(self._leader, BOOT_PATIENCE, "a first process of the machine")
        wait_until(self._booted, BOOT_PATIENCE, f"the boot (see {self.log})")

    def _leader(self):
        assert self.nspawn.poll() is None, self.log.read_text()
        for pid in pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split():
            try:
                if os.path.basename(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]) in (
                        b"systemd", b"init"):
                    return int(pid)
            except FileNotFoundError:
                pass
        return None

    def _booted(self):
        time.sleep(0.2)  # each try starts a program
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def command(self, *words):
        """The same inside."""
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                "--root", "--wd", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                "TERM=dumb", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", *map(str, words)]

    def run(self, *words, check=True, input="", timeout=300):
        """What it prints. check: it must end with 0."""
        done = subprocess.run(self.command(*words), input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def at_terminal(self, command):
        """What a person sees who types that at the machine's terminal."""
        return self.run("script", "--quiet", "--return", "--command", command, "/dev/null").replace("\r\n", "\n")

    def file(self, path):
        return self.root / path.lstrip("/")

    def listening(self):
        """{("tcp", port)} of what takes connections or datagrams from other machines."""
        found = set()
        for line in call("ip", "netns", "exec", self.netns, "ss", "-H", "-ltun").splitlines():
            protocol, _, _, _, local, *_ = line.split()
            address, _, port = local.rpartition(":")
            if not address.startswith(("127.", "[::1]")):
                found.add((protocol, int(port)))
        return found

    def power_off(self):
        if not self.nspawn:
            return
        os.kill(self.leader, signal.SIGRTMIN + 4)  # systemd(1): poweroff.target
        try:
            self.nspawn.wait(BOOT_PATIENCE)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        self.nspawn = self.leader = None

    def close(self):
        self.power_off()
        call("ip", "netns", "del", self.netns)
        shutil.rmtree(self.root, ignore_errors=True)
