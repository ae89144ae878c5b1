"""Cri: what a kubelet asks of a container runtime, by the Container Runtime Interface: pods with annotations, containers
with mounts and users. `ctr`, which containerd.py has, knows neither pods nor annotations.

The calls are gRPC by curl over containerd's socket. Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto.
"""

import pathlib
import secrets
import tempfile
import urllib.parse

from .process import CommandError, run
from .protobuf import decode, encode, text_map

_SERVICE = "runtime.v1.RuntimeService"
RUNNING = 1


class CriError(Exception):
    pass


class Cri:
    """Of a Containerd that was made with cri=True."""

    def __init__(self, containerd, image):
        self.containerd, self.image = containerd, image
        self.sandboxes = []

    def call(self, method, message, timeout_s=60):
        """The answer's fields by number."""
        body = encode(message)
        with tempfile.TemporaryDirectory(prefix="millrace-cri-") as directory:
            request, answer, headers = (pathlib.Path(directory, name) for name in ("request", "answer", "headers"))
            request.write_bytes(b"\0" + len(body).to_bytes(4, "big") + body)
            run(["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", self.containerd.socket,
                 "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", f"@{request}",
                 "--dump-header", headers, "--output", answer, f"http://localhost/{_SERVICE}/{method}"],
                timeout_s=timeout_s)
            told = dict(line.split(": ", 1) for line in headers.read_text().splitlines() if ": " in line)
            if told.get("grpc-status") != "0":
                raise CriError(f"{method}: {urllib.parse.unquote(told.get('grpc-message', str(told)))}")
            return decode(answer.read_bytes()[5:])

    def _sandbox_config(self, name, uid, annotations):
        return {1: {1: name, 2: uid, 3: "default"}, 2: name, 7: text_map(annotations),
                8: {1: f"/{self.containerd.namespace}"}}

    def run_pod(self, name, annotations):
        """A pod's sandbox, and with it CNI ADD. CriError when that failed."""
        sandbox = Sandbox(self, name, f"{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}", annotations)
        self.sandboxes.append(sandbox)
        return sandbox

    def remove_pods(self):
        while self.sandboxes:
            self.sandboxes.pop().remove()


class Sandbox:
    def __init__(self, cri, name, uid, annotations):
        self.cri, self.name, self.uid = cri, name, uid
        self._config = cri._sandbox_config(name, uid, annotations)
        self.id = cri.call("RunPodSandbox", {1: self._config})[1].decode()

    def start(self, command, mounts=(), user=0, environment=None):
        """A container; its id. `mounts`: (path on the node, path in the container, read only)."""
        config = {1: {1: f"c-{secrets.token_hex(3)}"}, 2: {1: self.cri.image}, 3: [str(word) for word in command],
                  6: text_map(environment or {}),
                  7: [{1: str(inside), 2: str(outside), 3: read_only} for outside, inside, read_only in mounts],
                  15: {2: {5: {1: user}, 12: {1: user}} if user else {}}}
        made = self.cri.call("CreateContainer", {1: self.id, 2: config, 3: self._config})[1].decode()
        self.cri.call("StartContainer", {1: made})
        return made

    def run(self, container, *command, timeout_s=20):
        """(exit status, stdout and stderr) of a command in a container."""
        answer = self.cri.call("ExecSync", {1: container, 2: [str(word) for word in command], 3: timeout_s})
        return answer.get(3, 0), (answer.get(1, b"") + answer.get(2, b"")).decode(errors="replace")

    def is_running(self, container):
        status = decode(self.cri.call("ContainerStatus", {1: container})[1])
        return status.get(3) == RUNNING

    def stop(self):
        """As a kubelet ends a pod: containers, then CNI DEL."""
        self.cri.call("StopPodSandbox", {1: self.id})

    def remove(self):
        try:
            self.stop()
            self.cri.call("RemovePodSandbox", {1: self.id})
        except (CriError, CommandError) as error:
            if "not found" not in str(error):
                raise
