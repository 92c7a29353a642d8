"""Workers of all client libraries: one opens a message and is killed by kill -9 in the middle of its work; another one has
the same message, and acknowledges it. Called by clients.sh, which gives the port of a rushq on 127.0.0.1, and a folder.

A worker is called with a role, the port, a queue and a name that no other has:
  take    opens a message on its connection, or under the name where each call has a connection of its own, prints it, and
          sleeps until it is killed
  finish  opens a message under the name, acknowledges it over another connection, then opens and acknowledges the next
          one on its connection; prints both
"""

import concurrent.futures
import pathlib
import socket
import subprocess
import sys

from expect import expect

HERE = pathlib.Path(__file__).parent
PYTHON = [sys.executable, str(HERE / "worker.py")]
PHP = ["php", str(HERE / "worker.php")]
PERL = ["perl", str(HERE / "worker.pl")]
WORKERS = {
    "PHP memcached": [*PHP, "memcached"],
    "PHP memcache": [*PHP, "memcache"],
    "pymemcache": [*PYTHON, "pymemcache"],
    "python-memcached": [*PYTHON, "memcache"],
    "pylibmc": [*PYTHON, "pylibmc"],
    "npm's memcached": ["node", str(HERE / "worker.js")],
    "Perl Cache::Memcached": [*PERL, "Cache::Memcached"],
    "Perl Cache::Memcached::Fast": [*PERL, "Cache::Memcached::Fast"],
    "libmemcached": [str(HERE / "worker.sh")],
}
SECONDS_MAX = 20


def ask(port, text, end):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as connection:
        connection.sendall(text.encode())
        answer = b""
        while not answer.endswith(end) and (piece := connection.recv(65536)):
            answer += piece
    return answer.decode()


def check(port, number, name, command):
    queue = f"work-{number}"
    for body in ("first", "second"):
        answer = ask(port, f"set {queue} 0 0 {len(body)}\r\n{body}\r\n", b"\r\n")
        expect(f"{name}: set", answer, "STORED\r\n")
    with subprocess.Popen([*command, "take", str(port), queue, f"t{number}"], stdout=subprocess.PIPE) as taker:
        try:
            expect(f"{name}: the worker that is killed", taker.stdout.readline(), b"first\n")
            expect(f"{name}: the worker that is killed", taker.poll(), None)
        finally:
            taker.kill()
    finisher = subprocess.run(
        [*command, "finish", str(port), queue, f"f{number}"], stdout=subprocess.PIPE, timeout=SECONDS_MAX
    )
    expect(f"{name}: the next worker", (finisher.stdout, finisher.returncode), (b"first\nsecond\n", 0))
    # What is open is not counted as got.
    counters = [line for line in ask(port, "stats queue\r\n", b"END\r\n").split("\r\n") if f" {queue} " in line]
    expect(f"{name}: acknowledged", counters, [f"STAT {queue} 2/2"])
    return name


def main():
    port = int(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        checks = [pool.submit(check, port, number, *worker) for number, worker in enumerate(WORKERS.items())]
        names = [check.result() for check in checks]
    print(f"workers that are killed: {', '.join(names)}: each message came to the next worker, which acknowledged it")


main()
