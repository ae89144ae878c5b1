"""Kubernetes objects on a machine without Kubernetes: apply, get and delete, as a person does it."""

import json
import pathlib
import socket

import pytest

MANIFESTS = pathlib.Path(__file__).parents[1] / "kube" / "manifests"


def get(node, *words):
    return json.loads(node.instance.cli("get", *words, "-o", "json").stdout)


def apply(node, text, *options, **run_options):
    return node.instance.cli("apply", "-f", "-", *options, input=text, **run_options)


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"""


def test_a_tutorials_manifest_goes_in_comes_out_and_goes_away(node):
    file = MANIFESTS / "guestbook-frontend.yaml"
    cli = node.instance.cli
    wanted = ["namespace/guestbook", "service/frontend", "pod/frontend-0"]
    assert cli("apply", "-f", file, "--dry-run").stdout.splitlines() == [f"{one} created (dry run)" for one in wanted]
    assert cli("get", "svc", "-n", "guestbook").stderr == "No resources found in guestbook namespace.\n"
    assert cli("apply", "-f", file).stdout.splitlines() == [f"{one} created" for one in wanted]
    assert cli("apply", "-f", file).stdout.splitlines() == [f"{one} unchanged" for one in wanted]
    service = get(node, "svc", "frontend", "-n", "guestbook")
    assert service["spec"]["ports"] == [{"nodePort": 30500, "port": 80, "protocol": "TCP", "targetPort": 80}]
    assert service["spec"]["clusterIP"].startswith("10.")
    shown = cli("get", "svc", "frontend", "-n", "guestbook", "-o", "yaml").stdout
    assert apply(node, shown).stdout == "service/frontend unchanged\n"
    assert cli("delete", "-f", file).stdout.splitlines() == [f"{one} deleted" for one in wanted]
    assert "guestbook" not in cli("get", "ns").stdout


def test_a_mistake_is_told_with_its_line_and_changes_nothing(node):
    bad = SERVICE % "good" + "---" + SERVICE.replace("80", "70000") % "bad"
    done = apply(node, bad, check=False)
    assert done.returncode == 1
    assert done.stderr == "millrace: stdin:16: spec.ports[0].port: 70000; allowed: 1..65535\n"
    assert get(node, "svc")["items"] == []


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {role: db}}
  ingress:
  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
    ports: [{port: 5432, endPort: 5440}]
"""


def test_a_network_policy_goes_in_comes_out_and_goes_away(node):
    cli = node.instance.cli
    assert apply(node, POLICY).stdout == "networkpolicy.networking.k8s.io/db created\n"
    table = [line.split()[:3] for line in cli("get", "netpol").stdout.splitlines()]
    assert table == [["NAME", "POD-SELECTOR", "POLICY-TYPES"], ["db", "role=db", "Ingress"]]
    assert apply(node, cli("get", "networkpolicy", "db", "-o", "yaml").stdout).stdout.endswith("/db unchanged\n")
    bad = apply(node, POLICY.replace("endPort: 5440", "endPort: 5"), check=False)
    assert bad.returncode == 1
    assert bad.stderr == (
        "millrace: stdin:9: spec.ingress[0].ports[0].endPort: 5 is below port 5432; allowed: 5432..65535\n"
    )
    kept = get(node, "networkpolicies", "db")["spec"]
    assert kept["ingress"][0]["ports"] == [{"port": 5432, "endPort": 5440, "protocol": "TCP"}]
    assert kept["policyTypes"] == ["Ingress"]
    assert cli("delete", "netpol", "db").stdout == "networkpolicy.networking.k8s.io/db deleted\n"
    assert cli("get", "netpol").stderr == "No resources found in default namespace.\n"


def test_a_conflict_names_the_service_that_has_the_address(node):
    apply(node, SERVICE % "first")
    address = get(node, "svc", "first")["spec"]["clusterIP"]
    second = (SERVICE % "second").replace("type: NodePort", f"clusterIP: {address}")
    done = apply(node, second, check=False)
    assert done.returncode == 1
    assert done.stderr == (f"millrace: millrace-agent: service/default/second: spec.clusterIP: {address} is in use by "
                           "service default/first\n")
    assert node.instance.cli("delete", "svc", "first").stdout == "service/first deleted\n"
    done = node.instance.cli("delete", "svc", "first", check=False)
    assert (done.returncode, done.stderr) == (1, "millrace: millrace-agent: service/default/first: is not there\n")


def test_a_pod_of_pod_add_is_a_pod(node):
    pod = node.add_pod("web", "--label", "app=web", "--port", "http:8080")
    shown = get(node, "po", "web")
    assert shown["metadata"]["labels"] == {"app": "web"}
    assert shown["status"]["podIP"] == pod.ipv4 and shown["status"]["phase"] == "Running"
    assert pod.ipv4 in node.instance.cli("get", "pods", "-A", "-o", "wide").stdout
    refused = node.instance.cli("delete", "pod", "web", check=False)
    assert refused.returncode == 1 and "millrace pod del web --namespace default" in refused.stderr
    node.delete_pod("web")
    assert node.instance.cli("get", "po", "web", check=False).returncode == 1


def test_a_pods_manifest_may_come_before_the_pod(node):
    manifest = (MANIFESTS / "nginx-pod-and-service.yaml").read_text()
    apply(node, manifest)
    assert get(node, "po", "nginx")["status"]["phase"] == "Pending"
    pod = node.add_pod("nginx")
    shown = get(node, "po", "nginx")
    assert shown["status"]["podIP"] == pod.ipv4
    assert shown["metadata"]["labels"] == {"app.kubernetes.io/name": "proxy"}
    node.delete_pod("nginx")
    node.instance.cli("delete", "svc", "nginx-service")


def test_a_service_leads_to_its_pod(node):
    """Named target port, selector by label, an address that apply has given: what a tutorial shows first."""
    web = node.add_pod("web", "--label", "app=web", "--port", "http:8080")
    client = node.add_pod("client")
    apply(node, SERVICE % "web")
    address = get(node, "svc", "web")["spec"]["clusterIP"]
    with web.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((web.ipv4, 8080))
        server.listen()
        with client.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect((address, 80))
            with server.accept()[0] as accepted:
                assert accepted.getpeername()[0] == client.ipv4, "a pod's own address is what the backend sees"
                accepted.sendall(b"hello")
                assert connection.recv(5) == b"hello"
        assert f"{web.ipv4}:8080" in node.instance.cli("get", "ep", "web").stdout
        assert web.ipv4 in node.instance.cli("get", "endpointslices").stdout
        shown = get(node, "endpointslices")["items"]
        assert [one["endpoints"][0]["targetRef"]["name"] for one in shown] == ["web"]
        node.instance.cli("delete", "svc", "web")
        with client.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            with pytest.raises(OSError):
                connection.connect((address, 80))
    for name in ("web", "client"):
        node.delete_pod(name)


def test_objects_survive_the_agent(node):
    apply(node, SERVICE % "lasting")
    before = get(node, "svc", "lasting")
    node.instance.kill("millrace-agent")
    node.instance.up()
    assert get(node, "svc", "lasting") == before
    node.instance.cli("delete", "svc", "lasting")


@pytest.mark.parametrize("words", [["get", "deployments"], ["delete", "svc"], ["delete", "-f", "/nowhere.yaml"]])
def test_words_that_mean_nothing_are_refused(node, words):
    done = node.instance.cli(*words, check=False)
    assert done.returncode in (1, 2) and done.stderr.startswith("millrace: ")
