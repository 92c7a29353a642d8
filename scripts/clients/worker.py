"""A worker over pymemcache, python-memcached or pylibmc; its roles are in workers.py.

worker.py <pymemcache|memcache|pylibmc> <take|finish> <port> <queue> <name>
"""

import sys
import time

from expect import expect


def connected(kind, port):
    """A get and a delete over a connection of their own; both speak of text."""
    if kind == "pymemcache":
        from pymemcache.client.base import Client

        client = Client(("127.0.0.1", port), timeout=10)
        return lambda key: text(client.get(key)), lambda key: client.delete(key, noreply=False)
    if kind == "memcache":
        from memcache import Client

        client = Client([f"127.0.0.1:{port}"], socket_timeout=10)
    else:
        from pylibmc import Client

        client = Client([f"127.0.0.1:{port}"], behaviors={"receive_timeout": 10_000_000})
    return lambda key: text(client.get(key)), client.delete


def pooled(kind, port):
    """Over connections that change, where the library has a pool."""
    if kind == "pymemcache":
        from pymemcache.client.base import PooledClient

        client = PooledClient(("127.0.0.1", port), max_pool_size=4, timeout=10)
        return lambda key: text(client.get(key)), lambda key: client.delete(key, noreply=False)
    return connected(kind, port)


def text(body):
    return body.decode() if isinstance(body, bytes) else body


def main():
    kind, role, port, queue, name = sys.argv[1:]
    get, _ = connected(kind, int(port))
    if role == "take":
        print(get(f"{queue}/open/t=2000"), flush=True)
        time.sleep(60)
        return
    get_by_name, _ = pooled(kind, int(port))
    _, delete_by_name = pooled(kind, int(port))
    print(get_by_name(f"{queue}/open/as={name}/t=2000"))
    expect("asked again", get_by_name(f"{queue}/open/as={name}") is not None, True)
    expect("delete", bool(delete_by_name(f"{queue}/as={name}")), True)
    print(get(f"{queue}/open"))
    expect("close", get(f"{queue}/close"), None)
    expect("open of an empty queue", get(f"{queue}/open"), None)


main()
