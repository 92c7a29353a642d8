"""A fleet behind HAProxy, for a look or for a check; see scripts/fleet.sh.

tried.py <rushq> run <instances>
tried.py <rushq> check
"""

import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
EVENT_TIMEOUT_S = 30
LISTENERS = ("FLEET", "PRODUCERS", "BY_CLIENT", "BY_QUEUE")
QUEUE = "jobs"
PRODUCERS = 4
# A connection stays where it is, so a producer has a new one now and then.
SETS_PER_CONNECTION = 20
# What has to be put after each thing that happens to the fleet.
SETS_PER_PHASE = 300


def free_ports(count):
    """Ports below those that the kernel gives away, so that an instance that is down keeps its own."""
    ports, port = [], 10_000 + int.from_bytes(random_bytes(), "big") % 20_000
    while len(ports) < count:
        port += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass
    return ports


def random_bytes():
    with open("/dev/urandom", "rb") as source:
        return source.read(4)


def wait_for(what, happened):
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < EVENT_TIMEOUT_S, f"waited {EVENT_TIMEOUT_S} s for {what}"
        time.sleep(0.02)


class Instance:
    def __init__(self, name, rushq, scratch):
        self.name, self.rushq, self.scratch = name, rushq, scratch
        self.port, self.agent = free_ports(2)

    def start(self, *more):
        log = self.log().open("a")
        before = self.said()
        options = ["-t", "1", "--segment-bytes", "3000000", *more]
        self.process = subprocess.Popen(
            [self.rushq, "-p", str(self.port), "-H", self.scratch / self.name, "--agent-check", str(self.agent), *options],
            stderr=log,
        )
        wait_for(f"{self.name} to listen", lambda: self.process.poll() is not None or self.said() > before)
        assert self.process.poll() is None, f"{self.name} has ended: {self.log().read_text()}"

    def log(self):
        return self.scratch / f"{self.name}.log"

    def said(self):
        """How often it has said that it listens."""
        return self.log().read_text().count("listening on ")

    def stats(self):
        """What `stats` says; numbers only."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"stats\r\nquit\r\n")
            text = connection.makefile("rb").read().decode()
        return {name: int(value) for name, value in re.findall(r"STAT (\w+) (\d+)\r", text)}

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Proxy:
    def __init__(self, scratch, *options):
        self.scratch, self.options, self.process = scratch, options, None
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        self.only = free_ports(9)
        self.old = []

    def start(self, instances):
        """Starts with these instances, or goes on with them: new connections go to the new process."""
        script = HERE.parent / "fleet.sh"
        places = [f"127.0.0.1:{instance.port},{instance.agent}" for instance in instances]
        text = subprocess.run([script, *self.options, *places], check=True, capture_output=True, text=True).stdout
        config = self.scratch / f"haproxy-{self.ports['FLEET']}.cfg"
        config.write_text(text)
        environment = {f"RUSHQ_{name}": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        environment |= {f"RUSHQ_ONLY_{letter}": f"127.0.0.1:{port}" for letter, port in zip("ABCDEFGHI", self.only)}
        # The path of a socket must be short.
        self.admin = f"{tempfile.gettempdir()}/rushq-fleet-{self.ports['FLEET']}.sock"
        command = ["haproxy", "-db", "-f", str(config)]
        if self.process:
            self.old.append(self.process)
            command += ["-sf", str(self.process.pid)]
        log = (self.scratch / "haproxy.log").open("a")
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "RUSHQ_PROXY_ADMIN": self.admin}
        self.process = subprocess.Popen(command, env=environment | path, stdout=log, stderr=log)
        for instance in instances:
            self.wait("producers", instance.name, "UP")
            self.wait("fleet", instance.name, "UP")

    def end(self):
        for process in [self.process, *self.old]:
            if process:
                process.kill()
                process.wait()
        if self.process:
            pathlib.Path(self.admin).unlink(missing_ok=True)

    def status(self, listener, server):
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(self.admin)
                admin.sendall(b"show stat\n")
                table = admin.makefile().read()
        except OSError:
            return ""
        lines = [line.split(",") for line in table.splitlines() if line.startswith(f"{listener},{server},")]
        return lines[0][17] if lines else ""

    def wait(self, listener, server, word):
        wait_for(f"{listener}/{server} to be {word}", lambda: self.status(listener, server).startswith(word))


class Producers:
    """Put numbered messages through the proxy, each until an instance has acknowledged it."""

    def __init__(self, port):
        self.port, self.over = port, threading.Event()
        self.acknowledged, self.lock = set(), threading.Lock()
        # Of each producer.
        self.connections = [0] * PRODUCERS
        self.threads = [threading.Thread(target=self.produce, args=(number,)) for number in range(PRODUCERS)]
        for thread in self.threads:
            thread.start()

    def produce(self, me):
        number = me
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    self.connections[me] += 1
                    replies = connection.makefile("rb")
                    for _ in range(SETS_PER_CONNECTION):
                        body = b"%d" % number
                        connection.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (QUEUE.encode(), len(body), body))
                        if replies.readline() != b"STORED\r\n":
                            # An instance that drains or has gone: another one takes it.
                            time.sleep(0.01)
                            break
                        with self.lock:
                            self.acknowledged.add(number)
                        number += PRODUCERS
                        time.sleep(0.001)
            except OSError:
                time.sleep(0.01)

    def more(self):
        """Waits until so many more were acknowledged as a phase takes, and no connection is left from before."""
        goal, begun = len(self.acknowledged) + SETS_PER_PHASE, list(self.connections)
        wait_for("more sets", lambda: len(self.acknowledged) >= goal)
        wait_for("new connections", lambda: all(now > then for now, then in zip(self.connections, begun)))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Consumer:
    """The recipe, as a process of its own, and what it has handled."""

    def __init__(self, places):
        self.process = subprocess.Popen(
            [sys.executable, "-B", HERE / "consumer.py", QUEUE, places], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.handled = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.handled.append(int(line))

    def end(self):
        self.process.terminate()
        code = self.process.wait(timeout=EVENT_TIMEOUT_S)
        self.reader.join()
        return code


def write_places(path, instances):
    new = path.with_suffix(".new")
    new.write_text("".join(f"127.0.0.1:{instance.port}\n" for instance in instances))
    new.rename(path)


def check(fleet, proxy, add, scratch):
    places = scratch / "instances"
    write_places(places, fleet)
    producers, consumers = Producers(proxy.ports["PRODUCERS"]), []
    try:
        what_happens(fleet, proxy, add, places, producers, consumers)
        producers.end()
        wait_for("all to be empty", lambda: all(instance.stats()["curr_items"] == 0 for instance in fleet))
    finally:
        producers.end()
        codes = [consumer.end() for consumer in consumers]
    assert codes == [0, 0], codes
    handled = [number for consumer in consumers for number in consumer.handled]
    lost = producers.acknowledged - set(handled)
    assert not lost, f"{len(lost)} messages were acknowledged and never handled, {sorted(lost)[:10]} among them"
    # One whose acknowledgement went with the instance that was killed, or whose set was repeated since its reply had.
    again = len(handled) - len(set(handled))
    assert again <= PRODUCERS + 2 * len(consumers), f"{again} messages were handled again"
    print(f"nothing is lost of {len(producers.acknowledged)} messages; {again} were handled again after the kill")


def what_happens(fleet, proxy, add, places, producers, consumers):
    """One drains, one is killed, one is added, while messages come and go."""
    _, b, c = fleet
    producers.more()
    wait_for("sets at each instance", lambda: all(instance.stats()["total_items"] > 20 for instance in fleet))

    # One drains, with messages that are there still: the consumers begin only now.
    b.signal(signal.SIGUSR1)
    proxy.wait("producers", "b", "DRAIN")
    assert proxy.status("fleet", "b").startswith("UP"), proxy.status("fleet", "b")
    # A producer that is connected to it still is refused once, and then goes elsewhere.
    producers.more()
    before = b.stats()
    assert before["curr_items"] > 0
    producers.more()
    after = b.stats()
    assert after["cmd_set"] == before["cmd_set"], "a producer was led to an instance that drains"
    consumers.extend(Consumer(places) for _ in range(2))
    wait_for("the one that drains to be empty", lambda: b.stats()["curr_items"] == 0)
    print("drained: no set came any more, and the consumers have emptied it")
    # They go on to ask it, without spinning.
    began, asked = time.monotonic(), b.stats()["cmd_get"]
    producers.more()
    wait_for("some seconds", lambda: time.monotonic() - began > 2)
    rate = (b.stats()["cmd_get"] - asked) / (time.monotonic() - began) / len(consumers)
    assert rate < 4, f"each consumer asks an instance that drains {rate:.0f} times a second"

    c.kill()
    proxy.wait("producers", "c", "DOWN")
    producers.more()
    c.start()
    proxy.wait("producers", "c", "UP")
    before = c.stats()["total_items"]
    wait_for("sets at the one that was killed", lambda: c.stats()["total_items"] > before + 20)
    print("killed: the others went on, and so did it when it was started again")

    b.signal(signal.SIGTERM)
    assert b.process.wait(timeout=EVENT_TIMEOUT_S) == 0
    b.start()
    proxy.wait("producers", "b", "UP")
    wait_for("sets at the one that drained", lambda: b.stats()["total_items"] > 20)
    print("back: the one that drained takes sets again")

    d = add("d")
    write_places(places, fleet)
    proxy.start(fleet)
    wait_for("sets at the new one", lambda: d.stats()["total_items"] > 20)
    wait_for("gets at the new one", lambda: d.stats()["get_hits"] > 20)
    print("added: the new one takes sets, and the consumers have found it")
    producers.more()


def told(rushq, scratch):
    """An instance with users, behind a proxy that logs in for its checks and tells who the clients are."""
    scratch.mkdir()
    secret = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True)
    users = scratch / "users"
    users.write_text("".join(f"{user}:{secret.stdout.strip()}: {words}\n" for user, words in [("health", ""), ("op", "admin")]))
    users.chmod(0o600)
    instance = Instance("a", rushq, scratch)
    proxy = Proxy(scratch, "--proxy-protocol", "--login", "health:secret")
    try:
        instance.start("--proxy-protocol", "127.0.0.1", "--users", users)
        proxy.start([instance])
        with socket.create_connection(("127.0.0.1", proxy.ports["FLEET"]), timeout=10) as client:
            client.sendall(b"set login 0 0 9\r\nop secret\r\nstats conns\r\nquit\r\n")
            text = client.makefile("rb").read().decode()
            assert f":peer 127.0.0.1:{client.getsockname()[1]}\r" in text, text
    finally:
        proxy.end()
        instance.kill()
    print("told: the instance has the client's address, and not the proxy's")


def show(fleet, proxy):
    print("instances:", ", ".join(f"{instance.name} at 127.0.0.1:{instance.port}" for instance in fleet))
    print("HAProxy:", ", ".join(f"{name.lower()} at 127.0.0.1:{port}" for name, port in proxy.ports.items()))
    print(f"its figures: echo 'show stat' | socat - {proxy.admin}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def main():
    rushq, what = sys.argv[1:3]
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="rushq-fleet."))
    fleet, proxy = [], Proxy(scratch)

    def add(name):
        instance = Instance(name, rushq, scratch)
        instance.start()
        fleet.append(instance)
        return instance

    if what == "run":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        for name in "abcdefghi"[: int(sys.argv[3]) if what == "run" else 3]:
            add(name)
        proxy.start(fleet)
        if what == "run":
            show(fleet, proxy)
        else:
            check(fleet, proxy, add, scratch)
            told(rushq, scratch / "told")
    finally:
        proxy.end()
        for instance in fleet:
            instance.kill()
        shutil.rmtree(scratch, ignore_errors=True)


main()
