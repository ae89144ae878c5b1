"""RFC 9693 with a real table: how many connections the switch follows, at which rate they come to be, and what it does
with those that are there. Between trials its table is emptied as a person would: `millrace flows flush`."""

import pytest

from harness.generator import Generator, packets
from harness.services import service

FLOWS = 1024  # flows.limit: of IPv4, all of one worker. A connection by a Service is one flow, with both its tuples.
PRESSURE = 0.95  # from here on a flow that waits for its first answer may be given up for a new one; no answered one is
PRECISION = 0.05


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("genc", flows={"limit": FLOWS}, workers={"count": 1})


@pytest.fixture(scope="module")
def pods(node):
    ports = ("--label", "app=web", "--port", "http:8080/tcp", "--port", "http-udp:8080/udp")
    return [node.add_pod(name, "--type", "vhost-user", *more) for name, more in (("client", ()), ("web", ports))]


@pytest.fixture(scope="module")
def generator(programs, pods):
    return Generator.of_pods(programs, *pods)


@pytest.fixture(scope="module")
def flush(node):
    return " ".join(map(str, node.instance.cli_command("flows", "flush")))


@pytest.fixture
def stream(node, pods, flush):
    client, _ = pods
    with service(node, "web") as addresses:
        yield packets(client, addresses[4], 80, "--echo", "1", "--reset", flush)


def rows(result):
    return {row["name"]: row for row in result["result"]["rows"]}


def entries(node):
    tables = node.instance.query("status")["switch"]["tables"]
    return next(table["used"] for table in tables if table["name"] == "flows_ipv4")


def test_connections_are_established_and_counted(generator, stream):
    found = rows(generator("test", "connection-rate", *stream, "--flows", "500", "--most", "5kpps", "--precision",
                           "0.5"))["connections"]
    assert found["connections"] == 500
    assert found["established_per_second"] > 0


def test_a_flush_tears_down_what_was_established(node, generator, stream):
    torn = rows(generator("test", "connection-teardown", *stream, "--flows", "500", "--establish-rate",
                          "2kpps"))["connections"]
    assert torn["connections"] > 250 and torn["teardown_seconds"] > 0
    assert entries(node) == 0, "it ends with the flush"


def test_the_capacity_found_is_that_of_the_table(generator, stream):
    """Never more than the table holds; and, where the machine leaves the generator its time, no less than what it holds
    before it comes under pressure, to the precision of the search."""
    found = []
    for _ in range(3):
        result = generator("test", "connection-capacity", *stream, "--establish-rate", "5kpps", "--least-connections",
                           "512", "--most-connections", "4096", "--precision", str(PRECISION), timeout_s=240)
        assert any(not point["passed"] for point in result["result"]["points"])
        found.append(rows(result)["capacity"])
        assert found[-1]["connections"] <= FLOWS, found
        if found[-1]["connections"] >= FLOWS * PRESSURE * (1 - PRECISION):
            return
    raise AssertionError(found)


def test_connections_beyond_the_table_are_told_and_no_trial_over_them_passes(generator, stream):
    too_many = generator("test", "throughput", *stream, "--flows", str(2 * FLOWS), "--established", "--establish-rate",
                         "5kpps", "--seconds", "0.2", "--most", "5kpps", "--precision", "0.5", timeout_s=120)
    assert rows(too_many)["streams"]["throughput_pps"] == 0
    assert all(point["not_established"] >= FLOWS / 2 for point in too_many["result"]["points"])
