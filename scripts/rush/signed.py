"""The cookie that says who a buyer is, as nginx.conf checks it: <id>.<until, unix seconds>.<signature>."""

import base64
import hashlib
import hmac


def id_of(secret, name):
    """The buyer's id: always the same for a name, and 20 characters of [a-z0-9], which the login makes itself."""
    return hmac.new(secret.encode(), f"buyer {name}".encode(), "sha256").hexdigest()[:20]


def cookie(secret, buyer, until):
    """What nginx's secure_link asks for: MD5 with the secret at the end."""
    digest = hashlib.md5(f"{until} {buyer} {secret}".encode()).digest()
    return f"{buyer}.{until}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
