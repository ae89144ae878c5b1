"""NetworkPolicies on real pods: nine of them in three namespaces, two ports, three protocols, every pair in each case.

Pods are called x/a ... z/c: namespaces x, y, z have the label ns, pods a, b, c the label pod. What each case allows is
written beside it as a person reads the policy (KUBERNETES.md section 2), not computed from it.
"""

import ipaddress
import itertools
import textwrap

import pytest

from harness.reachability import Reachability, difference_text

NAMESPACES, PODS, PORTS = "xyz", "abc", (80, 81)
NAMES = [f"{ns}/{pod}" for ns in NAMESPACES for pod in PODS]


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("policy")


@pytest.fixture(scope="module")
def pods(node):
    """Port 80 is called `web` in a and b; in c the name means 81. `low` is UDP 80 everywhere."""
    for ns in NAMESPACES:
        apply(node, f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {ns}, labels: {{ns: {ns}}}}}")
    made = {}
    for ns, pod in itertools.product(NAMESPACES, PODS):
        web = "web:81" if pod == "c" else "web:80"
        made[f"{ns}/{pod}"] = node.add_pod(pod, "--label", f"pod={pod}", "--port", web, "--port", "low:80/UDP", namespace=ns)
    return made


@pytest.fixture(scope="module")
def reach(pods):
    with Reachability(pods, {name: pod.ipv4 for name, pod in pods.items()}, PORTS) as made:
        yield made


@pytest.fixture(scope="module")
def reach6(pods):
    with Reachability(pods, {name: pod.ipv6 for name, pod in pods.items()}, PORTS) as made:
        yield made


def apply(node, text, **options):
    return node.instance.cli("apply", "-f", "-", input=text, **options)


def policy(name, ns, spec):
    return (f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {ns}}}\nspec:\n" +
            textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ") + "\n")


class Policies:
    """Applied for one test, and gone after it."""

    def __init__(self, node):
        self.node, self.names = node, []

    def apply(self, *policies):
        """Each is (name, namespace, spec)."""
        for name, ns, _ in policies:
            if (name, ns) not in self.names:
                self.names.append((name, ns))
        apply(self.node, "---\n".join(policy(*each) for each in policies))

    def delete(self):
        for name, ns in self.names:
            self.node.instance.cli("delete", "networkpolicy", name, "-n", ns)
        self.names = []


@pytest.fixture
def policies(node):
    made = Policies(node)
    yield made
    made.delete()


def check(reach, allowed):
    """`allowed(source namespace, source pod, target namespace, target pod, protocol, port)`."""
    expected = {key for key in reach.keys() if allowed(*key[0].split("/"), *key[1].split("/"), *key[2:])}
    found = reach.table()
    assert found == expected, difference_text(found, expected)


def into(ns, pods, peers):
    """The table of policies about what comes into `pods` of `ns`: all else is open."""
    return lambda sns, sp, tns, tp, protocol, port: tns != ns or tp not in pods or peers(sns, sp, tp, protocol, port)


def out_of(ns, pods, peers):
    return lambda sns, sp, tns, tp, protocol, port: sns != ns or sp not in pods or peers(tns, tp, protocol, port)


A_OF_X = "podSelector: {matchLabels: {pod: a}}\n"
CASES = {
    "no policy": ([], lambda *_: True),
    "no ingress into a namespace": ([("deny", "x", "podSelector: {}\npolicyTypes: [Ingress]")],
                                    into("x", "abc", lambda *_: False)),
    "no egress out of a namespace": ([("deny", "x", "podSelector: {}\npolicyTypes: [Egress]")],
                                     out_of("x", "abc", lambda *_: False)),
    "neither": ([("deny", "x", "podSelector: {}\npolicyTypes: [Ingress, Egress]")],
                lambda sns, sp, tns, *_: "x" not in (sns, tns)),
    "policyTypes left out is ingress": ([("deny", "x", "podSelector: {}")], into("x", "abc", lambda *_: False)),
    "an empty rule allows all": ([("allow", "x", "podSelector: {}\ningress: [{}]")], lambda *_: True),
    "an empty from and empty ports do not restrict": (
        [("allow", "x", "podSelector: {}\ningress: [{from: [], ports: []}]")], lambda *_: True),
    "policies are a union": ([("deny", "x", "podSelector: {}"), ("allow", "x", A_OF_X + "ingress: [{}]")],
                             into("x", "bc", lambda *_: False)),
    "pods of the policy's own namespace": (
        [("own", "x", A_OF_X + "ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]")],
        into("x", "a", lambda sns, sp, *_: (sns, sp) == ("x", "b"))),
    "all pods of its own namespace": ([("own", "x", A_OF_X + "ingress: [{from: [{podSelector: {}}]}]")],
                                      into("x", "a", lambda sns, *_: sns == "x")),
    "a namespace": ([("ns", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}}]}]")],
                    into("x", "a", lambda sns, *_: sns == "y")),
    "every namespace": ([("ns", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {}}]}]")], lambda *_: True),
    "a namespace by its name": (
        [("ns", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: z}}}]}]")],
        into("x", "a", lambda sns, *_: sns == "z")),
    "pod and namespace in one peer": (
        [("and", "x", A_OF_X + """\
ingress:
- from:
  - namespaceSelector: {matchLabels: {ns: y}}
    podSelector: {matchLabels: {pod: b}}
""")], into("x", "a", lambda sns, sp, *_: (sns, sp) == ("y", "b"))),
    "pod or namespace in two peers": (
        [("or", "x", A_OF_X + """\
ingress:
- from:
  - namespaceSelector: {matchLabels: {ns: y}}
  - podSelector: {matchLabels: {pod: b}}
""")], into("x", "a", lambda sns, sp, *_: sns == "y" or (sns, sp) == ("x", "b"))),
    "In": ([("in", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: In, "
                        "values: [y, z]}]}}]}]")], into("x", "a", lambda sns, *_: sns in "yz")),
    "NotIn": ([("not-in", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: "
                               "NotIn, values: [y]}]}}]}]")], into("x", "a", lambda sns, *_: sns != "y")),
    "Exists and DoesNotExist": (
        [("exists", "x", A_OF_X + """\
ingress:
- from: [{podSelector: {matchExpressions: [{key: pod, operator: Exists}, {key: other, operator: DoesNotExist}]}}]
""")], into("x", "a", lambda sns, *_: sns == "x")),
    "In and NotIn choose the isolated pods": (
        [("some", "x", "podSelector: {matchExpressions: [{key: pod, operator: NotIn, values: [c]}]}")],
        into("x", "ab", lambda *_: False)),
    "a port is TCP unless it says": ([("port", "x", A_OF_X + "ingress: [{ports: [{port: 80}]}]")],
                                     into("x", "a", lambda sns, sp, tp, protocol, port: (protocol, port) == ("TCP", 80))),
    "a protocol without a port is all of its ports": (
        [("udp", "x", A_OF_X + "ingress: [{ports: [{protocol: UDP}]}]")],
        into("x", "a", lambda sns, sp, tp, protocol, port: protocol == "UDP")),
    "SCTP opens nothing for TCP": ([("sctp", "x", A_OF_X + "ingress: [{ports: [{protocol: SCTP, port: 81}]}]")],
                                   into("x", "a", lambda sns, sp, tp, protocol, port: (protocol, port) == ("SCTP", 81))),
    "two ports of one rule": (
        [("ports", "x", A_OF_X + "ingress: [{ports: [{port: 80}, {protocol: UDP, port: 81}]}]")],
        into("x", "a", lambda sns, sp, tp, *at: at in (("TCP", 80), ("UDP", 81)))),
    "endPort is part of the range": ([("range", "x", A_OF_X + "ingress: [{ports: [{port: 79, endPort: 80}]}]")],
                                     into("x", "a", lambda sns, sp, tp, *at: at == ("TCP", 80))),
    "a range over both": ([("range", "x", A_OF_X + "ingress: [{ports: [{port: 80, endPort: 81}]}]")],
                          into("x", "a", lambda sns, sp, tp, protocol, port: protocol == "TCP")),
    "a named port is each pod's own": (
        [("named", "x", "podSelector: {}\ningress: [{ports: [{port: web}]}]")],
        into("x", "abc", lambda sns, sp, tp, *at: at == ("TCP", 81 if tp == "c" else 80))),
    "a named port of another protocol is another name": (
        [("named", "x", A_OF_X + "ingress: [{ports: [{protocol: UDP, port: web}]}]")], into("x", "a", lambda *_: False)),
    "a name that nobody serves matches nothing": (
        [("named", "x", A_OF_X + "ingress: [{ports: [{port: nothing}]}]")], into("x", "a", lambda *_: False)),
    "egress to a named port is the destination's": (
        [("named", "x", A_OF_X + "policyTypes: [Egress]\negress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}]")],
        out_of("x", "a", lambda tns, tp, *at: at == ("TCP", 81 if tp == "c" else 80))),
    "egress to a namespace at a port": (
        [("egress", "x", A_OF_X + "policyTypes: [Egress]\negress: [{to: [{namespaceSelector: {matchLabels: {ns: y}}}], "
                         "ports: [{port: 80}]}]")],
        out_of("x", "a", lambda tns, tp, *at: tns == "y" and at == ("TCP", 80))),
    "egress rules alone isolate both ways": (
        [("both", "x", A_OF_X + "egress: [{to: [{podSelector: {}}]}]")],
        lambda sns, sp, tns, tp, *_: (tns, tp) != ("x", "a") and ((sns, sp) != ("x", "a") or tns == "x")),
    "rules of a direction that is not among the types do nothing": (
        [("egress", "x", A_OF_X + "policyTypes: [Egress]\ningress: [{from: [{podSelector: {}}]}]\negress: [{}]")],
        lambda *_: True),
    "source and destination must both allow": (
        [("out", "x", A_OF_X + "policyTypes: [Egress]\negress: [{to: [{namespaceSelector: {matchLabels: {ns: y}}}]}]"),
         ("in", "y", "podSelector: {matchLabels: {pod: b}}\ningress: [{from: [{namespaceSelector: {matchLabels: {ns: z}}}]}]")],
        lambda sns, sp, tns, tp, *_: ((sns, sp) != ("x", "a") or tns == "y") and ((tns, tp) != ("y", "b") or sns == "z")),
    "two rules of one policy are a union": (
        [("two", "x", A_OF_X + """\
ingress:
- from: [{namespaceSelector: {matchLabels: {ns: y}}}]
  ports: [{port: 80}]
- from: [{namespaceSelector: {matchLabels: {ns: z}}}]
  ports: [{port: 81}]
""")], into("x", "a", lambda sns, sp, tp, *at: (sns, *at) in (("y", "TCP", 80), ("z", "TCP", 81)))),
    "a policy of one namespace says nothing about another": (
        [("deny", "y", A_OF_X)], into("y", "a", lambda *_: False)),
}


@pytest.mark.parametrize("case", CASES)
def test_who_reaches_whom(reach, policies, case):
    wanted, allowed = CASES[case]
    if wanted:
        policies.apply(*wanted)
    check(reach, allowed)


@pytest.mark.parametrize("case", ["no ingress into a namespace", "pod and namespace in one peer",
                                  "egress to a named port is the destination's", "no policy"])
def test_who_reaches_whom_over_ipv6(reach6, policies, case):
    wanted, allowed = CASES[case]
    if wanted:
        policies.apply(*wanted)
    check(reach6, allowed)


@pytest.mark.parametrize("version", [4, 6])
def test_blocks_of_addresses(request, pods, policies, version):
    reach = request.getfixturevalue("reach" if version == 4 else "reach6")
    host = "32" if version == 4 else "128"
    address = {name: next(a for a in pod.addresses if ipaddress.ip_address(a).version == version)
               for name, pod in pods.items()}
    whole = "10.244.0.0/16" if version == 4 else "fd00:10:244::/112"
    block = f"ipBlock: {{cidr: '{whole}', except: ['{address['y/a']}/{host}', '{address['z/b']}/{host}']}}"
    policies.apply(("blocks", "x", A_OF_X + f"ingress: [{{from: [{{{block}}}]}}]"))
    check(reach, into("x", "a", lambda sns, sp, *_: (sns, sp) not in (("y", "a"), ("z", "b"))))
    # What one block excepts another rule may allow.
    policies.apply(("again", "x", A_OF_X + f"ingress: [{{from: [{{ipBlock: {{cidr: '{address['y/a']}/{host}'}}}}], "
                                           "ports: [{port: 80}]}]"))
    check(reach, into("x", "a", lambda sns, sp, tp, *at: (sns, sp) not in (("y", "a"), ("z", "b")) or
                      ((sns, sp) == ("y", "a") and at == ("TCP", 80))))
    policies.apply(("out", "z", f"podSelector: {{}}\npolicyTypes: [Egress]\negress: [{{to: [{{{block}}}]}}]"))
    check(reach, lambda sns, sp, tns, tp, *at:
          ((tns, tp) != ("x", "a") or (sns, sp) not in (("y", "a"), ("z", "b")) or
           ((sns, sp) == ("y", "a") and at == ("TCP", 80))) and
          (sns != "z" or (tns, tp) not in (("y", "a"), ("z", "b"))))


def test_labels_change_what_a_policy_means(node, reach, policies):
    policies.apply(("ns", "x", A_OF_X + "ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}, "
                              "podSelector: {matchLabels: {color: blue}}}]}]"))
    check(reach, into("x", "a", lambda *_: False))

    def relabel(kind, ns, name, labels, spec=""):
        where = f"name: {name}" + (f", namespace: {ns}" if ns else "")
        apply(node, f"apiVersion: v1\nkind: {kind}\nmetadata: {{{where}, labels: {labels}}}\n{spec}")

    ports = "spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}, {name: low, containerPort: 80, " \
            "protocol: UDP}]}]}\n"
    try:
        relabel("Pod", "y", "b", "{pod: b, color: blue}", ports)
        check(reach, into("x", "a", lambda *_: False))
        relabel("Namespace", "", "y", "{ns: y, team: red}")
        check(reach, into("x", "a", lambda sns, sp, *_: (sns, sp) == ("y", "b")))
        relabel("Pod", "x", "a", "{pod: other}", ports)  # no longer chosen
        check(reach, lambda *_: True)
        relabel("Pod", "x", "a", "{pod: a}", ports)
        relabel("Namespace", "", "y", "{ns: y}")
        check(reach, into("x", "a", lambda *_: False))
    finally:
        relabel("Pod", "y", "b", "{pod: b}", ports)
        relabel("Pod", "x", "a", "{pod: a}", ports)
        relabel("Namespace", "", "y", "{ns: y}")


def test_a_bad_policy_is_refused_and_the_old_one_stays(node, reach, policies):
    policies.apply(("deny", "x", "podSelector: {}"))
    done = apply(node, policy("deny", "x", "podSelector: {}\ningress: [{ports: [{port: 81, endPort: 80}]}]"), check=False)
    assert done.returncode == 1
    assert "spec.ingress[0].ports[0].endPort: 80 is below port 81" in done.stderr
    check(reach, into("x", "abc", lambda *_: False))


def test_the_node_reaches_its_pods_and_a_pod_itself(node, pods, policies):
    policies.apply(("deny", "x", "podSelector: {}\npolicyTypes: [Ingress, Egress]"))
    for address in pods["x/a"].addresses:
        node.netns.run("ping", "-c", "1", "-W", "2", address)
        pods["x/a"].run("ping", "-c", "1", "-W", "2", address)
    assert pods["y/a"].run("ping", "-c", "1", "-W", "1", pods["x/a"].ipv4, check=False).returncode != 0
