"""What is sold: the queue with the gate, and what it is told once. nginx's keys begin with the same name."""

QUEUE = "concert"
TICKETS = 100
# A hold is longer than any run, so that no seat comes back meanwhile.
CONFIG = f"tickets={TICKETS} hold=900"
