"""A consumer's recipe: reads a queue of a whole fleet, and waits for all instances at the same time.

consumer.py QUEUE FILE        FILE has the ADDRESS:PORT of an instance on each line, and may change at any time
consumer.py QUEUE NAME:PORT   all addresses that DNS has for the name

It goes past the proxy, with one connection to each instance: `get QUEUE/open/t=1000` waits there for a message, so that
nothing spins and no message waits for its turn. What it has opened it acknowledges once it is done; until then the
message is the connection's, and comes back by itself when that ends, however it does. Instances that come and go are seen
within two seconds. Where instances have users, RUSHQ_LOGIN="NAME PASSWORD" logs in.

Each body is printed as a line; your program calls `Fleet(...)` with a function of its own, which is called by one thread
for each instance, and may raise to have the message back in its queue.
"""

import os
import signal
import socket
import sys
import threading
import time

WAIT_S = 1
# How long a thread leaves an instance alone that cannot be reached, or that answers a wait at once: one that drains or
# stops does, for it is to be emptied and not to be waited at.
PAUSE_S = 0.5
LOOK_S = 2
# An answer takes the wait, and what a slow disk or network adds. After that the instance hangs, and is asked anew.
REPLY_TIMEOUT_S = 10


class Instance(threading.Thread):
    """One instance, and the connection to it."""

    def __init__(self, queue, place, handle):
        super().__init__(daemon=True)
        self.queue, self.place, self.handle = queue, place, handle
        self.gone = threading.Event()

    def run(self):
        while not self.gone.is_set():
            try:
                with socket.create_connection(self.place, timeout=REPLY_TIMEOUT_S) as connection:
                    replies = connection.makefile("rb")
                    log_in(connection, replies)
                    self.consume(connection, replies)
            except (OSError, EOFError, ValueError) as error:
                print(f"{self.place[0]}:{self.place[1]}: {error}; trying again", file=sys.stderr)
            self.gone.wait(PAUSE_S)

    def consume(self, connection, replies):
        while not self.gone.is_set():
            asked = time.monotonic()
            body = get(connection, replies, f"{self.queue}/open/t={WAIT_S * 1000}")
            if body is None:
                if time.monotonic() - asked < WAIT_S / 2:
                    self.gone.wait(PAUSE_S)
                continue
            try:
                self.handle(body)
            except Exception as error:
                print(f"a message of {self.queue} is given back: {error}", file=sys.stderr)
                get(connection, replies, f"{self.queue}/abort")
                self.gone.wait(PAUSE_S)
            else:
                get(connection, replies, f"{self.queue}/close")


def log_in(connection, replies):
    """As memcached has it: a set whose body is the user's name and password."""
    login = os.environ.get("RUSHQ_LOGIN", "").encode()
    if login:
        connection.sendall(b"set login 0 0 %d\r\n%s\r\n" % (len(login), login))
        if replies.readline() != b"STORED\r\n":
            raise OSError("the login of RUSHQ_LOGIN is not taken")


def get(connection, replies, key):
    """The body that a get brings; None: none."""
    connection.sendall(f"get {key}\r\n".encode())
    head = replies.readline()
    if head == b"END\r\n":
        return None
    words = head.split()
    if not head.endswith(b"\n"):
        raise EOFError("the connection ended")
    if words[:1] != [b"VALUE"]:
        raise ValueError(head.decode(errors="replace").strip())
    length = int(words[3])
    body = replies.read(length + len(b"\r\nEND\r\n"))
    if len(body) != length + len(b"\r\nEND\r\n"):
        raise EOFError("the connection ended in a message")
    return body[:length]


class Fleet:
    """All instances that there are. `look` says where: a function that returns a set of pairs of address and port."""

    def __init__(self, queue, look, handle):
        self.queue, self.look, self.handle = queue, look, handle
        self.instances = {}
        self.over = threading.Event()

    def run(self):
        """Consumes until `over` is set, and ends what is under way."""
        while True:
            try:
                self.follow(self.look())
            except OSError as error:
                # Those that are known go on.
                print(f"the instances cannot be looked up: {error}", file=sys.stderr)
            if self.over.wait(LOOK_S):
                break
        self.follow(set())

    def follow(self, places):
        gone = [self.instances.pop(place) for place in set(self.instances) - places]
        for instance in gone:
            instance.gone.set()
        for place in places - set(self.instances):
            self.instances[place] = Instance(self.queue, place, self.handle)
            self.instances[place].start()
        if self.over.is_set():
            for instance in gone:
                instance.join()


def of_file(path):
    with open(path) as lines:
        places = [line.strip().rpartition(":") for line in lines if line.strip() and not line.startswith("#")]
    return {(host.strip("[]"), int(port)) for host, _, port in places}


def of_name(name):
    host, _, port = name.rpartition(":")
    return {found[4][:2] for found in socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)}


def main():
    queue, where = sys.argv[1:]
    look = (lambda: of_file(where)) if os.path.exists(where) else (lambda: of_name(where))

    def handle(body):
        # In one piece, since several threads write.
        sys.stdout.buffer.write(body + b"\n")
        sys.stdout.buffer.flush()

    fleet = Fleet(queue, look, handle)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: fleet.over.set())
    fleet.run()


if __name__ == "__main__":
    main()
