"""Services on a node of the tests: the world's way to their addresses, manifests that are there while a test needs
them, and pods that are their backends."""

import contextlib
import json

from . import node as nodes

NODE = {4: nodes.NODE_IPV4, 6: nodes.NODE_IPV6}
WORLD = {4: nodes.WORLD_IPV4, 6: nodes.WORLD_IPV6}
# Addresses that are routed to the node and no interface has: for externalIPs and load balancers.
EXTERNAL_IP = {4: "198.51.100.10", 6: "2001:db8:51::10"}
BALANCER_IP = {4: "198.51.100.20", 6: "2001:db8:51::20"}
_ROUTED = {4: ("10.96.0.0/12", "198.51.100.0/24"), 6: ("fd00:10:96::/112", "2001:db8:51::/64")}
_POOLS = ("10.244.0.0/16", "fd00:10:244::/112")

_SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: %(name)s
spec:
  type: %(kind)s
  ipFamilyPolicy: PreferDualStack
  %(selector)s
  %(more)s
  ports:
  - {name: tcp, port: 80, targetPort: http, protocol: TCP%(node_port)s}
  - {name: udp, port: 80, targetPort: http-udp, protocol: UDP%(node_port)s}
status:
  loadBalancer: {ingress: %(ingress)s}
"""


def show_services_alone(node):
    """The world knows the node, and that services are behind it; of pods it knows nothing."""
    for pool in _POOLS:
        node.world.ip("route", "del", pool)
    for family, ranges in _ROUTED.items():
        for destination in ranges:
            node.world.ip("route", "add", destination, "via", NODE[family])


@contextlib.contextmanager
def service(node, name, kind="ClusterIP", app="web", more="", node_port=0, ingress=()):
    """A Service while the context is open; its addresses by family. `app` None: without a selector."""
    node.instance.cli("apply", "-f", "-", input=_SERVICE % {
        "name": name, "kind": kind, "more": more, "selector": f"selector: {{app: {app}}}" if app else "",
        "node_port": f", nodePort: {node_port}" if node_port else "",
        "ingress": json.dumps([{"ip": address} for address in ingress])})
    try:
        shown = node.instance.query("get", "svc", name)
        yield {6 if ":" in address else 4: address for address in shown["spec"]["clusterIPs"]}
    finally:
        node.instance.cli("delete", "svc", name)


def slice_of(service_name, family, endpoints, port=8080):
    """EndpointSlice of both of a service's ports; `endpoints` as the API has them."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
            "metadata": {"name": f"{service_name}-ipv{family}", "labels": {"kubernetes.io/service-name": service_name}},
            "ports": [{"name": protocol.lower(), "port": port, "protocol": protocol} for protocol in ("TCP", "UDP")],
            "endpoints": endpoints}


@contextlib.contextmanager
def applied(node, objects):
    """Objects while the context is open."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    node.instance.cli("apply", "-f", "-", input=text)
    try:
        yield
    finally:
        node.instance.cli("delete", "-f", "-", input=text)


def add_backend(node, name, app="web"):
    """A pod that has the ports of the services here."""
    return node.add_pod(name, "--label", f"app={app}", "--port", "http:8080/tcp", "--port", "http-udp:8080/udp")


def node_addresses(family):
    """What a server sees instead of a client that is masqueraded."""
    return {NODE[family], "10.244.0.1" if family == 4 else "fd00:10:244::1"}
