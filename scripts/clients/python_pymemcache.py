"""pymemcache against a rushq that listens on 127.0.0.1 at the port given, over TLS when a certificate to trust is given
behind it. Called by clients.sh and tls.sh."""

import ssl
import sys

from expect import expect
from pymemcache.client.base import Client, PooledClient


def first_in_first_out(client):
    bodies = [b"one", b"two\r\nEND\r\n", b"", bytes(range(256)), b"\n\n\n", b"VALUE q 0 1\r\nx\r\nEND\r\n"]
    for queue in (f"py-{number}" for number in range(16)):
        for body in bodies:
            expect("set", client.set(queue, body, noreply=False), True)
        for body in bodies:
            expect(f"get {queue}", client.get(queue), body)
        expect("get of an empty queue", client.get(queue), None)


def noreply_is_the_default(client):
    for number in range(200):
        client.set(f"noreply-{number % 10}", str(number))
    for number in range(200):
        expect("get behind noreply sets", client.get(f"noreply-{number % 10}"), str(number).encode())


def many_at_once(client):
    messages = {f"many-{number}": f"body {number}".encode() for number in range(50)}
    expect("set_many", client.set_many(messages, noreply=False), [])
    expect("get_many", client.get_many([*messages, "many-nothing"]), messages)
    expect("get_many, all empty now", client.get_many(list(messages)), {})
    expect("gets", client.set("numbered", b"x", noreply=False), True)
    body, number = client.gets("numbered")
    expect("gets", body, b"x")
    expect("gets gives a number", number.isdigit(), True)


def large_body(client):
    body = bytes(number * 7 % 256 for number in range(1024)) * 1000
    expect("set of a large body", client.set("large", body, noreply=False), True)
    expect("get of a large body", client.get("large"), body)


def delete(client):
    client.set("gone", b"x", noreply=False)
    expect("delete", client.delete("gone", noreply=False), True)
    expect("delete of what is not there", client.delete("gone", noreply=False), False)
    client.set("gone", b"y")
    client.delete("gone")
    expect("get after a delete", client.get("gone"), None)


def housekeeping(client):
    expect("version", client.version().split(b".")[0] != b"0", True)
    stats = client.stats()
    expect("stats: pointer_size", stats[b"pointer_size"], 64)
    expect("stats: threads", stats[b"threads"] >= 2, True)
    client.set("counted", b"x", noreply=False)
    expect("stats queue", client.stats("queue")[b"counted"], b"1/0")
    expect("flush_all", client.flush_all(noreply=False), True)
    expect("get after flush_all", client.get("counted"), None)
    expect("delete", client.delete("counted", noreply=False), True)


def main():
    address = ("127.0.0.1", int(sys.argv[1]))
    trusted = sys.argv[2] if len(sys.argv) > 2 else None
    tls = ssl.create_default_context(cafile=trusted) if trusted else None
    steps = [first_in_first_out, noreply_is_the_default, many_at_once, large_body, delete, housekeeping]
    for kind in (Client, PooledClient):
        # Several connections, so that both shards get some.
        for _ in range(4):
            client = kind(address, timeout=10, tls_context=tls)
            for step in steps:
                step(client)
            client.close()
    how = " over TLS" if tls else ""
    print(f"pymemcache{how}: {len(steps)} conversations over 8 connections")


main()
