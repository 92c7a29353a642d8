"""python-memcached against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh."""

import re
import sys

import memcache
from expect import VALUES, expect


def types_come_back(client):
    # With min_compress_len, what is longer goes through zlib.
    for compress in (0, 100):
        for name, value in VALUES.items():
            expect(f"set, {name}", client.set("types", value, min_compress_len=compress), True)
            # A queue that is empty gives None, too.
            expect(f"get, {name}", client.get("types", default="nothing"), value)
    expect("get of an empty queue", client.get("types", default="nothing"), "nothing")


def first_in_first_out(client):
    for number in range(20):
        for queue in range(16):
            # Every second one without a reply.
            expect("set", bool(client.set(f"py-{queue}", number, noreply=number % 2 == 1)), True)
    for queue in range(16):
        for number in range(20):
            expect(f"get py-{queue}", client.get(f"py-{queue}"), number)


def many_at_once(client):
    messages = {f"many-{number}": number for number in range(50)}
    expect("set_multi", client.set_multi(messages), [])
    expect("get_multi", client.get_multi([*messages, "many-nothing"]), messages)
    expect("get_multi, all empty now", client.get_multi(list(messages)), {})
    client.set("numbered", 7)
    expect("gets", client.gets("numbered"), 7)


def housekeeping(client, address):
    client.set("gone", 1)
    expect("stats queue", dict(client.get_stats("queue"))[f"{address} (1)"]["gone"], "1/0")
    expect("delete", client.delete("gone"), 1)
    expect("get after a delete", client.get("gone"), None)
    client.set("flushed", 1)
    client.flush_all()
    expect("get after flush_all", client.get("flushed"), None)
    stats = client.get_stats()[0][1]
    expect("stats: version", re.fullmatch(r"[1-9]\d*\.\d+\.\d+", stats["version"]) is not None, True)
    expect("stats: threads", int(stats["threads"]) >= 2, True)


def main():
    address = f"127.0.0.1:{sys.argv[1]}"
    # Several connections, so that both shards get some.
    for _ in range(4):
        client = memcache.Client([address], socket_timeout=10)
        types_come_back(client)
        first_in_first_out(client)
        many_at_once(client)
        housekeeping(client, address)
        client.disconnect_all()
    print(f"python-memcached: {len(VALUES)} types in 2 ways over 4 connections")


main()
