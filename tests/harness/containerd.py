"""Debian's containerd, started by the test itself: its own config, root, state and socket, in a mount namespace in
which /run, /etc/cni and /opt/cni are its own, so that nothing of the machine's containerd is touched or needed. What it
mounts below its state, pods' network namespaces among it, the agent sees as well."""

import gzip
import hashlib
import io
import json
import pathlib
import tarfile

from .process import Background, run, wait_until

IMAGE = "millrace.test/busybox:latest"
PAUSE = "millrace.test/pause:latest"  # what a pod's sandbox runs

_START = """
set -e
base=$1 programs=$2
findmnt --raw --noheadings --output TARGET | while read -r place; do
  [ "$place" = "$base/state" ] || mount --make-private "$place"
done
mount -t tmpfs tmpfs /run
mkdir -p "$base/own"
mount -t tmpfs tmpfs "$base/own"
mkdir -p "$base/own/etc" "$base/own/work" "$base/own/opt/cni/bin"
mount -t overlay overlay -o lowerdir=/etc,upperdir="$base/own/etc",workdir="$base/own/work" /etc
mkdir -p /etc/cni/net.d
cp "$base/10-millrace.conflist" /etc/cni/net.d/
mount --bind "$base/own/opt" /opt
ln -s "$programs/millrace-cni" /usr/lib/cni/loopback /usr/lib/cni/portmap /opt/cni/bin/
exec containerd --config "$base/containerd.toml"
"""

_CONFIG = """
version = 2
root = "{base}/root"
state = "{base}/state"
disabled_plugins = [{disabled}"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
                    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
                    "io.containerd.internal.v1.opt"]
[grpc]
  address = "{base}/containerd.sock"
"""


_CRI_CONFIG = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"""


class Containerd:
    """`cri`: with the plugin that a kubelet talks to (cri.py)."""

    def __init__(self, instance, plugins, cri=False):
        self.instance = instance
        self.base = pathlib.Path(instance.directory) / "containerd"
        self.base.mkdir()
        self.namespace = f"mr-test-{pathlib.Path(instance.directory).name[-8:]}"
        self.socket = self.base / "containerd.sock"
        self.has_cri = cri
        disabled = "" if cri else '"io.containerd.grpc.v1.cri", '
        (self.base / "containerd.toml").write_text(
            _CONFIG.format(base=self.base, disabled=disabled) + (_CRI_CONFIG.format(pause=PAUSE) if cri else ""))
        (self.base / "10-millrace.conflist").write_text(json.dumps(
            {"cniVersion": "1.0.0", "name": "millrace", "plugins": plugins}))

    def __enter__(self):
        state = self.base / "state"
        state.mkdir()
        run(["mount", "--bind", state, state])
        run(["mount", "--make-shared", state])
        self.daemon = Background(self.instance.netns.command(
            "unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _START, "sh", self.base,
            self.instance.programs))
        try:
            self.daemon.wait_for_output("containerd successfully booted", timeout_s=20)
            for name, command in ((IMAGE, ["/bin/sh"]), (PAUSE, ["/bin/sleep", "3600"])):
                image = self.base / "image.tar"
                write_image(image, name, command)
                self.ctr("image", "import", "--no-unpack", image)
                if self.has_cri:
                    self.ctr("image", "import", "--no-unpack", image, namespace="k8s.io")
        except BaseException:
            self._end()
            raise
        return self

    def _end(self):
        self.daemon.stop()
        run(["umount", "--recursive", "--lazy", self.base / "state"])

    def __exit__(self, *_):
        self._end()
        for group in pathlib.Path("/sys/fs/cgroup").rglob(self.namespace):
            group.rmdir()

    def command(self, *argv, namespace=None):
        """ctr beside the daemon: in its mount namespace, on the node's network."""
        return ["nsenter", f"--target={self.daemon.process.pid}", "--mount", "--net", "--", "ctr", "--address",
                self.socket, "--namespace", namespace or self.namespace, *map(str, argv)]

    def ctr(self, *argv, namespace=None, **options):
        return run(self.command(*argv, namespace=namespace), **options)

    def run_command(self, name, *argv):
        """`ctr run --cni` in the foreground: DEL is called when it ends."""
        return self.command("run", "--rm", "--cni", "--snapshotter", "native", IMAGE, name, *argv)

    def address_of(self, name):
        """The first address of a container, once CNI ADD is done."""
        def find():
            for pod in self.instance.query("pod", "list")["pods"]:
                if pod["key"]["container_id"] == f"{self.namespace}-{name}":
                    return pod["addresses"]
            return None

        return wait_until(find, f"container {name} has addresses", timeout_s=20)


def _layer():
    """Root file system of the image: busybox-static and the names it answers to."""
    content = pathlib.Path("/bin/busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
        for name in ("sh", "sleep", "ping", "ping6", "ip", "nc", "cat"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def write_image(path, name, command):
    """An OCI image layout (image-spec 1.0) as a tar."""
    blobs = {}

    def blob(media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = _layer()
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": command},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
                "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer, 1))]}
    entry = blob("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest"}
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
             "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
             **{f"blobs/sha256/{digest}": data for digest, data in blobs.items()}}
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
