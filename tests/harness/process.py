"""Child processes: every one has a time limit, says what it printed when it fails, and is ended by its own id."""

import os
import selectors
import signal
import subprocess
import time


class CommandError(Exception):
    """A command failed, or ran out of time; its text holds the command and what it printed."""

    def __init__(self, argv, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        printed = "\n".join(part for part in (stdout.strip(), stderr.strip()) if part)
        super().__init__(f"{' '.join(map(str, argv))}: {status}\n{printed}")


def run(argv, timeout_s=30, check=True, input=None, env=None):
    """Runs a command to its end. With check, raises CommandError when its exit status is not 0.

    The child leads a session of its own: a Ctrl-C meant for the caller does not end it half-way, and when time is up
    everything it started ends with it.
    """
    process = subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=env)
    try:
        stdout, stderr = process.communicate(input, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise CommandError(argv, f"not done after {timeout_s} s", stdout, stderr) from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if check and process.returncode != 0:
        raise CommandError(argv, f"exit status {process.returncode}", stdout, stderr)
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


class Background:
    """A child that runs beside the test. A context manager: leaving it ends the child."""

    def __init__(self, argv, env=None):
        self.argv = [str(word) for word in argv]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, env=env)
        self.output = b""

    def wait_for_output(self, text, timeout_s=10, times=1):
        """Returns once the child has printed `text`, so many times since its start."""
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while self.output.count(text.encode()) < times:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not selector.select(remaining):
                    raise CommandError(self.argv, f"did not print '{text}' in {timeout_s} s", self.text(), "")
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise CommandError(self.argv, f"ended before it printed '{text}'", self.text(), "")
                self.output += data

    def finish(self, timeout_s=30, check=True):
        """Waits for the child's end; returns all it printed."""
        try:
            rest, _ = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise CommandError(self.argv, f"not done after {timeout_s} s", self.text(), "") from None
        self.output += rest or b""
        if check and self.process.returncode != 0:
            raise CommandError(self.argv, f"exit status {self.process.returncode}", self.text(), "")
        return self.text()

    def text(self):
        return self.output.decode(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def wait_until(condition, what, timeout_s=10, interval_s=0.02):
    """Waits for a condition that no event tells of. Returns the condition's value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {timeout_s} s")
        time.sleep(interval_s)
