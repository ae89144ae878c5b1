"""Fixtures of the system tests: the programs as built, a node for a file of tests, and what a failed test should show."""

import os
import pathlib
import signal

import pytest

from harness.leaks import difference, machine_state
from harness.node import WORLD_IPV4, WORLD_IPV6, Node
from harness.witness import Witness

PROGRAMS = pathlib.Path(os.environ.get("MILLRACE_PROGRAMS", pathlib.Path(__file__).parents[2] / "build" / "bin"))


def pytest_configure():
    """A test run that is told to end takes its nodes down first, as it does with Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


_figures = []


@pytest.fixture
def figure():
    """figure(text): a measured value that a person should see, also when the test has passed."""
    return _figures.append


def pytest_terminal_summary(terminalreporter):
    for text in _figures:
        terminalreporter.write_line(f"figure: {text}")


@pytest.fixture(scope="session")
def programs():
    missing = [name for name in ("millraced", "millrace-agent", "millrace", "millrace-cni") if not (PROGRAMS / name).exists()]
    assert not missing, f"{PROGRAMS} has no {', '.join(missing)}: run ./x build"
    return PROGRAMS


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind():
    """The machine after all tests is the machine before them."""
    before = machine_state()
    yield
    assert difference(before, machine_state()) == []


@pytest.fixture(scope="module")
def make_node(programs, request):
    """Nodes that last for one file of tests: make_node(config...) brings one up."""
    made = []

    def make(prefix="test", **config):
        node = Node(programs, prefix, config)
        made.append(node)
        return node.up()

    request.module.nodes_made = made
    yield make
    for node in made:
        node.destroy()


@pytest.fixture(scope="module")
def node(make_node):
    """A node with the default configuration."""
    return make_node()


@pytest.fixture(scope="module")
def pods(node):
    """Two pods, `a` and `b`."""
    return node.add_pod("a"), node.add_pod("b")


@pytest.fixture(scope="module")
def witness(node):
    """The port of a server in the world beyond the node."""
    with Witness(node.world, [WORLD_IPV4, WORLD_IPV6], 7100, "world"):
        yield 7100


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last lines of its nodes' logs."""
    report = (yield).get_result()
    if report.failed:
        for node in getattr(item.module, "nodes_made", []):
            for program in ("millraced", "millrace-agent"):
                log = node.instance.log(program).strip()
                if log:
                    report.sections.append((f"{node.netns.name}: {program}", "\n".join(log.split("\n")[-30:])))
