"""pymemcache with a rushq that has users. Called by clients.sh with the binary and a folder of its own."""

import re
import subprocess
import sys

from expect import expect
from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheClientError

# Of "of shop", by `openssl passwd -6`.
HASH = (
    "$6$222bXWyIulNW0o9T$z8Br/gutswnQ1XPyc/DLWibwIEi5Ng"
    "CaTtXirp..GPMeFfy3DzuPL7ABQEwheThTYlS2XmFNXr3JWA4eRdQe0."
)


class LoggedIn(Client):
    """As in protocol/README.md: whatever connects logs in first."""

    def _connect(self):
        super()._connect()
        self.set("login", b"shop of shop", noreply=False)


class Pool(PooledClient):
    client_class = LoggedIn


def refused(what, call, words):
    try:
        call()
    except MemcacheClientError as error:
        expect(what, words in str(error), True)
    else:
        raise SystemExit(f"{what}: it was allowed")


def converse(address):
    for kind in (LoggedIn, Pool):
        client = kind(address, timeout=10)
        for number in range(8):
            expect("set", client.set(f"orders-{number}", b"x", noreply=False), True)
            expect("get", client.get(f"orders-{number}"), b"x")
        refused("set of another queue", lambda: client.set("mail", b"x", noreply=False), "lacks put=mail")
        refused("get of another queue", lambda: client.get("mail"), "lacks take=mail")
        expect("set behind what was refused", client.set("orders-1", b"x", noreply=False), True)
        expect("get behind what was refused", client.get("orders-1"), b"x")
        client.close()
    # Without a class of one's own: the first set is the login.
    client = Client(address, timeout=10)
    expect("the login", client.set("anything", "shop of shop", noreply=False), True)
    expect("get", client.get("orders-1"), None)
    stranger = Client(address, timeout=10)
    refused("get before a login", lambda: stranger.get("orders-1"), "unauthenticated")
    refused("a wrong password", lambda: stranger.set("a", "shop of shoq", noreply=False), "authentication failure")


def main():
    rushq, folder = sys.argv[1:]
    users = f"{folder}/users"
    with open(users, "w", encoding="ascii") as file:
        file.write(f"shop:{HASH}: put=orders-* take=orders-*\n")
    command = [rushq, "-l", "127.0.0.1", "-p", "0", "-t", "2", "-H", f"{folder}/data", "--users", users]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stderr:
                found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
                if found:
                    break
            else:
                raise SystemExit("rushq does not listen")
            converse(("127.0.0.1", int(found[1])))
        finally:
            server.terminate()
    print("pymemcache: logins, alone and in a pool, and what a user may not do")


main()
