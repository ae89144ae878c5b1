"""NetworkPolicy in time: from a pod's first packet on, and on live connections when it changes."""

import concurrent.futures
import contextlib
import secrets
import socket
import threading
import time

import pytest

from harness.cni import Cni
from harness.netns import Netns
from harness.process import wait_until

MARK = b"through"
GUARDED = """
apiVersion: v1
kind: Namespace
metadata: {name: guarded}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nothing-out, namespace: guarded}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nothing-in, namespace: default}
spec:
  podSelector: {matchLabels: {app: closed}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
"""
ENFORCED_WITHIN_S = 0.1


@pytest.fixture(scope="module")
def node(make_node):
    made = make_node("polchange")
    apply(made, GUARDED)
    return made


def apply(node, text, **options):
    return node.instance.cli("apply", "-f", "-", input=text, **options)


class Eager:
    """Sockets in many namespaces that send to `servers` over and over, whether there is a way yet or not."""

    def __init__(self, places, servers):
        self.sockets = [place.socket(socket.AF_INET, socket.SOCK_DGRAM) for place in places]
        self.sent = [0] * len(places)
        self.servers = servers
        self.targets = [server.getsockname() for server in servers]
        self.heard = [[] for _ in servers]  # sources, of each server
        for each in self.sockets:
            each.setblocking(False)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self):
        while not self._end.wait(0.001):
            for index, each in enumerate(self.sockets):
                for target in self.targets:
                    with contextlib.suppress(OSError):  # no interface, no route: not yet
                        each.sendto(MARK, target)
                        self.sent[index] += 1
            for server, heard in zip(self.servers, self.heard):
                heard += received(server)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        for each in self.sockets:
            each.close()


def received(server):
    """Sources of all that waits at a socket."""
    sources = []
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sources.append(server.recvfrom(64)[1][0])
    return sources


def udp_server(place, address, port):
    made = place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind((address, port))
    return made


def test_nothing_of_a_hundred_pods_that_send_at_once_comes_through(node, figure):
    """Half of them may send nothing, the others send to a pod that takes nothing from them."""
    cni = Cni(node.instance)
    open_pod, closed_pod = node.add_pod("open"), node.add_pod("closed", "--label", "app=closed")
    tag = secrets.token_hex(3)
    names = [f"mr-test-eager{number}-{tag}" for number in range(100)]

    def args(number):
        ns = "guarded" if number % 2 else "default"
        return f"K8S_POD_NAMESPACE={ns};K8S_POD_NAME=eager-{number};K8S_POD_INFRA_CONTAINER_ID=c;IgnoreUnknown=1"

    places = [Netns.create(name) for name in names]
    try:
        with udp_server(open_pod, open_pod.ipv4, 9) as at_open, udp_server(closed_pod, closed_pod.ipv4, 9) as at_closed, \
                Eager(places, [at_open, at_closed]) as eager, \
                concurrent.futures.ThreadPoolExecutor(16) as pool:
            results = list(pool.map(lambda number: cni.add(names[number], places[number].path, args=args(number)), range(100)))
            addresses = [result["ips"][0]["address"].split("/")[0] for result in results]
            # Those that may reach `open` do, so the others would, too; and each has sent more since it was attached.
            before = list(eager.sent)
            wait_until(lambda: set(eager.heard[0]) == set(addresses[0::2]), "every pod that may send is heard", 20)
            wait_until(lambda: all(now >= then + 10 for now, then in zip(eager.sent, before)), "every pod sends on", 20)
            figure(f"100 pods sent {sum(eager.sent)} packets from their start on; {len(eager.heard[0])} allowed ones arrived")
            assert eager.heard[1] == []
            assert set(eager.heard[0]) == set(addresses[0::2])
    finally:
        for number, place in enumerate(places):
            with contextlib.suppress(Exception):
                cni.delete(names[number], place.path, args=args(number))
            place.delete()
    assert node.instance.drops().get("policy_ingress", 0) > 50


@pytest.fixture
def pair(node):
    made = node.add_pod("client", "--label", "app=friend"), node.add_pod("server", "--label", "app=closed")
    yield made
    node.delete_pod("client")
    node.delete_pod("server")


class Talk:
    """A live flow: numbered questions on one UDP socket, and when each was answered."""

    def __init__(self, client, server):
        self.asking = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answering = udp_server(server, server.ipv4, 7)
        self.asking.connect((server.ipv4, 7))
        self.asking.settimeout(0.02)
        self.answering.settimeout(0.1)
        self.heard = []  # times at which a question came
        self.answers = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask), threading.Thread(target=self._answer)]

    def _ask(self):
        while not self._end.is_set():
            with contextlib.suppress(OSError):
                self.asking.send(b"?")
                self.asking.recv(64)
                self.answers.append(time.monotonic())
                self._end.wait(0.001)

    def _answer(self):
        while not self._end.is_set():
            with contextlib.suppress(OSError):
                _, peer = self.answering.recvfrom(64)
                self.heard.append(time.monotonic())
                self.answering.sendto(b"!", peer)

    def wait_for_answers(self, count):
        have, deadline = len(self.answers), time.monotonic() + 10
        while len(self.answers) < have + count:
            assert time.monotonic() < deadline, "no answers"
            time.sleep(0.01)

    def is_silent_after(self, moment, for_s=0.5):
        time.sleep(max(0, moment + for_s - time.monotonic()))
        return not any(at > moment for at in self.heard + self.answers)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for_answers(5)
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.asking.close()
        self.answering.close()


def pod(name, app):
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n" \
           "spec: {containers: [{name: c, image: none}]}\n"


DENY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny-out}\n" \
       "spec: {podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress]}\n"
CHANGES = {
    "a policy": (lambda node: apply(node, DENY), lambda node: node.instance.cli("delete", "netpol", "deny-out")),
    "the client's label": (lambda node: apply(node, pod("client", "stranger")),
                           lambda node: apply(node, pod("client", "friend"))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_reaches_a_live_flow(node, pair, change, figure):
    close, open_again = CHANGES[change]
    with Talk(*pair) as talk:
        close(node)
        returned = time.monotonic()
        assert talk.is_silent_after(returned + ENFORCED_WITHIN_S)
        last = max(talk.heard + talk.answers)
        figure(f"{change}: the last packet of the flow came {(last - returned) * 1000:+.1f} ms after apply returned")
        open_again(node)
        talk.wait_for_answers(5)


def test_a_flow_that_stays_allowed_loses_nothing(node, pair, figure):
    """A thousand questions, and policies that change around them every few."""
    client, server = pair
    with udp_server(server, server.ipv4, 11) as answering, client.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((server.ipv4, 11))
        asking.settimeout(2)
        answering.settimeout(2)
        changes = 0
        end = threading.Event()

        def change():
            nonlocal changes
            while not end.is_set():
                apply(node, DENY.replace("friend", "nobody"))
                node.instance.cli("delete", "netpol", "deny-out")
                changes += 2

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for number in range(1000):
                asking.send(str(number).encode())
                data, peer = answering.recvfrom(64)
                answering.sendto(data, peer)
                assert asking.recv(64) == str(number).encode()
                end.wait(0.003)
        finally:
            end.set()
            thread.join()
        figure(f"1000 questions and answers, none lost, during {changes} changes of policy")
        assert changes >= 4


def settled_drops(node, reason, wanted):
    """Drops by this reason once there are as many as wanted, or after a while."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: node.instance.drops().get(reason, 0) >= wanted, reason, timeout_s=3)
    return node.instance.drops().get(reason, 0)


def test_an_address_that_is_used_again_inherits_nothing(node):
    """The address of a friend goes to a stranger: neither its live flow nor its rights go with it."""
    server = node.add_pod("server", "--label", "app=closed")
    friend = node.add_pod("friend", "--label", "app=friend")
    address = friend.ipv4
    with udp_server(server, server.ipv4, 7) as answering:
        with friend.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((address, 4000))
            asking.sendto(b"friend", (server.ipv4, 7))
            answering.settimeout(2)
            assert answering.recvfrom(64) == (b"friend", (address, 4000))
        node.delete_pod("friend")
        stranger = node.add_pod("stranger", "--label", "app=stranger", "--ip", address)
        assert stranger.ipv4 == address
        with stranger.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((address, 4000))
            # A late answer to the friend is not the stranger's.
            answering.sendto(b"late", (address, 4000))
            asking.settimeout(0.5)
            with pytest.raises(TimeoutError):
                asking.recv(64)
            for _ in range(5):
                asking.sendto(b"stranger", (server.ipv4, 7))
            assert settled_drops(node, "policy_ingress", 5) >= 5
            assert received(answering) == []
    node.delete_pod("stranger")
    node.delete_pod("server")
