# SPDX-License-Identifier: Apache-2.0
"""Who may include whom. The tables below are the plan of the house; a new edge is a decision."""

import re

from tree import Finding, blank_out

WHAT = "includes go down the layers, are spelled from the root, and keep libraries in their rooms"

# room, layer, files
ROOMS = [
    ("base", 0, r"daemon/base/"),
    ("mqtt", 1, r"daemon/mqtt/"),
    ("net", 1, r"daemon/net/"),
    ("ipc", 1, r"daemon/ipc/"),
    ("conf", 1, r"daemon/conf/"),
    ("acl", 1, r"daemon/acl/"),
    ("watch", 1, r"daemon/watch/"),
    ("der", 1, r"certs/(backup|chain|crl|csr|csr_\w+|der|examples|key|kit|leaf|ocsp|p12|pem|pkcs7|profile|request|san|"
               r"seal)[._]"),
    ("broker", 2, r"daemon/broker/"),
    ("web", 2, r"daemon/web/"),
    ("outbound", 2, r"daemon/outbound/"),
    ("db", 2, r"db/"),
    ("certs", 2, r"certs/"),
    ("ctl", 2, r"(daemon/)?ctl/"),
    ("edge", 2, r"daemon/edge/"),
    ("proc", 3, r"daemon/(proc/|main\.c)"),
    ("webui", 0, r"webui/"),
    ("tests", 9, r"tests/"),
]
# Rooms of one layer do not know each other, except:
SIDEWAYS = {("ipc", "net"), ("conf", "net"), ("acl", "net")}
# The programs beside the daemon are nobody's library.
PROGRAMS = {"ctl", "edge"}

# header of a library, files that may include it (tests may use every library)
LIBRARIES = [
    (r"gnutls/", r"daemon/net/(stream_tls|tls_\w+)\.[ch]$|daemon/web/http_tls\.[ch]$|certs/|db/|ctl/tls_\w+\.c$"),
    (r"microhttpd", r"daemon/web/http(_stream)?\.c$"),
    (r"sqlite3", r"db/"),
    (r"jansson", r"daemon/web/|(daemon/)?ctl/"),
    (r"seccomp\.h", r"daemon/proc/"),
    (r"cap-ng\.h", r"daemon/proc/"),
    (r"crypt\.h", r"db/"),
    (r"(openssl|nettle|gcrypt|mbedtls|event2?|uv)[/.]", r"(?!)"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    for name, layer, files in ROOMS:
        if re.match(files, path):
            return name, layer
    return None, None


def may_include(path, target):
    room, layer = room_of(path)
    to, to_layer = room_of(target)
    if room == to or room == "tests":
        return True
    if to == "tests" or to in PROGRAMS:
        return False
    if to_layer == layer:
        return (room, to) in SIDEWAYS
    return to_layer < layer


def judge_own(tree, path, target, makefiles):
    if target == "config.h":
        return None
    if room_of(target)[0] is None:
        return f'"{target}" is not spelled from the root (like "daemon/base/str.h")'
    if not tree.exists(target) and target not in makefiles:
        return f'"{target}" does not exist'
    if not may_include(path, target):
        return (f"{room_of(path)[0]} may not include {room_of(target)[0]} ({target}): "
                "the edges are in tests/lint/layers.py")
    return None


def judge_library(path, target):
    for header, files in LIBRARIES:
        if re.match(header, target) and not path.startswith("tests/") and not re.match(files, path):
            return f"<{target}> is not for this file: the rooms of libraries are in tests/lint/layers.py"
    return None


def check(tree):
    makefiles = "\n".join(tree.text(f) for f in tree.files if f.endswith(("Makefile.inc", ".am")))
    for path in tree.c_files():
        if room_of(path)[0] is None:
            yield Finding(path, 1, "belongs to no room: name its folder in tests/lint/layers.py")
            continue
        text = blank_out(tree.text(path), comments_only=True)
        for m in INCLUDE.finditer(text):
            own = m.group(1) == '"'
            why = (judge_own(tree, path, m.group(2), makefiles) if own
                   else judge_library(path, m.group(2)))
            if why:
                yield Finding(path, text.count("\n", 0, m.start(2)) + 1, why)


def _sample(path, include, *others):
    return {path: f"int x;\n#include {include}\n", **{o: "" for o in others}}


BAD = [
    (_sample("daemon/base/a.c", '"daemon/net/loop.h"', "daemon/net/loop.h"),
     "daemon/base/a.c:2: base may not include net"),
    (_sample("daemon/mqtt/a.c", '"daemon/net/loop.h"', "daemon/net/loop.h"), "mqtt may not include net"),
    (_sample("daemon/net/a.c", '"daemon/ipc/link.h"', "daemon/ipc/link.h"), "net may not include ipc"),
    (_sample("daemon/broker/a.c", '"db/registry.h"', "db/registry.h"), "broker may not include db"),
    (_sample("daemon/web/a.c", '"certs/issue.h"', "certs/issue.h"), "web may not include certs"),
    (_sample("db/a.c", '"daemon/proc/sd.h"', "daemon/proc/sd.h"), "db may not include proc"),
    (_sample("daemon/proc/a.c", '"ctl/table.h"', "ctl/table.h"), "proc may not include ctl"),
    (_sample("daemon/net/a.c", '"loop.h"', "daemon/net/loop.h"), "not spelled from the root"),
    (_sample("daemon/net/a.c", '"daemon/net/gone.h"'), "does not exist"),
    (_sample("daemon/broker/a.c", "<gnutls/gnutls.h>"), "<gnutls/gnutls.h> is not for this file"),
    (_sample("daemon/web/router.c", "<microhttpd.h>"), "<microhttpd.h> is not for this file"),
    (_sample("daemon/web/http.c", "<sqlite3.h>"), "<sqlite3.h> is not for this file"),
    (_sample("certs/a.c", "<openssl/evp.h>"), "<openssl/evp.h> is not for this file"),
    ({"lib/a.c": ""}, "belongs to no room"),
]
GOOD = [
    _sample("daemon/ipc/a.c", '"daemon/net/loop.h"', "daemon/net/loop.h"),
    _sample("daemon/web/a.c", '"certs/csr.h"', "certs/csr.h"),
    _sample("certs/a.c", '"certs/csr.h"', "certs/csr.h"),
    _sample("daemon/proc/a.c", '"daemon/broker/process.h"', "daemon/broker/process.h"),
    _sample("daemon/net/stream_tls.c", "<gnutls/gnutls.h>"),
    _sample("daemon/net/tls_key.c", "<gnutls/abstract.h>"),
    {"daemon/net/a.c": '/* #include "db/x.h" */\n#include "config.h"\n'},
]
