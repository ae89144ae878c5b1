"""NetworkPolicies of the tests, there while a test needs them."""

import contextlib

_DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: default}
spec:
  podSelector: {matchLabels: {app: %(app)s}}
  policyTypes: [%(direction)s]
"""


@contextlib.contextmanager
def denied(node, app, direction):
    """default/deny: pods with the label have no traffic in a direction ("Ingress", "Egress")."""
    text = _DENY % {"app": app, "direction": direction}
    node.instance.cli("apply", "-f", "-", input=text)
    try:
        yield
    finally:
        node.instance.cli("delete", "-f", "-", input=text)
