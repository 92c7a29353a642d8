"""A page of another site, which has a browser send acts to the server."""

import http.server
import threading

from server import Client

PUT = '{"queue":"foreign","text":"x"}'
# What a form sends is a name, "=" and a value, and makes JSON of this.
FORM = f"""<!doctype html><form method="post" enctype="text/plain" action="{{act}}">
<input name='{{{{"queue":"foreign","text":"' value='"}}}}'></form>"""


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = FORM.format(act=self.server.act).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


FETCH = """async ([act, body, mode, type]) => {
    try {
        const answer = await fetch(act, { method: "POST", mode, body, headers: { "Content-Type": type } });
        return `answered: ${answer.type} ${answer.status}`;
    } catch (failure) {
        return "nothing";
    }
}"""


def look(chromium, server):
    """Another site sends a put as a script may, and as a form may; nothing is put."""
    act = f"{server.page}api/queue/put"
    site = http.server.ThreadingHTTPServer(("127.0.0.1", server.other_port), Site)
    site.act = act
    threading.Thread(target=site.serve_forever, daemon=True).start()
    page = chromium.new_context().new_page()
    statuses = []
    page.on("response", lambda answer: answer.url == act and statuses.append(answer.status))
    page.goto(f"http://127.0.0.1:{server.other_port}/")
    # The browser asks first, and is told nothing that would let it send.
    assert page.evaluate(FETCH, [act, PUT, "cors", "application/json"]) == "nothing"
    # This is sent without asking. The server refuses it, and has the browser keep the answer from the other site.
    assert page.evaluate(FETCH, [act, PUT, "no-cors", "text/plain"]) == "nothing"
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert statuses and set(statuses) <= {403, 405} and statuses[-1] == 403, statuses
    assert "another site" in page.content(), page.content()
    site.shutdown()
    page.context.close()
    client = Client(server.port)
    assert client.get("foreign") is None
    client.close()
