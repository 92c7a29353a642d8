"""A check that ends the script. True is not 1 here, and 1.0 is not 1."""

import sys


def expect(what, found, expected):
    if found != expected or type(found) is not type(expected):
        sys.exit(f"{what}: found {found!r:.300}, expected {expected!r:.300}")


# Values by name, of every type that comes back as it went.
VALUES = {
    "zero": 0,
    "negative": -7,
    "large integer": 2**70,
    "float": 1.5,
    "true": True,
    "false": False,
    "none": None,
    "empty string": "",
    "empty bytes": b"",
    "digits": "0123",
    "text": "Straße №5 🎫",
    "protocol": b"\r\nEND\r\nVALUE q 0 1\r\nx\r\n",
    "every byte": bytes(range(256)),
    "long": "abc" * 20000,
    "list": [1, "1", 1.0, True, None],
    "dict": {"seats": [14, b"A"], 7: ()},
}
