"""Whether what the consumers of the shared queue took is what its producers stored. Called by clients.sh.

one_queue_check.py <folder with a file for each consumer> <producer=count>...
"""

import collections
import pathlib
import sys


def fail(what):
    sys.exit(f"one queue: {what}")


def main():
    expected = {producer: int(count) for producer, count in (word.split("=") for word in sys.argv[2:])}
    taken = collections.Counter()
    consumers = sorted(pathlib.Path(sys.argv[1]).glob("*.taken"))
    for consumer in consumers:
        last = dict.fromkeys(expected, -1)
        lines = consumer.read_text().splitlines()
        if not lines:
            fail(f"{consumer.stem} took nothing, expected some of what was there")
        for line in lines:
            producer, number, padding = line.split(" ")
            if producer not in expected or padding != "x" * (int(number) * 37 % 1500):
                fail(f"{consumer.stem} took what nobody stored: {line:.100}")
            if int(number) <= last[producer]:
                fail(f"{consumer.stem} took {producer} {number} after {last[producer]}, expected increasing numbers")
            last[producer] = int(number)
            taken[producer, int(number)] += 1
        print(f"one queue: {consumer.stem} took {len(lines)}")
    stored = {(producer, number) for producer, count in expected.items() for number in range(count)}
    lost = sorted(stored - taken.keys())
    invented = sorted(taken.keys() - stored)
    twice = sorted(message for message, times in taken.items() if times > 1)
    for what, messages in (("lost", lost), ("taken and never stored", invented), ("taken twice", twice)):
        if messages:
            fail(f"{len(messages)} {what}, expected none: {messages[:10]}")
    print(f"one queue: {len(stored)} messages of {len(expected)} producers through {len(consumers)} consumers,")
    print("           none lost, none twice, each producer's in its order")


main()
