"""What is measured side by side, and what Millrace has to reach there.

A case is a line of the kit: CASE N FLOWS SIZE MODE. Open vSwitch does what the case says and no more; Millrace does
everything in every case (contender.py). The floor is testpmd, which moves packets and reads nothing of them. The kernel
has no vhost-user ports of its own: its figures are of veths, one way.
"""

import dataclasses

ECHO, ONE_WAY, CONNECTIONS, PING = "echo", "oneway", "crr", "ping"


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    case: str          # of Millrace and Open vSwitch
    n: int = 0         # rules or services
    flows: int = 1
    size: int = 64
    mode: str = ECHO
    goal: float = 0    # least share of testpmd's; of CONNECTIONS thousands a second; of PING the most us of p50, p99
    kernel: str = ""   # environment of bench-veth.sh and its case: "NAT=nft nat"; "" not measured
    group: str = ""    # to choose by

    @property
    def key(self):
        return f"{self.case} {self.n} {self.flows} {self.size} {self.mode}"

    @property
    def has_goal(self):
        return bool(self.goal) or (self.mode == PING and self.n > 0)

    @property
    def floor(self):
        """testpmd's case that this one is compared with."""
        return f"io 0 1 {self.size} {self.mode}" if self.mode != CONNECTIONS else ""


@dataclasses.dataclass(frozen=True)
class Latency:
    p50: float
    p99: float


CASES = (
    Case("forward, 1 flow, one way", "l3", mode=ONE_WAY, kernel="- l3", group="forward"),
    Case("forward, 10k flows, one way", "l3", flows=10_000, mode=ONE_WAY, kernel="- l3", group="forward"),
    Case("forward, 1M flows, one way", "l3", flows=1_000_000, mode=ONE_WAY, group="forward"),
    Case("established + policy, 1 flow", "ct", group="established"),
    Case("established + policy, 10k flows", "ct", flows=10_000, goal=0.70, kernel="- ct", group="established"),
    Case("established + policy, 1M flows", "ct", flows=1_000_000, kernel="- ct", group="established"),
    Case("established + policy, 10k flows, 1500 B", "ct", flows=10_000, size=1500, kernel="- ct", group="established"),
    Case("NAT, 1 Service, 10k flows", "nat", n=1, flows=10_000, kernel="NAT=nft nat", group="nat"),
    Case("NAT, 1000 Services, 10k flows", "nat", n=1000, flows=10_000, goal=0.65, kernel="NAT=nft nat", group="nat"),
    Case("NAT, 10k Services, 10k flows", "nat", n=10_000, flows=10_000, kernel="NAT=nft nat", group="nat"),
    Case("NAT, 1000 Services, 1M flows", "nat", n=1000, flows=1_000_000, goal=0.50, kernel="NAT=nft nat", group="nat"),
    Case("policy of 10 rules, 10k flows", "np", n=10, flows=10_000, kernel="POLICY=set np", group="policy"),
    Case("policy of 1000 rules, 10k flows", "np", n=1000, flows=10_000, group="policy"),
    Case("policy of 10k rules, 10k flows", "np", n=10_000, flows=10_000, kernel="POLICY=set np", group="policy"),
    Case("policy of 10k rules, 1M flows", "np", n=10_000, flows=1_000_000, goal=0.50, group="policy"),
    Case("VXLAN both ways, 10k flows", "vxlan", flows=10_000, goal=0.55, group="vxlan"),
    Case("VXLAN encapsulation, 10k flows", "encap", flows=10_000, mode=ONE_WAY, kernel="- encap", group="vxlan"),
    Case("VXLAN decapsulation, 10k flows", "decap", flows=10_000, mode=ONE_WAY, kernel="- decap", group="vxlan"),
    Case("connections a second, policy", "ct", flows=4_000_000, mode=CONNECTIONS, goal=600, group="connections"),
    Case("connections a second, NAT, 1000 Services", "nat", n=1000, flows=4_000_000, mode=CONNECTIONS, goal=500,
         group="connections"),
    Case("round trip, NAT, 1000 Services", "nat", n=1000, mode=PING, group="latency"),
    Case("round trip, forward", "l3", mode=PING, group="latency"),
)
ROUND_TRIP_GOAL = Latency(2.5, 3.3)  # us, with NAT

# One way over two veths by AF_XDP, with bench-veth.sh; the goal is a share of testpmd's.
VETH_CASES = (
    Case("AF_XDP veth to veth, 10k flows", "ct", flows=10_000, mode=ONE_WAY, goal=0.90, group="veth"),
    Case("AF_XDP veth to veth, 10k flows, 1500 B", "ct", flows=10_000, size=1500, mode=ONE_WAY, goal=0.90, group="veth"),
)
