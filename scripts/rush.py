"""One rush on a rushq that listens on 127.0.0.1 at the port given. Called by rush.sh.

rush.py <port> <plain|opens> <file for the journal>

Buyers take a ticket out of the queue of tickets, put an order into the queue of orders, and then acknowledge the ticket.
Workers are processes. Each says in the journal what it begins, what it has done, and what was acknowledged; a kill is
written there before it happens. A line is one write to the end of the file, so that the lines are in their order.
"""

import asyncio
import itertools
import os
import resource
import signal
import socket
import sys
import time

BUYERS = 2000
TICKETS = 500
WORKERS = 8
RUSH_SECONDS = 1.0
KILL_EVERY_SECONDS = 0.03
WORK_SECONDS = 0.015
LEASE_SECONDS = 1
TIME_MAX_SECONDS = 90
WAYS = ("open-close", "close-open", "named")


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def line(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.stream.readline().decode().rstrip("\r\n")

    def get(self, key):
        """The body, or None."""
        head = self.line(f"get {key}")
        if head == "END":
            return None
        word, _, _, size = head.split()
        if word != "VALUE":
            raise ValueError(head)
        body = self.stream.read(int(size) + 2)[:-2].decode()
        end = self.stream.readline()
        if end != b"END\r\n":
            raise ValueError(end)
        return body

    def set(self, key, body):
        answer = self.line(f"set {key} 0 0 {len(body)}\r\n{body}")
        if answer != "STORED":
            raise ValueError(answer)

    def counters(self, queue):
        """The sets and gets of a queue since it was made; what is open is not got yet."""
        self.socket.sendall(b"stats queue\r\n")
        found = (0, 0)
        while (line := self.stream.readline().decode().rstrip()) != "END":
            _, name, counters = line.split()
            if name == queue:
                found = tuple(map(int, counters.split("/")))
        return found


def work(port, way, orders, journal):
    """A worker's whole life: until it is killed."""
    client = Client(port)

    def say(*words):
        os.write(journal, (" ".join((*words, str(os.getpid()))) + "\n").encode())

    def handle(order):
        say("begin", order)
        time.sleep(WORK_SECONDS)
        say("done", order)

    before = None
    for number in itertools.count():
        name = f"{os.getpid()}-{number}"
        key = {
            "plain": f"{orders}/t=100",
            "open-close": f"{orders}/open/t=100",
            "close-open": f"{orders}/close/open/t=100",
            "named": f"{orders}/open/as={name}/for={LEASE_SECONDS}/t=100",
        }[way]
        order = client.get(key)
        if way == "close-open":
            # The open acknowledged what was handled before.
            if before is not None:
                say("acked", before)
            before = order
        if order is None:
            continue
        handle(order)
        if way == "open-close":
            if client.get(f"{orders}/close") is not None:
                raise ValueError("a close brought a message")
            say("acked", order)
        elif way == "named":
            answer = client.line(f"delete {orders}/as={name}")
            if answer == "DELETED":
                say("acked", order)
            else:
                say("late", order)


async def buy(port, tickets, orders, buyer, begin):
    """A buyer's seat, or None: sold out."""
    await asyncio.sleep(begin + RUSH_SECONDS * buyer / BUYERS - time.monotonic())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(text):
        writer.write(text.encode() + b"\r\n")
        return (await reader.readline()).decode().rstrip()

    head = await ask(f"get {tickets}/open")
    if head == "END":
        writer.close()
        return None
    size = int(head.split()[3])
    seat = (await reader.readexactly(size + 2))[:-2].decode()
    await reader.readline()
    order = f"seat-{seat}-buyer-{buyer}"
    answer = await ask(f"set {orders} 0 0 {len(order)}\r\n{order}")
    if answer != "STORED":
        raise ValueError(answer)
    if await ask(f"get {tickets}/close") != "END":
        raise ValueError("a close without an END")
    writer.close()
    return order


async def rush(port, tickets, orders):
    begin = time.monotonic() + 0.1
    return await asyncio.gather(*(buy(port, tickets, orders, buyer, begin) for buyer in range(BUYERS)))


def verdict(lines, sold):
    """What the journal says of each order: lost, again after its acknowledgement, with two workers at a time; and how many
    were begun again since their worker was killed."""
    killed, acked, done, holder = set(), set(), {}, {}
    again, shared, redone = set(), set(), 0
    for word, *rest in (line.split() for line in lines):
        if word == "killed":
            killed.add(rest[0])
            continue
        order, worker = rest
        if word == "begin":
            if order in acked:
                again.add(order)
            elif order in holder and holder[order] not in killed:
                shared.add(order)
            redone += order in holder
            holder[order] = worker
        elif word == "done":
            done[order] = worker
        elif word == "acked":
            acked.add(order)
        elif word == "late":
            # Its lease was over, so that it had let go.
            killed.add(worker)
    return {"lost": set(sold) - done.keys(), "again": again, "shared": shared}, redone


def check_verdict():
    """Each fault is seen in a journal that has it."""
    good = ["begin a 1", "done a 1", "acked a 1", "begin b 2", "killed 2", "begin b 3", "done b 3", "acked b 3"]
    for lines, wanted in (
        (good, (0, 0, 0)),
        (good[:5], (1, 0, 0)),
        ([*good, "begin a 4"], (0, 1, 0)),
        ([line for line in good if line != "killed 2"], (0, 0, 1)),
    ):
        faults, _ = verdict(lines, ["a", "b"])
        found = tuple(len(faults[fault]) for fault in ("lost", "again", "shared"))
        assert found == wanted, (lines, found, wanted)


def main():
    check_verdict()
    port, mode, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    name = f"rush-{os.getpid()}"
    tickets, orders = f"{name}-tickets", f"{name}-orders"
    journal = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    client = Client(port)
    for seat in range(1, TICKETS + 1):
        client.set(tickets, str(seat))

    ways = itertools.cycle(("plain",) if mode == "plain" else WAYS)

    def start():
        way = next(ways)
        worker = os.fork()
        if worker == 0:
            try:
                work(port, way, orders, journal)
            except Exception as error:
                os.write(journal, f"broken {type(error).__name__}:{error}\n".replace(" ", "-").encode())
            os._exit(1)
        return worker

    # Before the buyers' event loop, so that a worker has nothing of it.
    workers = [start() for _ in range(WORKERS)]
    buyers = os.fork()
    if buyers == 0:
        seats = asyncio.run(rush(port, tickets, orders))
        with open(f"{path}.sold", "w") as file:
            file.writelines(f"{order}\n" for order in seats if order is not None)
        os._exit(0)
    begin = time.monotonic()
    kills = 0
    try:
        while True:
            time.sleep(KILL_EVERY_SECONDS)
            victim = workers[kills % WORKERS]
            os.write(journal, f"killed {victim}\n".encode())
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            workers[kills % WORKERS] = start()
            kills += 1
            if buyers is not None:
                ended, status = os.waitpid(buyers, os.WNOHANG)
                if ended == 0:
                    continue
                if status != 0:
                    sys.exit("the buyers failed")
                buyers = None
            sets, gets = client.counters(orders)
            if sets == gets:
                break
            if time.monotonic() - begin > TIME_MAX_SECONDS:
                sys.exit(f"{sets - gets} of {sets} orders are still in the queue")
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        if buyers is not None:
            os.kill(buyers, signal.SIGKILL)
    took = time.monotonic() - begin
    with open(f"{path}.sold") as file:
        sold = file.read().split()
    with open(path) as file:
        lines = file.read().splitlines()
    broken = [line for line in lines if line.startswith("broken")]
    seats = {order.split("-")[1] for order in sold}
    faults, redone = verdict([line for line in lines if not line.startswith("broken")], sold)
    counts = {fault: len(orders) for fault, orders in faults.items()}
    print(
        f"{mode}: {len(seats)} tickets sold to {BUYERS} buyers; {WORKERS} workers, {kills} kills, {took:.1f} s; {redone} orders"
        f" begun again since their worker was killed; {counts['lost']} lost, {counts['again']} again after the"
        f" acknowledgement, {counts['shared']} with two workers at a time"
    )
    if broken:
        sys.exit(f"{len(broken)} workers failed: {broken[0]}")
    if len(sold) != TICKETS or len(seats) != TICKETS:
        sys.exit(f"{len(sold)} orders of {len(seats)} seats, expected {TICKETS}")
    if mode == "plain":
        if counts["lost"] == 0:
            sys.exit("plain gets have lost nothing, so that this run proves nothing")
    elif any(counts.values()):
        sys.exit(f"faults: { {fault: sorted(orders)[:5] for fault, orders in faults.items() if orders} }")
    client.line(f"delete {tickets}")
    client.line(f"delete {orders}")


main()
