"""SwitchApi: the switch's own gRPC API, as the agent calls it, from the protos as they are delivered.

A call is one HTTP/2 request by curl over the switch's socket; protoc turns its text into bytes and back. The framing is gRPC's:
one byte 0 (not compressed), four of length, the message.
"""

import pathlib
import re
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = "control/api/switch.proto"


class RpcError(Exception):
    """The switch refused, or is not there; `code` is the number of the gRPC status."""

    def __init__(self, code, message):
        self.code = code
        super().__init__(f"{code}: {message}")


def _protoc(option, message, data):
    done = subprocess.run(["protoc", f"--proto_path={ROOT}", f"--{option}=millrace.api.{message}", PROTO], input=data,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{message}: {done.stderr.decode()}")
    return done.stdout


class SwitchApi:
    def __init__(self, instance):
        self.instance = instance

    def call(self, method, request, request_type, reply_type):
        """`request` is protobuf's text format; returns that of the reply."""
        data = _protoc("encode", request_type, request.encode())
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "20", "--dump-header",
             "/dev/stderr", "--unix-socket", self.instance.switch_socket, "--header", "content-type: application/grpc",
             "--header", "te: trailers", "--data-binary", "@-", f"http://localhost/millrace.api.Switch/{method}"],
            input=struct.pack("!BI", 0, len(data)) + data, capture_output=True, check=False)
        headers = done.stderr.decode()
        status = re.search(r"(?mi)^grpc-status: (\d+)", headers)
        if done.returncode != 0 or not status:
            raise RpcError(14, headers.strip())
        if status[1] != "0":
            raise RpcError(int(status[1]), (re.search(r"(?mi)^grpc-message: (.*)$", headers) or [headers] * 2)[1].strip())
        return _protoc("decode", reply_type, done.stdout[5:]).decode()

    def apply(self, request):
        return self.call("Apply", request, "ApplyRequest", "ApplyReply")

    def tunnels(self):
        """ListTunnels: a dict of each tunnel's fields by its name; bytes as protobuf's text has them."""
        text = self.call("ListTunnels", "", "ListTunnelsRequest", "ListTunnelsReply")
        found = {}
        for block in re.findall(r"(?ms)^tunnels \{\n(.*?)^\}", text):
            fields = dict(re.findall(r"(?m)^  (\w+): (.*)$", block))
            found[re.search(r'name: "(.*)"', block)[1]] = {
                key: value.strip('"') if key == "interface" else int(value) if value.isdigit() else value
                for key, value in fields.items()}
        return found


def text_bytes(data):
    """Bytes as a value in protobuf's text format."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'
