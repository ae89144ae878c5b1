"""An ingress: nginx in a pod behind a node port, which chooses a Service by host name and path. Backends are nginx, too,
and tell what has come to them."""

import contextlib
import json

import pytest

from harness import node as nodes
from harness.process import Background

NODE_PORT = 30080
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
NODE = {4: nodes.NODE_IPV4, 6: nodes.NODE_IPV6}
WORLD = {4: nodes.WORLD_IPV4, 6: nodes.WORLD_IPV6}

# Neither the host nor the path alone says which Service it is.
ROUTES = {("shop.example", "/pages/"): "pages", ("shop.example", "/api/"): "api",
          ("staff.example", "/pages/"): "api", ("staff.example", "/api/"): "pages"}

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %(name)s}
spec:
  type: %(type)s
  ipFamilyPolicy: RequireDualStack
  selector: {app: %(name)s}
  ports: [{name: http, port: 80, targetPort: http%(more)s}]
---
"""
CONFIG = """
user root;
worker_processes 1;
pid %(directory)s/pid;
error_log stderr notice;
events {}
http {
  access_log off;
  client_body_temp_path %(directory)s;
  proxy_temp_path %(directory)s;
  fastcgi_temp_path %(directory)s;
  uwsgi_temp_path %(directory)s;
  scgi_temp_path %(directory)s;
%(servers)s
}
"""


@contextlib.contextmanager
def nginx(place, directory, servers):
    """Debian's nginx with these server blocks, while the context is open."""
    directory.mkdir()
    config = directory / "nginx.conf"
    config.write_text(CONFIG % {"directory": directory, "servers": servers})
    with Background(place.command("nginx", "-e", "stderr", "-c", config, "-g", "daemon off;")) as server:
        server.wait_for_output("start worker process ")
        yield server


def backend_server(pod, name):
    """Tells its name, its client, and what the ingress says of the one who asked."""
    listen = f"listen {pod.ipv4}:8080; listen [{pod.ipv6}]:8080;"
    told = json.dumps({"name": name, "peer": "$remote_addr", "client": "$http_x_real_ip", "host": "$host", "path": "$uri"})
    return f"  server {{ {listen} default_type application/json; return 200 '{told}'; }}\n"


def ingress_servers(pod, cluster_ips):
    """One server a host name, one location a path, each to the Service's address."""
    text = ""
    for host in sorted({host for host, _ in ROUTES}):
        text += f"  server {{\n    listen {pod.ipv4}:8080; listen [{pod.ipv6}]:8080;\n    server_name {host};\n"
        for (of_host, path), service in ROUTES.items():
            if of_host == host:
                text += (f"    location {path} {{ proxy_pass http://{cluster_ips[service]}; proxy_set_header Host $host; "
                         "proxy_set_header X-Real-IP $remote_addr; }\n")
        text += "  }\n"
    return text


@pytest.fixture(scope="module", params=[0, 1], ids=["ClusterIP of IPv4", "ClusterIP of IPv6"])
def node(request, make_node, tmp_path_factory):
    """The whole of it. The world knows the node alone; the ingress knows its backends by ClusterIPs of one family."""
    made = make_node("ingress", uplink="auto")
    for pool in ("10.244.0.0/16", "fd00:10:244::/112"):
        made.world.ip("route", "del", pool)
    local = "\n  externalTrafficPolicy: Local"
    made.instance.cli("apply", "-f", "-", input="".join((
        SERVICE % {"name": "pages", "type": "ClusterIP", "more": ""}, SERVICE % {"name": "api", "type": "ClusterIP", "more": ""},
        SERVICE % {"name": "ingress", "type": "NodePort" + local, "more": f", nodePort: {NODE_PORT}"})))
    cluster_ips = {}
    for name in ("pages", "api"):
        address = made.instance.query("get", "svc", name)["spec"]["clusterIPs"][request.param]
        cluster_ips[name] = f"[{address}]" if ":" in address else address
    directory = tmp_path_factory.mktemp("nginx")
    with contextlib.ExitStack() as stack:
        for name in ("pages-0", "pages-1", "api-0"):
            pod = made.add_pod(name, "--label", f"app={name.split('-')[0]}", "--port", "http:8080")
            stack.enter_context(nginx(pod, directory / name, backend_server(pod, name)))
        pod = made.add_pod("ingress-0", "--label", "app=ingress", "--port", "http:8080")
        stack.enter_context(nginx(pod, directory / "ingress-0", ingress_servers(pod, cluster_ips)))
        yield made


def curl(place, family, host, path, times=1):
    """Answers of `times` requests on one connection. Fails on any status but 200."""
    address = f"[{NODE[family]}]" if family == 6 else NODE[family]
    done = place.run("curl", "--silent", "--show-error", "--fail", "--fail-early", "--max-time", 20, "--header",
                     f"Host: {host}", "--write-out", "\\n", f"http://{address}:{NODE_PORT}{path}?[1-{times}]")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@FAMILIES
@pytest.mark.parametrize("host, path", ROUTES, ids=["".join(route) for route in ROUTES])
def test_host_and_path_say_the_service(node, family, host, path):
    told = curl(node.world, family, host, f"{path}x")[0]
    assert told["name"].rsplit("-", 1)[0] == ROUTES[host, path]
    assert (told["host"], told["path"]) == (host, f"{path}x")
    assert told["client"] == WORLD[family], "externalTrafficPolicy Local: the ingress sees who asks"
    assert told["peer"] in node.pods["ingress-0"].addresses, "a pod that asks a ClusterIP is seen itself"


@FAMILIES
def test_every_page_of_many_comes_and_all_backends_share_them(node, family):
    """The client keeps one connection; the ingress opens one to the Service for each page."""
    told = curl(node.world, family, "shop.example", "/pages/x", times=1000)
    names = [answer["name"] for answer in told]
    assert len(names) == 1000 and set(names) == {"pages-0", "pages-1"}
    assert 350 < names.count("pages-0") < 650, "half and half, ten deviations wide"


def test_a_host_name_that_no_rule_has_gets_no_others_page(node):
    """nginx answers for its first host; a path without a rule is 404 there, whoever asks."""
    done = node.world.run("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--header",
                          "Host: nobody.example", f"http://{NODE[4]}:{NODE_PORT}/other")
    assert done.stdout == "404"
