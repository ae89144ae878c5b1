"""A pod writes its socket's directory, and the switch and the agent that use it are root: who may come to a socket, and
that nothing that a pod puts there leads them elsewhere or costs another pod anything. Neither does a guest that takes its
memory back, or one that does not take its calls."""

import contextlib
import os
import pathlib
import shutil
import socket
import stat
import sys

import pytest

from harness import frames
from harness.memory_thief import ALL, BUFFERS
from harness.process import Background, run, wait_until
from harness.testpmd import GATEWAY_MAC
from harness.traffic import ping
from harness.vhost_pod import add_vhost_pod

ANYBODY = 65534
RECONNECT_S = 2.5  # DPDK tries each second
# As a container in a pod would: the pod's directory on a place of its own, another user, and then his word.
IN_CONTAINER = """
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/pod
mount --bind "$1" /mnt/pod
exec setpriv --reuid {user} --regid {user} --clear-groups --bounding-set -all /usr/bin/python3 -c "$2"
""".format(user=ANYBODY)
CONNECT = "import socket; socket.socket(socket.AF_UNIX).connect('{}')"
LISTEN = "import socket; socket.socket(socket.AF_UNIX).bind('{}')"


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("hostile")


@pytest.fixture(scope="module")
def bystander(node):
    with add_vhost_pod(node, "bystander") as pod:
        yield pod


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client")


@pytest.fixture
def mallory(node, request):
    """A pod with a socket, where the test says who listens; gone after it, with all that it left."""
    pod = add_vhost_pod(node, "mallory", listens=request.param)
    pod.directory = pathlib.Path(pod.socket_path).parent
    yield pod
    node.delete_pod("mallory")
    assert not pod.directory.parent.exists() and not pod.directory.parent.is_symlink()


SWITCH_LISTENS = pytest.mark.parametrize("mallory", [False], indirect=True, ids=["switch listens"])
POD_LISTENS = pytest.mark.parametrize("mallory", [True], indirect=True, ids=["pod listens"])


@pytest.fixture
def victim(tmp_path):
    """A directory that is another's, with a socket that somebody listens at."""
    directory = tmp_path / "victim"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "vhost.sock"))
        listener.listen(8)
        yield directory, listener


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def in_container(pod, text):
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_CONTAINER, "sh",
               pathlib.Path(pod.socket_path).parents[1], text]
    return run(command, check=False)


def restart_switch(node):
    node.instance.kill("millraced")
    node.instance.up()


def wait_for_status(node):
    wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good", 15)


def port_of(node, pod):
    ports = {port["spec"]["name"]: port for port in node.instance.query("port", "list")["ports"]}
    return ports.get(pod.host_interface)


@SWITCH_LISTENS
def test_any_user_of_the_pod_may_be_the_guest(node, mallory):
    assert mode_of(mallory.socket_path) == 0o666 and mode_of(mallory.directory) == 0o755
    done = in_container(mallory, CONNECT.format("/mnt/pod/eth0/vhost.sock"))
    assert done.returncode == 0, done.stderr
    refused = in_container(mallory, LISTEN.format("/mnt/pod/eth0/other.sock"))
    assert "Permission denied" in refused.stderr


@POD_LISTENS
def test_any_user_of_the_pod_may_listen(node, mallory):
    assert mode_of(mallory.directory) == 0o777
    done = in_container(mallory, LISTEN.format("/mnt/pod/eth0/vhost.sock"))
    assert done.returncode == 0, done.stderr


@SWITCH_LISTENS
def test_no_user_of_the_node_comes_to_a_socket(node, mallory):
    """Not by the mode of what the test lies in: the pods' directory itself is root's alone."""
    assert mode_of(mallory.directory.parents[1]) == 0o700


def test_a_socket_that_is_made_again_has_its_mode(node, bystander):
    restart_switch(node)
    wait_until(lambda: os.path.exists(bystander.socket_path) and mode_of(bystander.socket_path) == 0o666,
               "the socket is there again", 10)
    wait_for_status(node)


@contextlib.contextmanager
def link_of_socket(pod, directory):
    """In place of the pod's socket one to another's."""
    os.symlink(directory / "vhost.sock", pod.socket_path)
    yield
    os.unlink(pod.socket_path)


@contextlib.contextmanager
def link_of_directory(pod, directory):
    """In place of the pod's directory one to another's: what a container that is root can do."""
    shutil.rmtree(pod.directory)
    os.symlink(directory, pod.directory)
    yield
    os.unlink(pod.directory)
    pod.directory.mkdir()


LINKS = pytest.mark.parametrize("link", [link_of_socket, link_of_directory], ids=lambda link: link.__name__)


@LINKS
@POD_LISTENS
def test_the_switch_connects_to_no_other_socket(node, mallory, victim, link):
    directory, listener = victim
    with link(mallory, directory):
        listener.settimeout(RECONNECT_S)
        with pytest.raises(TimeoutError):
            listener.accept()
        restart_switch(node)
        wait_for_status(node)
        with pytest.raises(TimeoutError):
            listener.accept()
    with socket.socket(socket.AF_UNIX) as own:  # it has been trying all the time
        own.bind(mallory.socket_path)
        own.listen(1)
        own.settimeout(5)
        own.accept()[0].close()


@SWITCH_LISTENS
def test_the_switch_listens_nowhere_else_and_takes_nothing_away(node, client, bystander, mallory, victim):
    directory, listener = victim
    node.instance.kill("millraced")
    with link_of_directory(mallory, directory):
        before = os.lstat(directory / "vhost.sock").st_ino
        node.instance.up()
        wait_until(lambda: ping(client, bystander.ipv4, count=1).ok, "another pod's guest is there again", 15)
        assert os.lstat(directory / "vhost.sock").st_ino == before
        assert list(directory.iterdir()) == [directory / "vhost.sock"]
        wait_until(lambda: f"not open: {mallory.host_interface}: " in node.instance.cli("status").stdout, "the agent has been told", 5)
    restart_switch(node)
    wait_until(lambda: port_of(node, mallory), "the port opens once there is a directory", 15)
    wait_for_status(node)


def as_file(path):
    pathlib.Path(path).write_text("")


def as_directory(path):
    os.mkdir(path)


@SWITCH_LISTENS
@pytest.mark.parametrize("make", [as_file, as_directory, os.mkfifo], ids=["a file", "a directory", "a pipe"])
def test_what_is_no_socket_costs_its_pod_alone(node, client, bystander, mallory, make):
    node.instance.kill("millraced")
    pathlib.Path(mallory.socket_path).unlink(missing_ok=True)
    make(mallory.socket_path)
    node.instance.up()
    wait_until(lambda: ping(client, bystander.ipv4, count=1).ok, "another pod's guest is there again", 15)
    said = node.instance.cli("status").stdout
    assert f"not open: {mallory.host_interface}: " in said
    assert f"vhost_user.path: {mallory.socket_path}: is there and is no socket" in said
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(mallory.socket_path)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(mallory.socket_path)
    restart_switch(node)
    wait_until(lambda: port_of(node, mallory), "the port opens once the place is free", 15)
    wait_for_status(node)


@POD_LISTENS
def test_what_a_pod_leaves_goes_with_it_and_nothing_else(node, mallory, victim):
    """The fixture looks whether it has gone."""
    directory, _ = victim
    deep = mallory.directory
    for level in range(60):
        deep = deep / f"level{level}"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (mallory.directory / "to-victim").symlink_to(directory)
    (mallory.directory.parent / "to-victim-socket").symlink_to(directory / "vhost.sock")
    os.mkfifo(mallory.directory / "pipe")
    node.delete_pod("mallory")
    assert list(directory.iterdir()) == [directory / "vhost.sock"]
    add_vhost_pod(node, "mallory", listens=True)


def guest_that_sends(module, pod, to, payload_bytes, *words):
    """UDP to `to`, as its pod may."""
    tests = pathlib.Path(__file__).resolve().parents[1]
    datagram = frames.ipv4(pod.ipv4, to.ipv4, 17, frames.udp(pod.ipv4, to.ipv4, 4000, 4000, bytes(payload_bytes)))
    return Background(
        [sys.executable, "-m", f"harness.{module}", pod.socket_path, *words, frames.ethernet(GATEWAY_MAC, pod.mac, datagram).hex()],
        env={**os.environ, "PYTHONPATH": str(tests), "PYTHONDONTWRITEBYTECODE": "1"})


def thief(pod, left, to):
    return guest_that_sends("memory_thief", pod, to, 900, left)


def losses_of(node, pod):
    line = f'millrace_port_guest_memory_losses_total{{port="{pod.host_interface}"}} '
    metrics = node.instance.cli("counters", "-o", "prometheus").stdout
    return int(metrics.split(line)[1].split()[0])


@SWITCH_LISTENS
@pytest.mark.parametrize("left", [ALL, BUFFERS], ids=["all", "buffers"])
def test_memory_that_is_taken_back_costs_its_pod_alone(node, client, bystander, mallory, left):
    switch = node.instance.pids()["millraced"]
    said = f"port {mallory.host_interface}: its guest took back the memory"
    said_before = node.instance.log("millraced").count(said)
    with Background(client.command("ping", "-n", "-i", "0.002", "-q", mallory.ipv4)):
        for times in (1, 2):
            with thief(mallory, left, bystander) as guest:
                guest.wait_for_output("taken: SIGBUS", 20)
                wait_until(lambda: port_of(node, mallory)["state"] == "memory_lost", "the switch tells of it", 5)
                assert ping(client, bystander.ipv4, count=20).ok
                told = port_of(node, mallory)["vhost_user"]
                assert told["memory_lost"] and not told["connected"] and told["memory_losses"] == times
                assert losses_of(node, mallory) == times and losses_of(node, bystander) == 0
                shown = node.instance.cli("port", "list").stdout.splitlines()
                assert "memory lost" in next(line for line in shown if mallory.host_interface in line)
                wait_until(lambda: node.instance.log("millraced").count(said) == said_before + times, "the log says so", 5)
            wait_until(lambda: port_of(node, mallory)["state"] == "no_guest", "the guest is gone", 10)
    with mallory:
        wait_until(lambda: ping(client, mallory.ipv4, count=1).ok, "the next guest answers", 10)
        assert ping(client, mallory.ipv4).ok
    assert port_of(node, mallory)["vhost_user"]["memory_losses"] == 2
    assert node.instance.pids()["millraced"] == switch


@SWITCH_LISTENS
def test_a_guest_that_takes_no_calls_keeps_nobody(node, client, bystander, mallory):
    with Background(client.command("ping", "-n", "-i", "0.01", "-q", mallory.ipv4)):
        with guest_that_sends("deaf_guest", mallory, bystander, 100) as guest:
            guest.wait_for_output("deaf, and packets pass", 20)
            assert ping(client, bystander.ipv4, count=20).ok
            assert port_of(node, mallory)["state"] == "up"
        wait_until(lambda: port_of(node, mallory)["state"] == "no_guest", "the guest is gone", 10)
    with mallory:
        wait_until(lambda: ping(client, mallory.ipv4, count=1).ok, "the next guest answers", 10)


def test_a_pod_that_went_without_a_del(node):
    """Its namespace is gone: so is its directory, and its port, once the agent starts again."""
    gone = add_vhost_pod(node, "gone")
    node.instance.cli("pod", "list")
    gone.netns.delete()
    listed = [pod for pod in node.instance.query("pod", "list")["pods"] if pod["pod_name"] == "gone"]
    assert listed and listed[0]["interface_gone"]
    node.instance.kill("millrace-agent")
    node.instance.up()
    wait_for_status(node)
    wait_until(lambda: port_of(node, gone) is None, "its port goes", 10)
    assert not pathlib.Path(gone.socket_path).parents[1].exists()
    assert "gone" not in [pod["pod_name"] for pod in node.instance.query("pod", "list")["pods"]]
    node.delete_pod("gone")
