# SPDX-License-Identifier: Apache-2.0
"""One spelling for the words that are in every second name."""

import re

from tree import Finding

WHAT = "enrol, enrolment, authorise, authorisation: one spelling, except in names of standards"

WRONG = re.compile(r"enroll(?!ed|ing|er)\w*|\w*authoriz\w*", re.I)
# What a standard or a library spells its own way.
FOREIGN = re.compile(
    r"\bsimple(re)?enroll\b|\bfullcmc\b"  # RFC 7030 paths
    r"|not[ _-]?authori[sz]ed"            # MQTT reason code 0x87
    r"|\bUnauthorized\b|HTTP_UNAUTHORIZED|\bAuthorization\b|HEADER_AUTHORIZATION",  # HTTP
    re.I)


def check(tree):
    for path in tree.files:
        if path.startswith(("tests/lint/words.py", "tests/fuzz/corpus/", "LICENSE")):
            continue
        for number, line in tree.lines(path):
            rest = FOREIGN.sub("", line)
            for word in WRONG.findall(rest):
                yield Finding(path, number, f"'{word}': spell it enrol…, enrolment, authoris…")


BAD = [
    ({"README.md": "\nto enroll a device\n"}, "README.md:2: 'enroll'"),
    ({"daemon/web/a.c": "int enrollment_open(void);\n"}, "'enrollment_open'"),
    ({"db/a.c": "int store_authorize(void);\n"}, "'store_authorize'"),
    ({"db/a.c": "int authorization_of(void);\n"}, "'authorization_of'"),
]
GOOD = [
    {"README.md": "enrol, enrolled, enrolling, enrolment, authorise; /.well-known/est/simpleenroll\n",
     "daemon/mqtt/a.h": "REASON_NOT_AUTHORIZED = 0x87, /* Not authorized */\n",
     "daemon/web/http.c": "MHD_HTTP_UNAUTHORIZED MHD_HTTP_HEADER_AUTHORIZATION \"Authorization\"\n"},
]
