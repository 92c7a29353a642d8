#!/usr/bin/env python3
"""Makes a data directory for tests/it/versions.rs with a rushq of any build: make.py RUSHQ TARFILE

Before a change of the format, this is run with the build before it, and the file is kept for ever: every later build opens it.
What is put here, the test expects; so this file and the test are changed together, and only by adding queues.
"""
import os, socket, subprocess, sys, tempfile, time


def main(rushq, tarfile):
    with tempfile.TemporaryDirectory() as home:
        data = os.path.join(home, "data")
        sock = os.path.join(home, "sock")
        server = subprocess.Popen([rushq, "-H", data, "-s", sock, "-t", "2", "-B", "4096", "--segment-bytes", "16384", "-m", "1"])
        client = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                client.connect(sock)
                break
            except OSError:
                time.sleep(0.05)
        file = client.makefile("rb")

        def ask(line, end=(b"END", b"OK", b"STORED", b"DELETED")):
            client.sendall(line)
            reply = []
            while not reply or reply[-1] not in end:
                reply.append(file.readline().rstrip(b"\r\n"))
            return reply

        def put(name, flags, body):
            assert ask(b"set %s %d 0 %d\r\n%s\r\n" % (name, flags, len(body), body)) == [b"STORED"]

        def take(name, times):
            for _ in range(times):
                assert ask(b"get %s\r\n" % name)[0].startswith(b"VALUE")

        for n in range(3):
            put(b"before", n, b"dropped by flush_all")
        assert ask(b"flush_all\r\n") == [b"OK"]
        put(b"old", 1, b"the one that stays")
        for n in range(40):
            put(b"mail", 3 * n, b"mail %d " % n * (n % 7))
        take(b"mail", 13)
        for n in range(3):
            put(b"empty", 0, b"x")
        take(b"empty", 3)
        for n in range(5):
            put(b"flushed", 0, b"gone")
        assert ask(b"flush flushed\r\n") == [b"END"]
        for n in range(2):
            put(b"flushed", 7, b"left %d" % n)
        put(b"binary", 4294967295, bytes(range(256)))
        put(b"void", 0, b"")
        for n in range(2):
            put(b"n" * 250, n, b"long name %d" % n)
        for n in range(3):
            put(b"again", 0, b"of the first life")
        assert ask(b"delete again\r\n") == [b"DELETED"]
        put(b"again", 0, b"of the second life")
        # The log goes round several times, and what lives in it is copied forward.
        for n in range(600):
            put(b"churn", 0, b"c" * 400)
            take(b"churn", 1)
        assert ask(b"db_checkpoint\r\n") == [b"OK"]
        for n in range(4):
            put(b"late", n, b"behind the checkpoint %d" % n)
        take(b"late", 1)
        server.kill()
        server.wait()
        subprocess.check_call(["tar", "-C", data, "--owner=0", "--group=0", "--sort=name", "-czf", tarfile, "."])


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
