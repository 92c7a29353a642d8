"""pylibmc, which is libmemcached, against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh."""

import sys

import pylibmc
from expect import VALUES, expect


def types_come_back(client):
    for compress in (0, 100):
        for name, value in VALUES.items():
            expect(f"set, {name}", client.set("types", value, min_compress_len=compress), True)
            # pylibmc gives a truth value back as a number, whatever the server.
            expected = int(value) if isinstance(value, bool) else value
            expect(f"get, {name}", client.get("types", "nothing"), expected)
    expect("get of an empty queue", client.get("types", "nothing"), "nothing")


def first_in_first_out(client):
    for number in range(20):
        for queue in range(16):
            expect("set", client.set(f"py-{queue}", number), True)
    for queue in range(16):
        for number in range(20):
            expect(f"get py-{queue}", client.get(f"py-{queue}"), number)


def many_at_once(client):
    messages = {f"many-{number}": number for number in range(50)}
    expect("set_multi", client.set_multi(messages), [])
    expect("get_multi", client.get_multi([*messages, "many-nothing"]), messages)
    expect("get_multi, all empty now", client.get_multi(list(messages)), {})


def housekeeping(client):
    client.set("gone", 1)
    expect("delete", client.delete("gone"), True)
    expect("delete of what is not there", client.delete("gone"), False)
    client.set("flushed", 1)
    expect("flush_all", client.flush_all(), True)
    expect("get after flush_all", client.get("flushed"), None)
    expect("stats: threads", int(client.get_stats()[0][1]["threads"]) >= 2, True)
    try:
        client.incr("flushed")
        sys.exit("incr: it worked, expected an error")
    except pylibmc.Error:
        pass
    expect("set after an error", client.set("after", "x"), True)
    expect("get after an error", client.get("after"), "x")


def main():
    address = f"127.0.0.1:{sys.argv[1]}"
    ways = [{}, {"tcp_nodelay": True, "no_block": True}, {"cas": True}]
    for behaviors in ways:
        client = pylibmc.Client([address], behaviors=behaviors)
        types_come_back(client)
        first_in_first_out(client)
        many_at_once(client)
        housekeeping(client)
    client.set("numbered", 7)
    value, number = client.gets("numbered")
    expect("gets", value, 7)
    expect("gets gives a number", number > 0, True)
    library = pylibmc.libmemcached_version
    print(f"pylibmc, libmemcached {library}: {len(VALUES)} types in 2 ways over {len(ways)} kinds of connections")


main()
