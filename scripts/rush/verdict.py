"""What is wrong with a sale, from what each buyer was told and what is there in the end. Without any I/O."""

import collections

from sale import TICKETS

OUT = "sold out"


def faults(told, journal, charged, places, gate, messages):
    """One line for each fault; none when the sale was right.

    told: for each buyer all answers that reached him, seats as numbers and OUT.
    journal: the workers' lines. charged: the buyers whom the bank has a charge of.
    places: for each who was told a seat, what `place=` says in the end.
    gate: the figures of `get concert/gate`. messages: the sets and the gets of the queue.
    """
    found = []
    winners = {buyer: {answer for answer in answers if answer != OUT} for buyer, answers in told.items()}
    winners = {buyer: seats for buyer, seats in winners.items() if seats}
    holders = collections.defaultdict(set)
    for buyer, seats in winners.items():
        if OUT in told[buyer]:
            found.append(f"{buyer} was told a seat and sold out")
        if len(seats) > 1:
            found.append(f"{buyer} was told the seats {sorted(seats)}")
        for seat in seats:
            holders[seat].add(buyer)
    for seat, buyers in sorted(holders.items()):
        if len(buyers) > 1:
            found.append(f"seat {seat} was told to {sorted(buyers)}")
    found += [f"{buyer} was told nothing" for buyer, answers in told.items() if not answers]
    wanted = min(TICKETS, len(told))
    if set(holders) != set(range(1, wanted + 1)):
        found.append(f"{len(holders)} seats were told, from {min(holders, default=0)} to {max(holders, default=0)}")

    done = collections.Counter(line.split()[1] for line in journal if line.startswith("done "))
    acked = collections.Counter(line.split()[1] for line in journal if line.startswith("acked "))
    found += [f"the message of {buyer} was not done" for buyer in winners.keys() - done.keys()]
    found += [f"a message of {buyer} was done, who has no seat" for buyer in done.keys() - winners.keys()]
    found += [f"the messages of {buyer} were acknowledged {count} times" for buyer, count in acked.items() if count > 1]
    found += [f"{buyer} has a seat and was not charged" for buyer in winners.keys() - charged]
    found += [f"{buyer} was charged and has no seat" for buyer in charged - winners.keys()]
    for buyer, seats in winners.items():
        if places.get(buyer) not in {f"{seat} paid" for seat in seats}:
            found.append(f"{buyer} was told the seats {sorted(seats)}, and has {places.get(buyer)}")
    for figure in ("given", "paid"):
        if int(gate[figure]) != wanted:
            found.append(f"the gate says {figure}={gate[figure]}, expected {wanted}")
    if messages != (wanted, wanted):
        found.append(f"{messages[0]} messages were put and {messages[1]} taken, expected {wanted}")
    return found


def check_faults():
    """Each fault is seen in a sale that has it, and none in one that is right."""
    seats = range(1, TICKETS + 1)
    right = {
        "told": {**{f"w{seat}": {seat} for seat in seats}, "loser": {OUT}},
        "journal": [line for seat in seats for line in (f"begin w{seat} 1", f"done w{seat} 1", f"acked w{seat} 1")],
        "charged": {f"w{seat}" for seat in seats},
        "places": {f"w{seat}": f"{seat} paid" for seat in seats},
        "gate": {"given": "100", "paid": "100"},
        "messages": (100, 100),
    }
    wrong = {
        "told both": {"told": {**right["told"], "w1": {1, OUT}}},
        "two seats for one": {"told": {**right["told"], "w1": {1, 2}}},
        "one seat for two": {"told": {**right["told"], "w2": {1}}, "places": {**right["places"], "w2": "1 paid"}},
        "no answer": {"told": {**right["told"], "loser": set()}},
        "one more than there are": {"told": {**right["told"], "loser": {101}}},
        "not done": {"journal": right["journal"][3:]},
        "done for another": {"journal": [*right["journal"], "done loser 2"]},
        "acknowledged twice": {"journal": [*right["journal"], "acked w1 2"]},
        "not charged": {"charged": right["charged"] - {"w1"}},
        "charged for nothing": {"charged": right["charged"] | {"loser"}},
        "another seat in the end": {"places": {**right["places"], "w1": "2 paid"}},
        "not paid": {"places": {**right["places"], "w1": "1 held 9"}},
        "no seat in the end": {"places": {**right["places"], "w1": None}},
        "the gate gave more": {"gate": {"given": "101", "paid": "100"}},
        "a message too many": {"messages": (101, 101)},
        "a message left": {"messages": (100, 99)},
    }
    assert faults(**right) == [], faults(**right)
    for name, change in wrong.items():
        assert faults(**{**right, **change}), name
