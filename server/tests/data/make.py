#!/usr/bin/env python3
"""Makes a data directory for tests/it/versions.rs with a rushq of any build: make.py RUSHQ TARFILE

Before a change of the format, this is run with the build before it, and the file is kept for ever: every later build opens it.
What is put here, the test expects; so this file and the test are changed together, and only by adding queues. What a build has not
yet, it is not asked for: what `with_options` puts is there from 7b2a37d on.
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

        def ask(line, end=(b"END", b"OK", b"STORED", b"DELETED", b"NOT_FOUND")):
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
        if any(line.startswith(b"STAT no_config ") for line in ask(b"stats settings\r\n")):
            with_options(ask, put, take)
        server.kill()
        server.wait()
        subprocess.check_call(["tar", "-C", data, "--owner=0", "--group=0", "--sort=name", "-czf", tarfile, "."])


def with_options(ask, put, take):
    """Settings, delays, tries, dead letters, ids and children."""
    put(b"told/config", 0, b"depth=50 tries=3 lease=77")
    put(b"told", 5, b"by its settings")
    put(b"delayed/delay=31536000", 6, b"in a year")
    put(b"delayed", 7, b"at once")
    put(b"tried", 8, b"once in vain")
    put(b"tried", 9, b"never")
    assert ask(b"get tried/open\r\n")[0].startswith(b"VALUE")
    assert ask(b"get tried/abort\r\n") == [b"END"]
    for n in range(2):
        put(b"buried", 10 + n, b"letter %d" % n)
        assert ask(b"get buried/open\r\n")[0].startswith(b"VALUE")
        assert ask(b"get buried/bury\r\n") == [b"END"]
    put(b"buried", 12, b"no letter")
    put(b"once/config", 0, b"dedup=1000000000")
    for n in range(3):
        put(b"once/id=order-17", 13, b"the first of three")
    for child in (b"log", b"mail"):
        assert ask(b"get news+%s\r\n" % child) == [b"END"]
    put(b"alone/config", 0, b"fanout_only=1")
    assert ask(b"get alone+log\r\n") == [b"END"]
    for n in range(3):
        put(b"news", 14 + n, b"headline %d" % n)
        put(b"alone", 17 + n, b"only for the log %d" % n)
    take(b"news+log", 1)
    take(b"alone+log", 2)
    # Nothing of it is in the checkpoint; and with it once more, half of it is.
    assert ask(b"db_checkpoint\r\n") == [b"OK"]
    put(b"told/config", 0, b"depth=60 tries=4 lease=88")
    put(b"once/id=order-18", 20, b"another")
    take(b"news", 1)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
