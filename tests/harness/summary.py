"""Adds up JUnit files: names what failed, last line "N passed, N failed". Exit status 0 only when nothing failed.

usage: python3 -m harness.summary FILE...
"""

import sys
import xml.etree.ElementTree as ElementTree


def outcomes(path):
    """(name, "passed" | "failed" | "skipped", reason) of each test case of a file."""
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        cases = suite.findall("testcase")
        for case in cases:
            name = ".".join(part for part in (case.get("classname") or suite.get("name"), case.get("name")) if part)
            bad = case.find("failure") if case.find("failure") is not None else case.find("error")
            skipped = case.find("skipped")
            if bad is not None:
                yield name, "failed", (bad.get("message") or bad.text or "").strip().split("\n")[0]
            elif skipped is not None or case.get("status") == "notrun":
                yield name, "skipped", skipped.get("message", "") if skipped is not None else "not run"
            else:
                yield name, "passed", ""
        # A program that died before it wrote its results counts as one failure.
        if not cases and int(suite.get("errors", 0)) + int(suite.get("failures", 0)) > 0:
            yield suite.get("name"), "failed", "the test program ended before it reported"


def main(paths):
    rows = [row for path in paths for row in outcomes(path)]
    by_outcome = {kind: [row for row in rows if row[1] == kind] for kind in ("passed", "failed", "skipped")}
    for name, _, reason in by_outcome["skipped"]:
        print(f"skipped: {name}: {reason}")
    for name, _, reason in by_outcome["failed"]:
        print(f"FAILED: {name}: {reason}")
    print(f"{len(by_outcome['passed'])} passed, {len(by_outcome['failed'])} failed")
    return 0 if rows and not by_outcome["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
