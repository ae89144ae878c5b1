"""The peers' kit (its README says what it does), run in a directory of its own with Millrace as one more peer.

One measurement is one start of a switch and one window of the generator, so that a median is one over starts too: the
place of tables in memory moves a figure by some percent.
"""

import os
import pathlib
import re
import shutil
import tempfile

from harness.process import CommandError, run
from peers.cases import CONNECTIONS

HERE = pathlib.Path(__file__).resolve().parent
NUMBER = r"(\d+(?:\.\d+)?)"
LOST_LIMIT = 2.0  # percent of its time that other work took from the switch or the generator: measured again above it
TRIES = 3
TABLE = 2_000_000  # flows a worker remembers


class Kit:
    def __init__(self, directory, build, setup, cores, ovs="", ovs_library=""):
        if not (directory / "bench.sh").exists():
            raise FileNotFoundError(f"no peers' kit at {directory}: --peers names the directory that holds its bench.sh")
        self.source, self.build, self.setup, self.cores = directory, build, setup, cores
        self.ovs, self.ovs_library = ovs, ovs_library

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="millrace-peers-"))
        scripts = self.directory / "kit"
        shutil.copytree(self.source, scripts, copy_function=shutil.copy)
        scripts.chmod(0o755)
        shutil.copy(HERE / "peer-millrace.sh", scripts)
        self.scripts = scripts
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def environment(self, peer, case):
        words = {**os.environ, "PEERS_DIR": str(self.directory), "SUT_CPU": str(self.setup.switch_cpu),
                 "GEN_CPU": str(self.setup.generator_cpu), "RUNS": "1", "SECS": f"{self.setup.seconds:.0f}",
                 "MILLRACE_PEER": str(HERE / "contender.py"), "MILLRACE_BUILD": str(self.build),
                 "MILLRACE_FLOWS": str(flow_limit(case))}
        if peer == "ovs" and self.ovs:
            words |= {"OVS_VSWITCHD": self.ovs, "DPDK_LIB": self.ovs_library}
        return words

    def vhost(self, peer, case):
        """{figure: value} of one window over two vhost-user ports."""
        words = case.floor.split() if peer == "testpmd" else case.key.split()
        return self._measured("bench.sh", peer, words, self.environment(peer, case))

    def veth(self, peer, case, ports=""):
        """The same one way over two veths: the kernel's, or by AF_XDP."""
        environment = self.environment(peer, case)
        name = case.case
        if peer == "kernel":
            settings, name = case.kernel.split()
            environment |= dict(setting.split("=") for setting in settings.split(",") if "=" in setting)
        elif peer == "testpmd":
            name = "io"
        if ports:
            environment["PORTS"] = ports
        return self._measured("bench-veth.sh", peer, [name, case.n, case.flows, case.size], environment)

    def _measured(self, script, peer, words, environment):
        return self.cores.measured(lambda: self._undisturbed(script, peer, words, environment), TRIES)

    def _undisturbed(self, script, peer, words, environment):
        for attempt in range(TRIES):
            try:
                line = run([self.scripts / script, peer, *words], timeout_s=300, env=environment).stdout.strip().splitlines()[-1]
            except (CommandError, IndexError) as error:
                log = self.directory / "sut.log"
                raise RuntimeError(f"{peer} {words}: {error}\n{log.read_text()[-2000:] if log.exists() else ''}") from error
            figures = read_line(line)
            if max(figures.get("lost_switch", 0), figures.get("lost_generator", 0)) <= LOST_LIMIT or attempt + 1 == TRIES:
                return figures
        raise AssertionError("not reached")


def flow_limit(case):
    """A flow table is as large as its owner says: room for the flows of the case, and some. Of connections that come and
    go few are open at once: those that have ended are remembered while there is room.
    """
    return TABLE if case.mode == CONNECTIONS else max(TABLE, 2 * case.flows)


def read_line(line):
    """The kit's line as figures: mpps, loss, lost_*, full, connections_k, p50, p99."""
    patterns = {
        "mpps": rf"\| {NUMBER} [\d.]+ [\d.]+ Mpps", "loss": rf"loss {NUMBER}%", "lost_switch": rf"lost sw {NUMBER}%",
        "lost_generator": rf"gen {NUMBER}%", "full": rf"full {NUMBER}%", "connections_k": rf"{NUMBER} k conn/s",
        "p50": rf"p50 {NUMBER}", "p99": rf"p99 {NUMBER}", "offered": rf"offered {NUMBER}", "busy": rf"core {NUMBER}% busy",
    }
    found = {name: re.search(pattern, line) for name, pattern in patterns.items()}
    figures = {name: float(match[1]) for name, match in found.items() if match}
    if not figures:
        raise RuntimeError(f"the kit's line has no figure: {line}")
    return figures
