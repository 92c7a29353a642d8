"""Starts the site and shows it. Called by site.sh.

show.py <rushq> <nginx> run [seconds]
show.py <rushq> <nginx> crowd [buyers] [kills of rushq]
show.py <rushq> <nginx> browser <folder for pictures>
"""

import contextlib
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import verdict
from client import Client
from sale import QUEUE, TICKETS
from servers import HERE, PYTHON, SECONDS_MAX, Process, Site, until

PLAYWRIGHT = "playwright==1.65.2"
INSTALL_SECONDS_MAX = 600
RUSHQ_LIVES_SECONDS = (0.5, 2.0)
WORKER_LIVES_SECONDS = (0.1, 0.6)
FAULTS_SHOWN = 20


class Killer:
    """Kills rushq so many times between the first and the last seat, then every now and then while the crowd is there;
    and a worker at random all the time."""

    def __init__(self, site, kills):
        self.site = site
        self.rushq_kills = self.during_seats = self.worker_kills = 0
        self.left, self.next_seat = kills, None
        # A short run has the one that it asks for.
        self.goes_on = kills > 1
        self.next_worker = self.next_rushq = time.monotonic()

    def turn(self, seats):
        """Called over and over, with the number of the seats that buyers were told."""
        now = time.monotonic()
        if now >= self.next_worker:
            self.site.kill_worker()
            self.worker_kills += 1
            self.next_worker = now + random.uniform(*WORKER_LIVES_SECONDS)
        if self.left > 0 and 0 < seats < TICKETS:
            if self.next_seat is None:
                # In its part of the seats that are left.
                self.next_seat = seats + random.randint(0, (TICKETS - seats) // self.left)
            elif seats >= self.next_seat:
                self.left, self.next_seat = self.left - 1, None
                self.during_seats += 1
                self.kill_rushq()
        elif seats == TICKETS and self.goes_on and now >= self.next_rushq:
            self.kill_rushq()

    def kill_rushq(self):
        self.site.kill_rushq()
        self.rushq_kills += 1
        self.next_rushq = time.monotonic() + random.uniform(*RUSHQ_LIVES_SECONDS)


def rush(site, buyers, killer):
    """The crowd's whole visit: what each buyer was told, and the crowd's own words about it."""
    told_path = site.folder / "told"
    visit = Process("crowd", site.folder, [*PYTHON, HERE / "crowd.py", site.port, buyers, site.secret, told_path])
    visit.start()
    try:
        with visit.said.open() as said:
            seats = 0
            while visit.child.poll() is None:
                for line in said.readlines():
                    if line.startswith("seats "):
                        seats = int(line.split()[1])
                site.check()
                killer.turn(seats)
                time.sleep(0.002)
    finally:
        visit.stop()
    if visit.child.returncode != 0:
        raise ChildProcessError(f"the crowd has ended with {visit.child.returncode}; see {visit.said}")
    told = {}
    for line in told_path.read_text().splitlines():
        buyer, _, answers = line.partition(" ")
        told[buyer] = {answer if answer == verdict.OUT else int(answer) for answer in answers.split(",") if answer}
    return told, visit.said.read_text().splitlines()[-1]


def crowd(site, buyers, kills):
    """The rush, and then the comparison. Whether the sale was right."""
    verdict.check_faults()
    killer = Killer(site, kills)
    told, summary = rush(site, buyers, killer)
    print(summary)
    client = Client(site.rushq_port)

    def drained():
        killer.turn(0)
        sets, gets = client.counters(QUEUE)
        return sets == gets

    # Where they never are, the comparison says more than that.
    with contextlib.suppress(TimeoutError):
        until("all messages are acknowledged", drained)
    winners = [buyer for buyer, answers in told.items() if answers != {verdict.OUT}]
    places = {buyer: client.get(f"{QUEUE}/place={buyer}") for buyer in winners}
    gate = dict(word.split("=") for word in client.get(f"{QUEUE}/gate").split())
    journal = site.journal.read_text().splitlines()
    charged = {path.name for path in site.bank.iterdir()}
    found = verdict.faults(told, journal, charged, places, gate, client.counters(QUEUE))
    client.close()
    begun = sum(line.startswith("begin ") for line in journal)
    print(
        f"{gate['given']} seats given, {gate['paid']} paid; {len(winners)} buyers were told a seat, and"
        f" {len(told) - len(winners)} sold out\n"
        f"rushq was killed {killer.rushq_kills} times, {killer.during_seats} of them between the first and the last"
        f" seat; workers {killer.worker_kills} times, so that {begun - len(charged)} messages were begun again\n"
        f"{len(found)} faults"
    )
    for line in found[:FAULTS_SHOWN]:
        print(line)
    return not found


def run(site, seconds):
    """For a person to look at."""
    print(f"http://127.0.0.1:{site.port}/ for {seconds} s, or until ctrl-c; rushq is at {site.rushq_port}", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # A restart of rushq in the middle is for the one who looks to try: it is started again, as systemd would.
        if site.rushq.child.poll() is not None:
            site.start_rushq()
        for worker in site.workers:
            if worker.child.poll() is not None:
                worker.start()
        site.check()
        time.sleep(0.1)
    return True


def browser(site, pictures):
    """What a person sees, by browser.py, with a playwright of its own. It brings no browser: that is Debian's."""
    venv = site.folder / "venv"
    for command in (
        [sys.executable, "-m", "venv", venv],
        [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", PLAYWRIGHT],
    ):
        subprocess.run(command, timeout=INSTALL_SECONDS_MAX, check=True)
    command = [venv / "bin" / "python", "-B", HERE / "browser.py", str(site.port), str(site.rushq_port), pictures]
    return subprocess.run(command, timeout=SECONDS_MAX * 3, check=False).returncode == 0


def main():
    rushq, nginx, what, *rest = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rushq-site-"))
    site = Site(rushq, nginx, folder)
    good = False
    try:
        site.start()
        if what == "crowd":
            good = crowd(site, int(rest[0] if rest else 20_000), int(rest[1] if len(rest) > 1 else 12))
        elif what == "browser":
            good = browser(site, rest[0])
        else:
            good = run(site, int(rest[0] if rest else 3600))
    except KeyboardInterrupt:
        good = what == "run"
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        site.stop()
        if good:
            shutil.rmtree(folder)
        else:
            print(f"kept for a look: {folder}", file=sys.stderr)
    sys.exit(0 if good else 1)


main()
