"""rushq behind nginx's memcached_pass, with keys that have options: nginx.py <nginx binary> <port> <empty folder>

A worker opens a message over HTTP and is gone; its lease ends, the next one has the message, and closes it.
"""

import http.client
import pathlib
import socket
import subprocess
import sys
import time

from expect import expect

SECONDS_MAX = 20


def get(path, folder):
    """The status, and the body of a 200."""
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS_MAX)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(SECONDS_MAX)
    connection.sock.connect(str(folder / "socket"))
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body if response.status == 200 else b""


def counters(port):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as connection:
        connection.sendall(b"stats queue\r\nquit\r\n")
        lines = connection.makefile("rb").read().decode().split("\r\n")
    return [line for line in lines if " web " in line]


def main():
    binary, port, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    text = (pathlib.Path(__file__).parent / "nginx.conf").read_text()
    (folder / "nginx.conf").write_text(text.replace("FOLDER", str(folder)).replace("PORT", str(port)))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"set web 0 0 5\r\norder\r\n")
        expect("set", connection.recv(100), b"STORED\r\n")
    with subprocess.Popen([binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]) as nginx:
        try:
            for _ in range(SECONDS_MAX * 20):
                if (folder / "socket").exists() or nginx.poll() is not None:
                    break
                time.sleep(0.05)
            expect("open", get("/open?name=a", folder), (200, b"order"))
            expect("the same name again", get("/open?name=a", folder), (200, b"order"))
            # The first worker never closes: the second one waits for the end of its lease.
            expect("the next worker", get("/open?name=b", folder), (200, b"order"))
            expect("close of a name that has nothing", (get("/close?name=a", folder), counters(port)), ((404, b""), ["STAT web 1/0"]))
            expect("close", (get("/close?name=b", folder), counters(port)), ((404, b""), ["STAT web 1/1"]))
        finally:
            nginx.kill()
    print("nginx's memcached_pass: opened under a name, the same again, by the next worker after the lease, closed")


main()
