"""The operator's page in Chromium, against a real server: each act once, and what it has done at the memcache port.

look.py <rushq> <queues> <folder for pictures>
"""

import contextlib
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

from playwright.sync_api import expect, sync_playwright
from server import Client, Server, until

import foreign

CHROMIUM = "/usr/bin/chromium"
# The page asks again every 2 s.
ANSWER_MS_MAX = 15_000
LIST_MS_MAX = 100
LIST_ROUNDS = 5
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

# All of it is legal for a queue's name: there is no blank in it. %41 is no A.
HOSTILE_NAME = '<img/src="x"/onerror="window.broken=1">%41'
HOSTILE_BODY = '<script>window.broken=1</script><img src="x" onerror="window.broken=1"><b>bold</b>'
MADE_OF_TEXT = "main img, main b b, pre *, td script, main script, dialog img, .notice img"


class Page:
    """A page of the browser. What it complains of is kept; some complaints are expected while a refusal is provoked."""

    def __init__(self, chromium, server, **options):
        self.page = chromium.new_context(**{"viewport": DESK, **options}).new_page()
        self.page.set_default_timeout(ANSWER_MS_MAX)
        self.base, self.port = server.page, server.port
        self.expected, self.complaints = None, []
        self.page.on("console", lambda message: message.type == "error" and self.complain(message.text))
        self.page.on("pageerror", lambda error: self.complain(str(error)))
        self.page.on("dialog", lambda dialog: self.complain(f"a dialog: {dialog.message}"))

    def complain(self, text):
        if self.expected is None or not re.search(self.expected, text):
            self.complaints.append(text)

    @contextlib.contextmanager
    def expecting(self, pattern):
        self.expected = pattern
        yield
        self.expected = None

    def go(self, view):
        self.page.goto(self.base + view)

    def at(self, place):
        return self.page.locator(place)

    def press(self, name, within="body"):
        self.at(within).get_by_role("button", name=name, exact=True).click()

    def told(self, pattern):
        """The line of what came of the last act."""
        expect(self.at("#notice-text")).to_have_text(re.compile(pattern))

    def answer(self, verb, **fields):
        """Fills in the dialog, and agrees to it."""
        for name, value in fields.items():
            self.at(f"#dialog [name={name}]").fill(value)
        self.press(verb, "#dialog")

    def tile(self, label, value, place="#queue-figures"):
        tile = self.at(f"{place} .tile", ).filter(has=self.page.get_by_text(label, exact=True))
        expect(tile.locator(".value")).to_have_text(value)


def see_the_head(page, server):
    page.go("#/")
    expect(page.at("#version")).to_have_text(server.overview()["version"])
    expect(page.at("#facts")).to_contain_text("durable")
    expect(page.at("#facts")).to_contain_text(f"127.0.0.1:{server.port}")
    for chart, series in (("messages", 2), ("rates", 4)):
        expect(page.at(f"#chart-{chart} polyline")).to_have_count(series)
    # A line is there once there are two points, and they are the load's.
    expect(page.at("#chart-rates polyline").first).to_have_attribute("points", re.compile(r"\S+ \S+"))
    page.at("summary").click()
    expect(page.at("#shards tbody tr")).to_have_count(2)
    page.at("summary").click()


def see_and_change_a_queue(page, server, client):
    page.go("#/")
    page.press("Put into a new queue…")
    page.answer("Put", queue="acts", text=HOSTILE_BODY, flags="7")
    page.told("Put .* bytes into acts")
    assert client.get("acts/peek") == HOSTILE_BODY
    page.at("#filter").fill("act")
    page.page.get_by_role("link", name="acts", exact=True).click()
    expect(page.at("h1.name")).to_have_text("acts")
    page.press("Put…")
    page.answer("Put", text='{"number": 2}')
    page.told("Put 13 bytes")
    page.press("Put…")
    page.answer("Put", text="late", delay="3600")
    page.told("Put 4 bytes")
    figures = server.figures("acts")
    assert (figures["waiting"], figures["delayed"]) == (2, 1), figures
    page.tile("Waiting", "2")
    page.tile("Delayed", "1")

    page.press("Peek", "#messages")
    expect(page.at("#messages pre")).to_have_text([HOSTILE_BODY, '{"number": 2}', "late"])
    page.at("#messages select").select_option("json")
    expect(page.at("#messages pre").nth(1)).to_have_text('{\n  "number": 2\n}')
    page.at("#messages select").select_option("hex")
    expect(page.at("#messages pre").nth(2)).to_contain_text("6c 61 74 65")
    assert server.figures("acts")["waiting"] == 2

    page.press("Pause")
    page.told("is paused")
    assert client.get("acts") is None
    expect(page.at("#queue-badges")).to_contain_text("paused")
    page.press("Resume")
    page.told("is resumed")
    assert client.get("acts/peek") == HOSTILE_BODY

    page.at("#words").fill("tries=2 lease=30")
    page.press("Set", "#settings")
    page.told("Set what acts is told")
    assert set(client.get("acts/config").split()) == {"tries=2", "lease=30"}
    page.at("#words").fill("tries=many")
    with page.expecting("status of 4"):
        page.press("Set", "#settings")
        page.told("tries=many")
    expect(page.at("#words")).to_have_value("tries=many")
    page.press("Defaults again", "#settings")
    page.told("defaults again")
    assert not client.get("acts/config")
    expect(page.at("#words")).to_have_value("")


def move_and_bring_back(page, server, client):
    page.press("Move…")
    with page.expecting("status of 404"):
        page.answer("Move", to="nowhere", count="1")
        expect(page.at("#dialog .error")).to_contain_text("nowhere")
    assert not server.figures("nowhere")
    client.set("elsewhere", "first")
    page.answer("Move", to="elsewhere", count="1")
    page.told("Moved 1 message of acts to elsewhere")
    assert client.get("elsewhere") == "first"
    assert client.get("elsewhere") == HOSTILE_BODY
    page.tile("Waiting", "1")

    assert client.get("acts/open/as=<i>worker") is not None
    row = page.at("#opens tbody tr").filter(has_text="<i>worker")
    row.get_by_role("button").click()
    page.answer("Give back")
    page.told("is back in its place")
    assert client.line("delete acts/as=<i>worker") == "NOT_FOUND"
    assert server.figures("acts")["open"] == 0
    expect(page.at("#opens")).to_contain_text("No message is open")

    assert client.get("acts/open/as=w") is not None
    assert client.get("acts/bury/as=w") is None
    page.tile("Dead", "1")
    page.press("Peek", "#dead")
    expect(page.at("#dead pre")).to_have_text(['{"number": 2}'])
    page.press("Kick…", "#dead")
    page.answer("Kick", count="1")
    page.told("Kicked 1 dead letter")
    figures = server.figures("acts")
    assert (figures["waiting"], figures["dead"]) == (1, 0), figures
    assert client.get("acts/open/as=w") is not None
    assert client.get("acts/bury/as=w") is None
    page.press("Purge…", "#dead")
    page.answer("Purge", count="1")
    page.told("Purged 1 message of acts/dead")
    figures = server.figures("acts")
    assert (figures["waiting"], figures["dead"], figures["delayed"]) == (0, 0, 1), figures


def purge_and_delete(page, server, client):
    for number in range(5):
        client.set("acts", f"message {number}")
    page.tile("Waiting", "5")
    page.press("Purge…", "#queue-acts")
    purge = page.at("#dialog").get_by_role("button", name="Purge", exact=True)
    for wrong in ("", "0", "7", "all", "-1"):
        page.at("#dialog [name=count]").fill(wrong)
        expect(purge).to_be_disabled()
    assert server.figures("acts")["waiting"] == 5
    # The five that wait and the one that is delayed.
    page.answer("Purge", count="6")
    page.told("Purged 6 messages of acts")
    figures = server.figures("acts")
    assert (figures["waiting"], figures["delayed"]) == (0, 0), figures
    page.press("Delete…")
    page.at("#dialog [name=name]").fill("act")
    expect(page.at("#dialog").get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    page.answer("Delete", name="acts")
    page.told("Deleted acts")
    assert not server.figures("acts")
    expect(page.at("#overview")).to_be_visible()


def close_a_connection(page, server):
    client = Client(server.port)
    client.line("version")
    page.go("#/connections")
    row = page.at("#connections-table tbody tr").filter(has_text=f":{client.socket.getsockname()[1]}")
    row.get_by_role("button").click()
    page.answer("Close it")
    page.told("is closed")
    with contextlib.suppress(ConnectionError):
        client.read()
        raise AssertionError("the connection is still there")


def drain_and_checkpoint(page, client):
    page.go("#/")
    page.press("Drain…")
    page.answer("Drain")
    page.told("is draining")
    expect(page.at("#banners")).to_contain_text("Draining")
    assert client.line("set drained 0 0 1\r\nx") == "NOT_STORED"
    page.press("End draining")
    page.told("Draining has ended")
    expect(page.at("#banners")).not_to_contain_text("Draining")
    client.set("drained", "x")
    before = checkpoints(client)
    page.press("Checkpoint")
    page.told("The checkpoint is written")
    assert checkpoints(client) > before


def checkpoints(client):
    """Of all shards."""
    client.socket.sendall(b"stats cores\r\n")
    found = 0
    while (line := client.read()) != "END":
        if ":checkpoints " in line:
            found += int(line.split()[2])
    return found


def see_text_as_text(page, server, client):
    """Names and bodies that are HTML make no element, and run nothing."""
    client.set(HOSTILE_NAME, HOSTILE_BODY)
    client.get(f"{HOSTILE_NAME}+<i>child")
    client.set(HOSTILE_NAME, HOSTILE_BODY)
    page.go("#/")
    page.at("#filter").fill("<img")
    # Its child has both of them in its name.
    page.page.get_by_role("link", name=HOSTILE_NAME, exact=True).click()
    expect(page.at("h1.name")).to_have_text(HOSTILE_NAME)
    expect(page.at("#children")).to_have_text(f"{HOSTILE_NAME}+<i>child")
    page.at("#messages select").select_option("text")
    page.press("Peek", "#messages")
    expect(page.at("#messages pre").first).to_have_text(HOSTILE_BODY)
    page.press("Put…")
    page.answer("Put", text="<img src=x>")
    page.told(re.escape(HOSTILE_NAME))
    made = page.at(MADE_OF_TEXT).count()
    assert made == 0, f"{made} elements are made of what is text"
    assert page.page.evaluate("window.broken") is None
    page.page.reload()
    expect(page.at("h1.name")).to_have_text(HOSTILE_NAME)
    assert client.get(HOSTILE_NAME) == HOSTILE_BODY


def see_a_gate(page, client):
    client.set("sale/config", "tickets=3 hold=60")
    seats = [client.get(f"sale/ticket=buyer{number}") for number in range(5)]
    assert seats == ["1", "2", "3", None, None], seats
    page.go("#/queue/sale")
    for label, value in (("Tickets", "3"), ("Given", "3"), ("Refused", "2")):
        page.tile(label, value, "#gate-figures")
    expect(page.at("#chart-given polyline")).to_have_attribute("points", re.compile(r"\S+ \S+"))


def type_through_refreshes(page, client):
    """What is typed, the focus, and an open dialog are left alone by a refresh."""
    client.set("typed", "x")
    page.go("#/queue/typed")
    page.tile("Waiting", "1")
    page.at("#words").fill("depth=17")
    page.press("Put…")
    page.at("#dialog textarea").fill("half a mess")
    for number in range(2, 4):
        client.set("typed", "x")
        page.tile("Waiting", str(number))
    expect(page.at("#dialog textarea")).to_have_value("half a mess")
    expect(page.at("#dialog textarea")).to_be_focused()
    page.page.keyboard.press("Escape")
    expect(page.at("#dialog")).to_be_hidden()
    expect(page.at("#put")).to_be_focused()
    expect(page.at("#words")).to_have_value("depth=17")


def go_by_keyboard(page, client):
    """From the list to a queue, and two acts there, with keys alone."""
    keys = page.page.keyboard
    client.set("by-keyboard", "x")
    page.go("#/")
    expect(page.at("#queues tbody a").first).to_be_visible()
    keys.press("/")
    keys.type("by-key")
    expect(page.at("#queues tbody tr")).to_have_count(1)
    tab_to(page, "by-keyboard")
    keys.press("Enter")
    expect(page.at("h1.name")).to_have_text("by-keyboard")
    tab_to(page, "Pause")
    keys.press("Enter")
    page.told("is paused")
    assert client.get("by-keyboard") is None
    tab_to(page, "Purge…")
    keys.press("Enter")
    keys.type("1")
    keys.press("Enter")
    page.told("Purged 1 message")
    page.page.go_back()
    expect(page.at("#queues tbody tr")).to_have_count(1)
    page.at("#chart-rates .plot").focus()
    shown = page.at("#chart-rates .plot").get_attribute("aria-valuetext")
    keys.press("ArrowLeft")
    assert page.at("#chart-rates .plot").get_attribute("aria-valuetext") != shown
    expect(page.at("#chart-rates .cursor")).to_have_count(1)


def tab_to(page, text):
    for _ in range(60):
        page.page.keyboard.press("Tab")
        if page.page.evaluate("document.activeElement.textContent") == text:
            return
    raise AssertionError(f"{text} is not reached by the tab key")


def time_the_list(page, queues):
    """What a filter and a page take in the browser, from the question to the answer's last byte, the median of some."""
    page.go("#/")
    asked = {
        "first page": "sort=waiting&order=desc",
        "filter": f"filter={queues // 2:07}",
        "filter of many": "filter=9&sort=bytes&order=desc",
        "by name": "sort=name&order=asc",
        "second page": "sort=name&order=asc&after=NEXT",
    }
    script = """async ([query, rounds]) => {
        if (query.includes("NEXT")) {
            const first = await (await fetch("/api/queues?limit=50&" + query.replace("&after=NEXT", ""))).json();
            query = query.replace("NEXT", encodeURIComponent(first.next));
        }
        const times = [];
        for (let round = 0; round < rounds; round += 1) {
            const begun = performance.now();
            const found = await (await fetch("/api/queues?limit=50&" + query)).json();
            times.push(performance.now() - begun);
            if (found.queues.length === 0) throw new Error("nothing found: " + query);
        }
        return times.sort((a, b) => a - b)[rounds >> 1];
    }"""
    slow = []
    for what, query in asked.items():
        took_ms = page.page.evaluate(script, [query, LIST_ROUNDS])
        print(f"{queues} queues, {what}: {took_ms:.1f} ms")
        if took_ms > LIST_MS_MAX:
            slow.append(what)
    assert not slow, f"more than {LIST_MS_MAX} ms: {slow}"
    expect(page.at("#queues tbody tr")).to_have_count(50)
    names = page.at("#queues tbody tr td:first-child a")
    first = names.first.inner_text()
    page.press("Name")
    expect(names.first).not_to_have_text(first)
    first = names.first.inner_text()
    page.press("Next")
    expect(names.first).not_to_have_text(first)
    page.press("Previous")
    expect(names.first).to_have_text(first)
    page.page.go_back()
    expect(names.first).not_to_have_text(first)


def outlive_a_restart(page, server):
    page.go("#/")
    expect(page.at("#queues tbody a").first).to_be_visible()
    with page.expecting("ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE|ERR_SOCKET|Failed to fetch"):
        server.process.kill()
        expect(page.at("#banners")).to_contain_text("does not answer")
        server.start()
        expect(page.at("#banners")).not_to_contain_text("does not answer")
    assert page.page.evaluate("performance.getEntriesByType('navigation').length") == 1


def look_only(chromium, rushq, folder):
    """With --admin-read-only no act can be clicked."""
    folder.mkdir()
    server = Server(rushq, folder, "--admin-read-only")
    try:
        server.start()
        client = Client(server.port)
        client.set("seen", "x")
        assert client.get("seen/open/as=w") == "x"
        client.close()
        page = Page(chromium, server)
        page.go("#/queue/seen")
        expect(page.at("#banners")).to_contain_text("Read-only")
        page.tile("Open", "1")
        expect(page.at("#queue button.act:enabled")).to_have_count(0)
        page.press("Peek", "#messages")
        expect(page.at("#messages pre")).to_have_text(["x"])
        assert not page.complaints, page.complaints
        page.page.context.close()
    finally:
        server.stop()


def picture(chromium, server, pictures, complaints):
    """Light, dark and phone; on the phone nothing is wider than it."""
    for name, options in (
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"color_scheme": "light", "viewport": PHONE, "has_touch": True, "is_mobile": True}),
    ):
        page = Page(chromium, server, **options)
        for view, address, there in (
            ("overview", "#/", "#queues tbody a"),
            ("queue", "#/queue/work-0", "#queue-figures .value"),
            ("gate", "#/queue/sale", "#gate-figures .value"),
            ("connections", "#/connections", "#connections-table tbody button"),
        ):
            page.go(address)
            expect(page.at(there).first).to_be_visible()
            if view == "queue":
                page.press("Peek", "#messages")
                expect(page.at("#messages pre").first).to_be_visible()
            wider = page.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{name}, {view}: {wider} pixels wider than the window"
            page.page.screenshot(path=pictures / f"{name}-{view}.png")
        page.go("#/queue/work-0")
        page.tile("Delayed", "0")
        page.press("Purge…", "#queue-acts")
        page.page.screenshot(path=pictures / f"{name}-dialog.png")
        complaints += page.complaints
        page.page.context.close()


def look(chromium, server, queues, pictures, apart):
    page, client = Page(chromium, server), Client(server.port)
    see_the_head(page, server)
    see_and_change_a_queue(page, server, client)
    move_and_bring_back(page, server, client)
    purge_and_delete(page, server, client)
    close_a_connection(page, server)
    drain_and_checkpoint(page, client)
    see_text_as_text(page, server, client)
    see_a_gate(page, client)
    type_through_refreshes(page, client)
    go_by_keyboard(page, client)
    time_the_list(page, queues)
    foreign.look(chromium, server)
    client.close()
    look_only(chromium, server.rushq, apart)
    picture(chromium, server, pictures, page.complaints)
    outlive_a_restart(page, server)
    assert server.rounds > 0, "there was no load"
    assert not page.complaints, page.complaints


def main():
    rushq, queues, pictures = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pictures.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rushq-page-"))
    server = Server(rushq, folder)
    good = False
    try:
        server.start()
        begun = time.monotonic()
        server.fill(queues)
        print(f"{queues} queues made in {time.monotonic() - begun:.1f} s")
        server.begin_work()
        with sync_playwright() as playwright:
            # Chromium's own sandbox does not go with root; it is shown no page but the server's.
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            look(chromium, server, queues, pictures, folder / "read-only")
            chromium.close()
        good = True
        print(f"in a browser: every act, with {server.rounds} rounds of load beside them; pictures are in {pictures}")
    finally:
        server.stop()
        if good:
            shutil.rmtree(folder)
        else:
            print(f"kept for a look: {folder}", file=sys.stderr)


main()
