"""Pod: a place with an eth0 that Millrace gave it, or with a vhost-user socket in its stead."""

import ipaddress

from .netns import Netns


def address_of(place, family):
    """Of a pod or a node."""
    return place.ipv4 if family == 4 else place.ipv6


class Pod:
    def __init__(self, name, netns, addresses, mac, host_interface, socket_path="", listens=False):
        self.name, self.netns, self.mac, self.host_interface = name, netns, mac, host_interface
        self.socket_path, self.listens = socket_path, listens  # "": it has eth0
        self.addresses = [str(address) for address in addresses]

    @classmethod
    def named(cls, instance, name, namespace="default"):
        """The pod as `millrace pod list` tells it."""
        for entry in instance.query("pod", "list")["pods"]:
            if entry["pod_name"] == name and entry["pod_namespace"] == namespace:
                return cls(name, Netns(entry["netns"].rsplit("/", 1)[1]), entry["addresses"], entry["mac"],
                           entry["host_interface"], entry["socket_path"],
                           bool(entry.get("vhost_user") and entry["vhost_user"]["pod_listens"]))
        raise KeyError(f"millrace pod list does not show {namespace}/{name}")

    def _address(self, version):
        return next(address for address in self.addresses if ipaddress.ip_address(address).version == version)

    @property
    def ipv4(self):
        return self._address(4)

    @property
    def ipv6(self):
        return self._address(6)

    def command(self, *argv):
        return self.netns.command(*argv)

    def run(self, *argv, **options):
        return self.netns.run(*argv, **options)

    def socket(self, *arguments):
        return self.netns.socket(*arguments)
