// The views of the page and their addresses.

import { connections_poll, show_connections } from "./connections.js";
import { at } from "./elements.js";
import { head, history_poll, queues_poll, show_list } from "./overview.js";
import { opens_poll, queue_poll, show_queue_of } from "./queue.js";

const polls_of = {
    overview: [history_poll, queues_poll],
    queue: [queue_poll, opens_poll],
    connections: [connections_poll],
};
let view = "";

/** Says of a link in the head whether it leads to what is shown. */
function current(id, value) {
    at(id).setAttribute("aria-current", value);
}

function show_view(name, title) {
    const other = view !== name;
    for (const [each, polls] of Object.entries(polls_of)) {
        at(each).hidden = each !== name;
        if (each !== name) for (const poll of polls) poll.stop();
    }
    current("to-overview", name === "overview" ? "page" : name === "queue" ? "true" : "false");
    current("to-connections", name === "connections" ? "page" : "false");
    document.title = title;
    // A screen reader goes on from the new view; at the first load the focus stays where the browser has it.
    if (other && view) {
        at("main").focus({ preventScroll: true });
        scrollTo(0, 0);
    }
    view = name;
}

function route() {
    at("dialog").close();
    const [path, words = ""] = location.hash.replace(/^#/, "").split("?");
    if (path.startsWith("/queue/")) {
        show_view("queue", `${show_queue_of(path.slice("/queue/".length))} – rushq`);
    } else if (path === "/connections") {
        show_connections();
        show_view("connections", "Connections – rushq");
    } else {
        show_list(new URLSearchParams(words));
        show_view("overview", "rushq");
    }
    for (const poll of polls_of[view]) poll.now();
}

at("skip").addEventListener("click", () => at("main").focus());
at("notice-close").addEventListener("click", () => (at("notice").hidden = true));
addEventListener("hashchange", route);
addEventListener("keydown", event => {
    // As on many pages: a slash goes to the filter, where nothing is being typed.
    if (
        event.key !== "/" ||
        view !== "overview" ||
        at("dialog").open ||
        event.target.closest("input, textarea, select")
    )
        return;
    event.preventDefault();
    at("filter").focus();
});
document.addEventListener("acted", () => {
    head.now();
    for (const poll of polls_of[view]) poll.now();
});
head.now();
route();
