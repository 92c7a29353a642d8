"""A producer or consumer of the queue that all languages share, over pymemcache, python-memcached or pylibmc.

produce <pymemcache|memcache|pylibmc> <port> <queue> <count>
consume <the same> <port> <queue> <file for what it takes> <file that is there when the producers are done>
"""

import os
import sys
import time

from expect import expect

SECONDS_MAX = 90


def connected(client, port):
    if client == "pymemcache":
        from pymemcache.client.base import Client

        # Its sets want no reply unless told otherwise.
        return Client(("127.0.0.1", int(port)), timeout=10)
    if client == "memcache":
        import memcache

        return memcache.Client([f"127.0.0.1:{port}"], socket_timeout=10)
    import pylibmc

    return pylibmc.Client([f"127.0.0.1:{port}"])


def produce(client, connection, queue, count):
    ends = time.monotonic() + SECONDS_MAX
    for number in range(count):
        expect("in time", time.monotonic() < ends, True)
        # Bytes, since each library has a flag of its own for text.
        body = b"py-%s %d %s" % (client.encode(), number, b"x" * (number * 37 % 1500))
        expect(f"set {number}", connection.set(queue, body), True)
    if client == "pymemcache":
        # The answer to this says that the sets before it were read.
        connection.version()


def consume(connection, queue, taken_path, done_path):
    ends = time.monotonic() + SECONDS_MAX
    with open(taken_path, "xb") as taken:
        while True:
            expect("in time", time.monotonic() < ends, True)
            last = os.path.exists(done_path)
            body = connection.get(queue)
            if body is not None:
                taken.write(body + b"\n")
            elif last:
                break
            else:
                time.sleep(0.002)


def main():
    role, client, port, queue = sys.argv[1:5]
    connection = connected(client, port)
    if role == "produce":
        produce(client, connection, queue, int(sys.argv[5]))
    else:
        consume(connection, queue, *sys.argv[5:7])


main()
