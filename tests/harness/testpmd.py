"""Testpmd: DPDK's own test program as the process in a pod that has a vhost-user socket. Its device is virtio-user."""

import os
import tempfile

from .process import Background

GATEWAY_MAC = "02:4d:52:00:00:01"


class Testpmd(Background):
    """What it does with packets is its forward mode: `icmpecho` answers pings over IPv4, `5tswap` sends every TCP and UDP
    packet back to where it came from, `txonly` sends UDP of its own. A context manager: leaving it ends the guest."""

    __test__ = False  # to pytest

    def __init__(self, pod, mode, queues=1, packed=False, options=()):
        listens = ",server=1" if pod.listens else ""
        rings = ",packed_vq=1" if packed else ""
        cpu = min(os.sched_getaffinity(0))
        self._own_files = tempfile.TemporaryDirectory(prefix="millrace-testpmd-")
        super().__init__([
            "dpdk-testpmd", "--no-pci", "--no-huge", "-m", "256", "--no-telemetry", "--no-shconf",
            f"--lcores=0@{cpu},1@{cpu}",
            f"--vdev=net_virtio_user0,path={pod.socket_path},mac={pod.mac},queues={queues}{listens}{rings}",
            "--", f"--forward-mode={mode}", "--port-topology=loop", "--total-num-mbufs=4096", f"--rxq={queues}",
            f"--txq={queues}", "--nb-cores=1", "--no-flush-rx", f"--eth-peer=0,{GATEWAY_MAC}",
            # Else it ends with its input, and there is none.
            "--stats-period=3600", *options], env={**os.environ, "RUNTIME_DIRECTORY": self._own_files.name})

    def stop(self):
        super().stop()
        self._own_files.cleanup()
