# SPDX-License-Identifier: Apache-2.0
"""tests/lib/count.py: what tests/run sums up."""

import pytest

import count

CMOCKA = """[==========] Running 4 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[  ERROR   ] --- 1 != 2
[  FAILED  ] b
[ RUN      ] c
[  SKIPPED ] c
[ RUN      ] d
[       OK ] d
[==========] 3 test(s) run.
[  PASSED  ] 2 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] c

 1 SKIPPED TEST(S)
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
"""


@pytest.mark.parametrize("log, result, counts", [
    (CMOCKA, "FAIL", (2, 1, 1)),
    ("[==========] Running 1 test(s).\n[       OK ] a\n", "PASS", (1, 0, 0)),
    # It died in the middle: what passed counts, and the death.
    ("[==========] Running 2 test(s).\n[       OK ] a\n[ RUN      ] b\n", "FAIL", (1, 1, 0)),
    ("der: 12 files replayed\n", "PASS", (1, 0, 0)),
    ("", "FAIL", (0, 1, 0)),
    ("", "ERROR", (0, 1, 0)),
    ("", "SKIP", (0, 0, 1)),
])
def test_automake(tmp_path, log, result, counts):
    (tmp_path / "t.log").write_text(log)
    (tmp_path / "t.trs").write_text(f":test-result: {result}\n:global-test-result: {result}\n")
    assert count.automake(tmp_path) == counts
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "u.log").write_text("")
    (tmp_path / "below" / "u.trs").write_text(":test-result: PASS\n")
    assert count.automake(tmp_path) == (counts[0] + 1, counts[1], counts[2])


def test_automake_without_tests(tmp_path):
    assert count.automake(tmp_path) == (0, 0, 0)


def test_junit(tmp_path):
    report = tmp_path / "r.xml"
    report.write_text("""<testsuites><testsuite>
        <testcase name="a"/><testcase name="b"><failure/></testcase><testcase name="c"><error/></testcase>
        <testcase name="d"><skipped/></testcase><testcase name="e"><system-out/></testcase>
        </testsuite></testsuites>""")
    assert count.junit(report) == (2, 2, 1)


def test_lines(tmp_path):
    log = tmp_path / "l"
    log.write_text("ok a: x\n  a.c:1: not ok\nFAIL b: y\nok b self-test: z\n")
    assert count.lines(log) == (2, 1, 0)
