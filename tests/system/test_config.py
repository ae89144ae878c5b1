"""A config full of errors: each is refused with file, line, key and what is allowed, and nothing is started."""

import pytest

from harness.node import Node
from harness.process import run

CASES = [
    ("an unknown key", "pol: always\n", 1, "pol", "poll"),
    ("a wrong type", "nodeName: x\nmtu: large\n", 2, "mtu", "576"),
    ("an impossible value", "logLevel: info\n\nmtu: 70000\n", 3, "mtu", "576"),
    ("an unknown choice", "poll: sometimes\n", 1, "poll", "adaptive"),
    ("an unknown nested key", "ipam:\n  ipv4:\n    pol: 10.0.0.0/8\n", 3, "ipam.ipv4.pol", "pool"),
    ("a pool that is no prefix", "ipam:\n  ipv4:\n    pool: 10.244.0.0/99\n", 3, "ipam.ipv4.pool", "prefix"),
    ("a block larger than the pool", "ipam:\n  ipv4:\n    pool: 10.244.0.0/24\n    blockLength: 16\n", None,
     "ipam.ipv4.blockLength", "24"),
    ("a MAC that is multicast", "gateway:\n  mac: 01:00:5e:00:00:01\n", 2, "gateway.mac", "unicast"),
    ("a list where a number belongs", "portLimit: [1, 2]\n", 1, "portLimit", "integer"),
    ("a key given twice", "mtu: 1500\nmtu: 1400\n", 2, "mtu", ""),
    ("no YAML", "mtu: [1500\n", None, "", ""),
    ("a relative path", "runtimeDir: run\n", 1, "runtimeDir", "absolute"),
]


@pytest.mark.parametrize("text, line, key, allowed", [pytest.param(*case[1:], id=case[0]) for case in CASES])
@pytest.mark.parametrize("program", ["millrace", "millraced", "millrace-agent"])
def test_a_bad_config_is_refused(programs, tmp_path, program, text, line, key, allowed):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    argv = [programs / program, "--config", file] + (["status"] if program == "millrace" else [])
    done = run(argv, check=False, timeout_s=10)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"{file}:{line}:" in printed if line else str(file) in printed
    assert key in printed and allowed in printed


def test_up_with_a_bad_config_starts_nothing(programs):
    node = Node(programs, "test")
    try:
        node.make_networks()
        node.instance.config_file.write_text("poll: never\n")
        done = node.instance.cli("up", check=False)
        assert done.returncode != 0 and "poll" in done.stdout + done.stderr
        assert node.instance.pids() == {}
    finally:
        node.destroy()


def test_a_file_that_was_named_must_be_there(programs, tmp_path):
    done = run([programs / "millrace", "--config", tmp_path / "none.yaml", "status"], check=False)
    assert done.returncode != 0 and "none.yaml" in done.stdout + done.stderr


@pytest.mark.parametrize("program", ["millrace", "millraced", "millrace-agent"])
def test_help_lists_every_key(programs, program):
    shown = run([programs / program, "--help"]).stdout
    for key in ("poll", "workers.cpus", "ipam.ipv4.pool", "memory.hugepages", "runtimeDir"):
        assert key in shown, key
