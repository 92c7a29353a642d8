"""A worker that takes the money. It opens a winner's message, keeps the ticket for good, charges him, and acknowledges.

worker.py <port of rushq> <folder of the bank> <file for the journal>

Killed anywhere between, its lease ends and another worker does it again. So each step may be done twice, and none has
an effect twice. The ticket is kept before the charge: the other way round, a hold that ends meanwhile makes a refund. A
card that is refused would give the seat back here, by `delete concert/ticket=<buyer>`.
"""

import os
import pathlib
import random
import sys
import time
import uuid

from client import Client
from sale import QUEUE

LEASE_SECONDS = 2
# What a bank takes.
CHARGE_SECONDS = 0.03


def charge(bank, buyer):
    """One charge however often it is asked for: a bank has a key for that, and here it is the name of a file, which can
    be made once."""
    time.sleep(CHARGE_SECONDS)
    try:
        os.close(os.open(bank / buyer, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        pass


def handle(client, bank, name, say):
    """One message from its opening to its acknowledgement, if one comes."""
    buyer = client.get(f"{QUEUE}/open/as={name}/for={LEASE_SECONDS}/t=1000")
    if buyer is None:
        return
    say("begin", buyer)
    answer = client.line(f"touch {QUEUE}/ticket={buyer} 0")
    if answer == "TOUCHED":
        charge(bank, buyer)
        say("done", buyer)
    elif answer == "NOT_FOUND":
        # The hold was over before; the seat is another buyer's, and nothing was charged.
        say("lapsed", buyer)
    else:
        raise OSError(answer)
    if client.line(f"delete {QUEUE}/as={name}") == "DELETED":
        say("acked", buyer)


def main():
    port, bank = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    journal = os.open(sys.argv[3], os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def say(*words):
        # One write, so that the lines of all workers are whole and in their order.
        os.write(journal, (" ".join((*words, str(os.getpid()))) + "\n").encode())

    client = None
    while True:
        try:
            client = client or Client(port)
            # A fresh name for each message. Where the connection is lost the lease ends, and the message comes again.
            handle(client, bank, uuid.uuid4().hex, say)
        except OSError:
            if client is not None:
                client.close()
            client = None
            time.sleep(random.uniform(0.05, 0.2))


main()
