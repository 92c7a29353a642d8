"""The server under test: rushq with two shards and the page, many queues, and clients that keep it at work."""

import contextlib
import json
import pathlib
import socket
import sys
import threading
import urllib.request

sys.path.append(str(pathlib.Path(__file__).parent.parent / "rush"))

from client import Client  # noqa: E402
from servers import Process, free_ports, until  # noqa: E402

# Sets that are under way on a loader's connection.
AT_ONCE = 1000
LOADERS = 4
WORKERS = 3
# Seconds between two rounds of a worker: the load is there, and leaves the cores to the browser.
PAUSE_S = 0.02


class Server:
    def __init__(self, rushq, folder, *more):
        self.rushq = rushq
        self.port, self.admin_port, self.other_port = free_ports(3)
        options = ["-l", "127.0.0.1", "-p", self.port, "-t", "2", "-H", folder / "data", "--admin", self.admin_port, *more]
        self.process = Process("rushq", folder, [rushq, *options])
        self.page = f"http://127.0.0.1:{self.admin_port}/"
        self.ending = threading.Event()
        self.workers = []
        self.rounds = 0

    def start(self):
        self.process.start()

        def answers():
            self.process.check()
            with contextlib.suppress(OSError):
                return self.overview() is not None
            return False

        until("the page answers", answers)

    def stop(self):
        self.ending.set()
        for worker in self.workers:
            worker.join()
        self.process.stop()

    def overview(self):
        with urllib.request.urlopen(f"{self.page}api/overview", timeout=10) as answer:
            return json.load(answer)

    def figures(self, queue):
        """The queue's figures, as `stats queues` has them; empty when there is no such queue."""
        client = Client(self.port)
        client.socket.sendall(f"stats queues {queue}\r\n".encode())
        found = {}
        while (line := client.read()) != "END":
            _, name, value = line.split(" ", 2)
            owner, _, figure = name.rpartition(":")
            if owner == queue:
                found[figure] = int(value) if value.isdigit() else value
        client.close()
        return found

    def fill(self, queues):
        """So many queues with a message each."""

        def load(numbers):
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                answers = connection.makefile("rb")
                for first in range(0, len(numbers), AT_ONCE):
                    part = numbers[first : first + AT_ONCE]
                    connection.sendall(b"".join(b"set many-%07d 0 0 1\r\nx\r\n" % number for number in part))
                    for _ in part:
                        answer = answers.readline()
                        assert answer == b"STORED\r\n", answer

        loaders = [threading.Thread(target=load, args=(range(first, queues, LOADERS),)) for first in range(LOADERS)]
        for loader in loaders:
            loader.start()
        for loader in loaders:
            loader.join()

    def begin_work(self):
        for number in range(WORKERS):
            worker = threading.Thread(target=self.work, args=(number,))
            worker.start()
            self.workers.append(worker)

    def work(self, number):
        """Puts, takes and acknowledges, until the end. A server that is away for a while is come back to."""
        queue = f"work-{number}"
        while not self.ending.wait(PAUSE_S):
            with contextlib.suppress(OSError):
                client = Client(self.port)
                while not self.ending.wait(PAUSE_S):
                    for turn in range(4):
                        # A server that drains does not take it.
                        client.line(f"set {queue} 0 0 5\r\n{turn:05}")
                    client.get(queue)
                    client.get(f"{queue}/open")
                    client.get(f"{queue}/close")
                    self.rounds += 1
