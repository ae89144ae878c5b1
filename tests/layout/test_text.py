"""Documents that follow from code, and words that do not belong in it."""

import re
import subprocess
import sys

from sources import TOP, files, read


def test_drop_table_is_current():
    made = subprocess.run([sys.executable, TOP / "docs" / "make_drops.py", "--print"], capture_output=True, text=True,
                          check=True).stdout
    assert read("docs/drops.md") == made, "net/drop.def has changed: run docs/make_drops.py"


def test_every_drop_has_its_own_metric_name():
    names = re.findall(r'MILLRACE_DROP\(\w+, "(\w+)"', read("net/drop.def"))
    assert len(names) > 10 and len(names) == len(set(names))


def test_headers_open_with_their_theory():
    """A header begins with a comment and says #pragma once, but for those that are compiled by themselves (pch/)."""
    headers = [path for path in files(".h") if path.parts[0] != "tests"]
    assert [str(path) for path in headers if not re.match(r"//", read(path))] == []
    assert [str(path) for path in headers if path.parent.name != "pch" and "#pragma once" not in read(path)] == []


def test_no_production_code_asks_whether_it_is_tested():
    pattern = re.compile(r"#\s*if(def)?\s+\w*TEST\b|if\s*\(\s*(is_)?testing")
    bad = [f"{path}: {match[0]}" for path in files(".h", ".cc") if path.parts[0] != "tests"
           for match in [pattern.search(read(path))] if match]
    assert bad == []


def test_nothing_is_left_to_do_later():
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    me = "tests/layout/test_text.py"
    bad = [f"{path}:{number}" for path in files(".h", ".cc", ".py", ".proto", ".def", ".build", ".md") if str(path) != me
           for number, line in enumerate(read(path).splitlines(), 1) if pattern.search(line)]
    assert bad == []


def test_documents_point_at_files_that_are_there():
    """Links between the repository's own documents."""
    bad = []
    for path in files(".md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", read(path)):
            if not (TOP / path.parent / target).exists():
                bad.append(f"{path}: {target}")
    assert bad == []
