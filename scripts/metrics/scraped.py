"""A real Prometheus scrapes a server; see scripts/metrics.sh.

scraped.py <folder of prometheus and promtool> <rushq>
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
EVENT_TIMEOUT_S = 30
# Queues enough for both shards, with three messages each.
QUEUES = 20
SETS = 3


class Memcache:
    """A connection to the server."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.replies = self.socket.makefile("rb")

    def ask(self, command):
        """Sends a command, and returns the first line of its reply."""
        self.socket.sendall(command)
        return self.replies.readline()

    def put(self, queue, body=b"x"):
        reply = self.ask(b"set %s 0 0 %d\r\n%s\r\n" % (queue, len(body), body))
        assert reply == b"STORED\r\n", reply

    def get(self, key):
        """The body of what a get brings; None: END."""
        head = self.ask(b"get %s\r\n" % key)
        if head == b"END\r\n":
            return None
        body = self.replies.read(int(head.split()[3]) + 2)[:-2]
        assert self.replies.readline() == b"END\r\n"
        return body


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def wait_for(what, happened):
    """Polls for an event; returns what it brings."""
    began = time.monotonic()
    while True:
        try:
            came = happened()
        except OSError:
            came = None
        if came:
            return came
        assert time.monotonic() - began < EVENT_TIMEOUT_S, f"waited {EVENT_TIMEOUT_S} s for {what}"
        time.sleep(0.1)


def start_server(rushq, scratch):
    """A server with two shards and its page; returns it with the ports of clients and of the page."""
    process = subprocess.Popen(
        [rushq, "-t", "2", "-p", "0", "--admin", "0", "-H", scratch / "data", "--segment-bytes", "3000000"],
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        listening = re.search(rb"listening on 127\.0\.0\.1:(\d+), admin 127\.0\.0\.1:(\d+)", line)
        if listening:
            return process, int(listening[1]), int(listening[2])
    raise AssertionError("the server has ended before it listened")


def fill(port):
    """Messages in some queues, a worker that acknowledges, one that gives back, a dead letter, and a gate that is sold out."""
    client = Memcache(port)
    for number in range(QUEUES * SETS):
        client.put(b"q%d" % (number % QUEUES))
    assert client.get(b"q0") == b"x"
    assert client.get(b"q1/open") == b"x" and client.get(b"q1/close") is None
    assert client.get(b"q2/open") == b"x" and client.get(b"q2/abort") is None
    client.put(b"seats/config", b"tickets=1")
    assert client.get(b"seats/ticket=ann") is not None and client.get(b"seats/ticket=bob") is None
    client.put("Stra\u00dfe\"\\".encode() + b"\xff%")
    return client


def check_text(programs, admin):
    """promtool reads what is served, and finds nothing to complain of."""
    for path in ("/metrics", "/metrics/queues"):
        text = fetch(f"http://127.0.0.1:{admin}{path}")
        checked = subprocess.run([programs / "promtool", "check", "metrics"], input=text, capture_output=True, timeout=30)
        said = (checked.stdout + checked.stderr).decode().strip()
        assert checked.returncode == 0 and not said, f"promtool check metrics, of {path}: {said}"


def start_prometheus(programs, scratch, admin):
    """One that scrapes each second; returns it with its port."""
    port = free_port()
    job = {"scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{admin}"]}]}
    queues = {"job_name": "rushq-queues", "metrics_path": "/metrics/queues", "params": {"limit": ["1000"]}, **job}
    # JSON is YAML.
    config = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(HERE.parent / "alerts.yml")],
        "scrape_configs": [{"job_name": "rushq", **job}, queues],
    }
    (scratch / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            programs / "prometheus",
            f"--config.file={scratch}/prometheus.yml",
            f"--storage.tsdb.path={scratch}/series",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=(scratch / "prometheus.log").open("w"),
    )
    return process, port


def ask(prometheus, query):
    """What Prometheus answers to a query now: a list of samples. A query that it does not understand fails."""
    url = f"http://127.0.0.1:{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    answer = json.loads(fetch(url))
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def value(prometheus, query):
    """The value of a query with one sample; None: it has none yet."""
    samples = ask(prometheus, query)
    assert len(samples) <= 1, f"{query}: {samples}"
    return float(samples[0]["value"][1]) if samples else None


def expressions():
    """Every query of the dashboard, as Grafana sends it."""
    dashboard = json.loads((HERE.parent / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$__rate_interval", "10s").replace("$instance", ".*")


def check_scrapes(prometheus, client):
    put = QUEUES * SETS + 1
    wait_for("what was put", lambda: value(prometheus, "rushq_messages_published_total") == put)
    by_shard = "sum(rushq_shard_messages_published_total)"
    by_queue = 'sum(rushq_queue_messages_published_total{queue!="seats"})'
    wait_for("the same by queue", lambda: value(prometheus, by_queue) == put)
    assert value(prometheus, by_shard) == put, ask(prometheus, by_shard)
    client.put(b"q0")
    wait_for("one more", lambda: value(prometheus, "rushq_messages_published_total") == put + 1)
    assert value(prometheus, "sum(up)") == 2
    name = 'Stra\u00dfe\\"\\\\%FF%25'
    wait_for("an odd name", lambda: value(prometheus, f'rushq_queue_messages_ready{{queue="{name}"}}') == 1)
    wait_for("an alert", lambda: value(prometheus, 'ALERTS{alertname="RushqGateSoldOut", alertstate="firing"}') == 1)
    for query in expressions():
        # A rate takes two scrapes, and a counter that exists from the beginning.
        wait_for(f"data for {query}", lambda query=query: ask(prometheus, query))
    return put + 1


def end(process):
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main():
    programs, rushq = pathlib.Path(sys.argv[1]), sys.argv[2]
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="rushq-metrics."))
    processes = []
    try:
        server, port, admin = start_server(rushq, scratch)
        processes.append(server)
        client = fill(port)
        check_text(programs, admin)
        prometheus, api = start_prometheus(programs, scratch, admin)
        processes.append(prometheus)
        put = check_scrapes(api, client)
        queries = len(list(expressions()))
        print(f"Prometheus has each of {put} messages once, and data for all {queries} queries of the dashboard")
    finally:
        for process in reversed(processes):
            end(process)
        shutil.rmtree(scratch, ignore_errors=True)


main()
