"""dpdk-testpmd in io mode between two interfaces: the least a user-space switch on AF_XDP can do for a packet."""

from harness.process import Background

# Pages testpmd takes from the kernel: 512 MiB of 2 MiB.
MEMORY_MIB = 512


def start(node, interfaces, worker_cpu, control_cpu):
    """Forwards from the first interface to the second and back, on one core; a Background that is ready."""
    ports = [word for index, name in enumerate(interfaces) for word in ("--vdev", f"net_af_xdp{index},iface={name}")]
    testpmd = Background(node.netns.command(
        "dpdk-testpmd", "-l", f"{worker_cpu},{control_cpu}", "--main-lcore", control_cpu, "--in-memory", "--no-pci",
        "--no-telemetry", "-m", MEMORY_MIB, *ports, "--", "--nb-cores=1", "--forward-mode=io", "--auto-start",
        "--total-num-mbufs=32768", "--stats-period=3600"))
    try:
        testpmd.wait_for_output("io packet forwarding", timeout_s=20)
    except BaseException:
        testpmd.stop()
        raise
    return testpmd
