"""The site in a real browser, Chromium without a screen: a buyer who gets in, one who does not, reloads of both, and a
gate that cannot answer now. Called by show.py; needs playwright.

browser.py <port of the site> <port of rushq> <folder for pictures>
"""

import pathlib
import sys

from client import Client
from playwright.sync_api import expect, sync_playwright
from sale import CONFIG, QUEUE, TICKETS

CHROMIUM = "/usr/bin/chromium"
# The page that asks again by itself does so within seconds.
ANSWER_MS_MAX = 30_000


class Buyer:
    """A person with a browser of his own."""

    def __init__(self, chromium, site, pictures, name):
        self.site, self.pictures, self.name = site, pictures, name
        self.page = chromium.new_context(viewport={"width": 640, "height": 400}).new_page()
        self.page.set_default_timeout(ANSWER_MS_MAX)

    def log_in(self):
        self.page.goto(self.site)
        expect(self.page.locator("#sale")).to_be_visible()
        self.page.get_by_role("button", name="Get a ticket").click()
        # Not without a name.
        expect(self.page.locator("#login")).to_be_visible()
        self.picture("login")
        self.page.locator("input").fill(self.name)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.locator("#sale")).to_be_visible()
        self.picture("sale")

    def join(self):
        self.page.goto(f"{self.site}/sale.html")
        self.page.get_by_role("button", name="Get a ticket").click()

    def sees(self, place, text):
        expect(self.page.locator(place)).to_contain_text(text, timeout=ANSWER_MS_MAX)

    def picture(self, what):
        self.page.screenshot(path=self.pictures / f"{self.name}-{what}.png")


def look(chromium, site, rushq, pictures):
    winner, loser = (Buyer(chromium, site, pictures, name) for name in ("ada", "bob"))
    winner.log_in()
    winner.join()
    winner.sees("#won .seat", "1")
    winner.picture("in")
    winner.page.reload()
    winner.sees("#won .seat", "1")
    winner.picture("in-reloaded")

    # The others take what is left.
    for other in range(TICKETS - 1):
        seat = rushq.get(f"{QUEUE}/ticket=other{other}")
        assert seat == str(other + 2), seat
    loser.log_in()
    loser.page.get_by_role("link", name="What I have").click()
    loser.sees("#no-place", "No seat")
    loser.join()
    loser.sees("#sold-out", "Sold out")
    loser.picture("out")
    loser.page.reload()
    loser.sees("#sold-out", "Sold out")
    loser.picture("out-reloaded")
    winner.page.reload()
    winner.sees("#won .seat", "1")
    winner.page.get_by_role("link", name="What I have").click()
    winner.sees("#place .seat", "1 paid")
    winner.picture("place")

    # A gate without its config has an answer only for those who have a seat. The others' page asks again by itself.
    assert rushq.line(f"delete {QUEUE}/config") == "DELETED"
    winner.join()
    winner.sees("#won .seat", "1")
    loser.join()
    loser.sees("#again", "neither in nor out")
    loser.picture("again")
    rushq.set(f"{QUEUE}/config", CONFIG)
    loser.sees("#sold-out", "Sold out")
    gate = dict(word.split("=") for word in rushq.get(f"{QUEUE}/gate").split())
    assert gate["given"] == str(TICKETS), gate


def main():
    site, rushq, pictures = f"http://127.0.0.1:{sys.argv[1]}", Client(int(sys.argv[2])), pathlib.Path(sys.argv[3])
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not go with root; it is shown no page but the site's.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        look(chromium, site, rushq, pictures)
        chromium.close()
    print(f"in a browser: in, out, reloads of both, a gate that was closed for a while; pictures are in {pictures}")


main()
