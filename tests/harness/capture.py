"""Capture: what passes on an interface, by tcpdump, read by tshark: both decode by themselves what Millrace has written."""

from .process import Background, run


class Capture:
    """The first `count` packets that fit the filter; a context manager. `packets` waits until they are there."""

    def __init__(self, place, interface, what, path, count):
        self.path = path
        self._tcpdump = Background(place.command("tcpdump", "-i", interface, "-Z", "root", "--immediate-mode", "-s", "2048",
                                                "-B", "8192", "-c", count, "-w", path, *what.split()))

    def __enter__(self):
        try:
            self._tcpdump.wait_for_output("listening on")
        except BaseException:
            self._tcpdump.stop()
            raise
        return self

    def __exit__(self, *_):
        self._tcpdump.stop()

    def packets(self, *fields, timeout_s=10):
        """A dict of fields for each packet; of a field that is there twice (outer, inner) a list of both, else a text."""
        self._tcpdump.finish(timeout_s)
        options = [word for field in fields for word in ("-e", field)]
        done = run(["tshark", "-n", "-r", self.path, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                    "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-E", "separator=/t", *options])
        rows = []
        for line in done.stdout.splitlines():
            values = [value.split("|") for value in line.split("\t")]
            rows.append({field: value if len(value) > 1 else value[0] for field, value in zip(fields, values)})
        return rows
