"""As much of the memcache protocol as the site needs, over one connection. A connection that is lost is an OSError."""

import socket

SECONDS_MAX = 10


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("rushq has closed the connection")
        return line[:-2].decode()

    def line(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.read()

    def get(self, key):
        """The body, or None. "Cannot now" is an OSError too, since what to do about it is the same."""
        head = self.line(f"get {key}")
        if head == "END":
            return None
        if not head.startswith("VALUE "):
            raise OSError(head)
        size = int(head.split()[3])
        body = self.stream.read(size + 2)
        if len(body) != size + 2:
            raise ConnectionError("rushq has closed the connection")
        self.read()
        return body[:-2].decode()

    def set(self, key, body):
        answer = self.line(f"set {key} 0 0 {len(body)}\r\n{body}")
        if answer != "STORED":
            raise OSError(answer)

    def counters(self, queue):
        """The sets and gets of a queue since it was made; what is open is not got yet."""
        self.socket.sendall(b"stats queue\r\n")
        found = (0, 0)
        while (line := self.read()) != "END":
            _, name, counters = line.split()
            if name == queue:
                found = tuple(map(int, counters.split("/")))
        return found
