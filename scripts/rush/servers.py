"""The processes of the site, on 127.0.0.1: rushq, two nginx, HAProxy, a login, and workers that take the money.

They end with the process that started them: in order, or by a SIGTERM from the kernel when that process is killed.
"""

import contextlib
import ctypes
import os
import pathlib
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time

from client import Client
from sale import CONFIG, QUEUE

HERE = pathlib.Path(__file__).parent
PYTHON = [sys.executable, "-B"]
WORKERS = 4
SECONDS_MAX = 60
PR_SET_PDEATHSIG = 1


def free_ports(count):
    """Below those that the kernel gives away, so that no other process gets one while its owner is down."""
    found = []
    for port in range(10_000 + os.getpid() % 200 * 100, 32_000):
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def until(what, condition):
    """Waits for an event."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {SECONDS_MAX} s")
        time.sleep(0.02)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def with_its_parent():
    """Ends a process when its starter does, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One process of the site, which can be killed and started again. What it says is in a file of its own."""

    def __init__(self, name, folder, command, **options):
        self.name, self.command, self.options = name, list(map(str, command)), options
        self.said = folder / f"{name}.said"
        self.child = None

    def start(self):
        with self.said.open("a") as said:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=with_its_parent,
                # A ctrl-c is this process's alone, which then stops the others in their order.
                start_new_session=True,
                **self.options,
            )

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def check(self):
        if self.child.poll() is not None:
            raise ChildProcessError(f"{self.name} has ended with {self.child.returncode}; see {self.said}")


class Site:
    def __init__(self, rushq, nginx, folder):
        self.folder = folder
        self.port, self.rushq_port, login, *nginx_ports = free_ports(5)
        # nginx's workers run as nobody: they get to the pages, and not to the secret.
        folder.chmod(0o711)
        self.secret, self.journal, self.bank = folder / "secret", folder / "journal", folder / "bank"
        self.bank.mkdir()
        self.write_private(self.secret, secrets.token_hex(32))
        self.journal.touch()
        options = ["-l", "127.0.0.1", "-p", self.rushq_port, "-t", "2", "-H", folder / "data"]
        self.rushq = Process("rushq", folder, [rushq, *options])
        self.workers = [
            Process(
                f"worker-{number}", folder, [*PYTHON, HERE / "worker.py", self.rushq_port, self.bank, self.journal]
            )
            for number in range(WORKERS)
        ]
        again = self.again()
        environment = {
            **os.environ,
            "SITE_ADDRESS": f"127.0.0.1:{self.port}",
            "SITE_NGINX_A": f"127.0.0.1:{nginx_ports[0]}",
            "SITE_NGINX_B": f"127.0.0.1:{nginx_ports[1]}",
            "SITE_AGAIN": str(again),
        }
        self.front = [
            Process("login", folder, [*PYTHON, HERE / "login.py", login, self.secret]),
            *(self.nginx(nginx, name, port, login) for name, port in zip("ab", nginx_ports, strict=True)),
            Process("haproxy", folder, ["haproxy", "-db", "-f", HERE / "haproxy.cfg"], env=environment),
        ]
        self.listening = [login, *nginx_ports, self.port]

    @staticmethod
    def write_private(path, text):
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)

    def again(self):
        """The page for HAProxy, with the same head as nginx gives it."""
        page = (HERE / "pages" / "again.html").read_text()
        path = self.folder / "again.http"
        head = ["HTTP/1.1 503 Service Unavailable", "Content-Type: text/html; charset=utf-8", "Cache-Control: no-store"]
        head += ["Retry-After: 2", "Connection: close", f"Content-Length: {len(page.encode())}"]
        path.write_text("\r\n".join(head) + "\r\n\r\n" + page, newline="")
        return path

    def nginx(self, binary, name, port, login):
        folder = self.folder / f"nginx-{name}"
        for pages in ("public", "pages"):
            shutil.copytree(HERE / pages, folder / pages)
        for part in ("join.conf", "seat.conf"):
            shutil.copy(HERE / part, folder)
        folder.chmod(0o711)
        self.write_private(folder / "secret.conf", f'set $secret "{self.secret.read_text()}";\n')
        text = (HERE / "nginx.conf").read_text()
        for word, value in (("NGINX_PORT", port), ("LOGIN_PORT", login), ("RUSHQ_PORT", self.rushq_port)):
            text = text.replace(word, str(value))
        (folder / "nginx.conf").write_text(text)
        command = [binary, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
        return Process(f"nginx-{name}", self.folder, command)

    def start_rushq(self):
        self.rushq.start()

        def answers():
            self.rushq.check()
            return listens(self.rushq_port)

        until("rushq listens", answers)

    def start(self):
        self.start_rushq()
        # Part of the queue's record: a start finds it.
        client = Client(self.rushq_port)
        client.set(f"{QUEUE}/config", CONFIG)
        client.close()
        for process in [*self.front, *self.workers]:
            process.start()
        until("the site listens", lambda: self.check() or all(map(listens, self.listening)))

    def stop(self):
        """Workers first, so that none is in the middle of its work for the lack of a server."""
        for process in [*self.workers, *reversed(self.front), self.rushq]:
            process.stop()

    def check(self):
        for process in [*self.front, *self.workers, self.rushq]:
            process.check()

    def kill_rushq(self):
        self.rushq.kill()
        self.start_rushq()

    def kill_worker(self):
        worker = random.choice(self.workers)
        worker.kill()
        worker.start()
