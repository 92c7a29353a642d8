"""The crowd: so many buyers come to the site in a few seconds, each asks until he has an answer. Called by show.py.

crowd.py <port of the site> <buyers> <file with the secret> <file for what they were told>

Prints `seats <n>` for each new seat that a buyer was told. In the file: a line for each buyer with all his answers. Not
all are kind: some go away before they have read their answer, some ask over three connections at once, some ask again.
"""

import asyncio
import pathlib
import random
import re
import resource
import sys
import time

import signed
from verdict import OUT

# A few come early, so that a kill can fall between two seats; the rest comes at once.
EARLY_BUYERS = 90
EARLY_SECONDS = 4.0
BUYERS_A_SECOND = 1500
CONNECTIONS_MAX = 1000
ANSWER_SECONDS_MAX = 20
CROWD_SECONDS_MAX = 240
SEAT = re.compile(rb'class="seat">(\d+)<')
SOLD_OUT = re.compile(rb'id="sold-out"')


def body_of(head, rest):
    """The body, put together where it came in chunks."""
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return body
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


async def ask(port, method, path, headers, reads=True):
    """The status, the head and the body, over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"{method} {path} HTTP/1.1", "Host: site", "Connection: close", "Content-Length: 0", *headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        if not reads:
            await writer.drain()
            return 0, b"", b""
        head, _, rest = (await reader.read(-1)).partition(b"\r\n\r\n")
        return int(head.split()[1]), head, body_of(head, rest)
    finally:
        writer.close()


def answer_in(status, body):
    """The seat, OUT, or None where it was no answer. A 404 alone is none: any page that is missing has it too."""
    if status == 200 and (seat := SEAT.search(body)):
        return int(seat[1])
    if status == 404 and SOLD_OUT.search(body):
        return OUT
    if status in (502, 503, 504):
        return None
    raise ValueError(f"{status} {body!r}")


class Crowd:
    def __init__(self, port, secret):
        self.port, self.secret = port, secret
        self.seats = set()
        self.again = 0
        self.connections = asyncio.Semaphore(CONNECTIONS_MAX)

    async def join(self, cookie, reads=True):
        try:
            async with self.connections:
                status, _, body = await asyncio.wait_for(
                    ask(self.port, "POST", "/join", [f"Cookie: buyer={cookie}"], reads), ANSWER_SECONDS_MAX
                )
        except (OSError, asyncio.TimeoutError, IndexError, EOFError):
            # No connection, or no answer over it.
            return None
        return answer_in(status, body) if reads else None

    async def answer(self, cookie):
        """Asks until there is an answer: a new connection, and the same buyer."""
        while (answer := await self.join(cookie)) is None:
            self.again += 1
            # What the page does too, in less time.
            await asyncio.sleep(random.uniform(0.1, 1.0))
        if answer != OUT and answer not in self.seats:
            self.seats.add(answer)
            print("seats", len(self.seats), flush=True)
        return answer

    async def buy(self, number, begin):
        early, late = min(number, EARLY_BUYERS), max(number - EARLY_BUYERS, 0)
        comes = begin + EARLY_SECONDS * early / EARLY_BUYERS + late / BUYERS_A_SECOND
        await asyncio.sleep(comes - time.monotonic())
        buyer = signed.id_of(self.secret, f"buyer {number}")
        cookie = signed.cookie(self.secret, buyer, int(time.time()) + 3600)
        if number % 10 == 3:
            await self.join(cookie, reads=False)
        at_once = 3 if number % 10 == 5 else 1
        told = set(await asyncio.gather(*(self.answer(cookie) for _ in range(at_once))))
        if number % 10 == 7:
            await asyncio.sleep(random.uniform(0.0, 2.0))
            told.add(await self.answer(cookie))
        return buyer, told


async def check_door(port, secret):
    """Who is no buyer does not get in, and what is only fetched ahead does not join."""
    buyer, until = "0" * 20, int(time.time()) + 3600
    good = signed.cookie(secret, buyer, until)
    bad = {
        "no cookie": [],
        "another's secret": [f"Cookie: buyer={signed.cookie(secret + '0', buyer, until)}"],
        "another's signature": [f"Cookie: buyer={'1' * 20}{good[20:]}"],
        "one that is over": [f"Cookie: buyer={signed.cookie(secret, buyer, int(time.time()) - 1)}"],
        "a time made longer": [f"Cookie: buyer={buyer}.{until + 9}.{good.split('.')[2]}"],
        "an id that no login makes": [f"Cookie: buyer={signed.cookie(secret, 'a/gate' + '0' * 14, until)}"],
        "Sec-Purpose": [f"Cookie: buyer={good}", "Sec-Purpose: prefetch;prerender"],
        "Purpose": [f"Cookie: buyer={good}", "Purpose: prefetch"],
    }
    for name, headers in bad.items():
        status, _, _ = await ask(port, "POST", "/join", headers)
        assert status == 403, f"{name}: {status}"
    inside = ("/seat", "/pages/sold-out.html", "/sold-out.html", "/pages/../secret.conf")
    for path, wanted in (("/join", 405), ("/place", 404), *((path, 404) for path in inside)):
        status, head, _ = await ask(port, "GET", path, [f"Cookie: buyer={good}"])
        assert status == wanted and b"no-store" in head.lower(), f"GET {path}: {head}"


async def rush(port, buyers, secret):
    await check_door(port, secret)
    crowd = Crowd(port, secret)
    begin = time.monotonic() + 0.1
    all_of_them = asyncio.gather(*(crowd.buy(number, begin) for number in range(buyers)))
    told = await asyncio.wait_for(all_of_them, CROWD_SECONDS_MAX)
    took = time.monotonic() - begin
    print(f"{buyers} buyers had an answer in {took:.1f} s; {crowd.again} times one had to ask again")
    return told


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))
    port, buyers = int(sys.argv[1]), int(sys.argv[2])
    secret, path = pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    told = asyncio.run(rush(port, buyers, secret.read_text()))
    path.write_text("".join(f"{buyer} {','.join(map(str, answers))}\n" for buyer, answers in told))


main()
