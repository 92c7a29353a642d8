"""The login, in small: it takes any name, where a real one asks for a password. What matters for the gate is that a
person has one id, however often he logs in: with ten ids he can have ten tickets.

login.py <port> <file with the secret>
"""

import http.server
import pathlib
import sys
import time
import urllib.parse

import signed

COOKIE_SECONDS = 12 * 3600
BODY_BYTES_MAX = 1000


class Login(http.server.BaseHTTPRequestHandler):
    secret = ""

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        name = form.get("name", [""])[0].strip().lower()
        if not name:
            self.send_response(303)
            self.send_header("Location", "/login.html")
        else:
            value = signed.cookie(self.secret, signed.id_of(self.secret, name), int(time.time()) + COOKIE_SECONDS)
            self.send_response(303)
            self.send_header("Location", "/sale.html")
            # Lax: a form on another site does not join in the buyer's name. With TLS, `Secure` belongs here too.
            self.send_header("Set-Cookie", f"buyer={value}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    Login.secret = pathlib.Path(sys.argv[2]).read_text()
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Login).serve_forever()


main()
