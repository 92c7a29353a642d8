// One queue: figures, settings, children, holders, gate.

import { ask_delete, ask_give_back, ask_kick, ask_move, ask_purge, ask_put } from "./acts.js";
import { Chart } from "./chart.js";
import { SPACE, at, bytes, count, duration, exact, make, name_of, put, rate, span } from "./elements.js";
import { Table, Tiles, bytes_title, figure, rate_title, row_button, seconds_title } from "./parts.js";
import { Peek } from "./peek.js";
import { Poll, Refused, act, act_button, ask, state } from "./server.js";

let queue = { id: "", name: "", figures: null };
const queue_figures = new Tiles(at("queue-figures"));
const gate_figures = new Tiles(at("gate-figures"));
const given_chart = new Chart(at("chart-given"), { title: "Seats given", unit: "a second", series: ["given"] });
const refused_chart = new Chart(at("chart-refused"), { title: "Refusals", unit: "a second", series: ["refused"] });
let opens_after = "";
let opens_next = null;

function show_queue(of) {
    queue.figures = of;
    queue.name = of.name;
    put(at("queue-title"), of.name);
    document.title = `${of.name} – rushq`;
    const badges = [of.paused && "paused: gets find nothing", of.gate && "gate"].filter(Boolean);
    if (at("queue-badges").dataset.shown !== badges.join()) {
        at("queue-badges").dataset.shown = badges.join();
        at("queue-badges").replaceChildren(
            ...badges.map(badge => make("span", { class: badge === "gate" ? "badge" : "badge warn" }, badge)),
        );
    }
    put(at("pause"), of.paused ? "Resume" : "Pause");
    const set = (label, value, show = count, title = exact) => queue_figures.set(label, show(value), title(value));
    set("Waiting", of.waiting);
    set("Open", of.open);
    set("Delayed", of.delayed);
    set("Dead", of.dead);
    set("Oldest", of.oldest_s || 0, duration, seconds_title);
    set("In/s", of.in_per_s, rate, rate_title);
    set("Out/s", of.out_per_s, rate, rate_title);
    set("Bytes", of.bytes, bytes, bytes_title);
    set("Waiters", of.waiters);
    set("Ever put", of.sets);
    set("Ever out", of.gets);
    set("Acknowledged", of.acked);
    set("Returned", of.returned);
    set("Expired", of.expired);
    set("Refused", of.refused);
    set("Open full", of.open_full);
    show_words(of.settings);
    show_children(of.children_names || []);
    show_gate(of.gate);
    peek.available(of.waiting + of.open + of.delayed);
    dead.available(of.dead);
    for (const button of dead_buttons) button.disabled = !of.dead || Boolean(state.server && state.server.read_only);
}

// What the field has held since it was last not being typed in.
let words_known = "";

/** What is being typed stays; that the server has other words by now is told. */
function show_words(words) {
    const area = at("words");
    const touched = area.value !== words_known;
    const hint = words === words_known ? "Not set yet." : `The server has by now: ${words || "the defaults"}`;
    put(at("words-hint"), touched ? hint : words ? "" : "All defaults.");
    // Nor is a selection in it lost.
    if (touched || document.activeElement === area) return;
    words_known = words;
    if (area.value !== words) area.value = words;
}

function show_children(ids) {
    const text = ids.join(" ");
    const place = at("children");
    if (place.dataset.shown === text) return;
    place.dataset.shown = text;
    place.replaceChildren(...ids.map(id => make("li", {}, make("a", { href: `#/queue/${id}` }, name_of(id)))));
    if (ids.length === 0) place.append(make("li", { class: "muted" }, "None: a get of name+child makes one."));
}

function show_gate(gate) {
    at("gate").hidden = !gate;
    if (!gate) return;
    const set = (label, value, more = "") => gate_figures.set(label, count(value), exact(value), more);
    gate_figures.set("State", gate.state.replace("_", " "));
    set("Tickets", gate.tickets);
    set("Given", gate.given);
    set("Paid", gate.paid);
    set("Held", gate.held);
    set("Returned", gate.returned);
    set("Lapsed", gate.lapsed);
    set("In line", gate.line);
    set("Refused", gate.refused);
    set("Repeats", gate.repeats);
    show_curve(gate.curve);
}

const CURVE_BUCKETS_MIN = 8;

/** From the first seat to the last bucket that has something. */
function show_curve({ start, width_s, given, refused }) {
    at("gate-curves").hidden = given.length === 0;
    if (given.length === 0) return;
    const of = numbers =>
        Array.from({ length: Math.max(given.length, CURVE_BUCKETS_MIN) }, (_, at) => numbers[at] || 0);
    const used = Math.max(CURVE_BUCKETS_MIN, 1 + of(given).findLastIndex((seats, index) => seats || refused[index]));
    const points = numbers =>
        of(numbers)
            .slice(0, used)
            .map(number => [number / width_s]);
    const time = share => {
        const seconds = used * share * width_s;
        return seconds < 10 ? seconds.toFixed(1) + SPACE + "s" : duration(Math.round(seconds));
    };
    const labels = [0, 0.25, 0.5, 0.75, 1].map(share => [(used - 1) * share, time(share)]);
    const begun = new Date(start * 1_000).toLocaleString("en-GB");
    const when = (index, newest) => (newest ? `from ${begun}` : `${time(index / used)} after the first seat`);
    given_chart.show(points(given), labels, when);
    refused_chart.show(points(refused), labels, when);
}

export const queue_poll = new Poll(async signal => {
    try {
        show_queue(await ask("/api/queue", { queue: queue.id }, signal));
        missing(false);
    } catch (failure) {
        if (!(failure instanceof Refused && failure.status === 404)) throw failure;
        missing(true);
    }
});

function missing(is) {
    at("queue-missing").hidden = !is;
    at("queue-there").hidden = is;
    for (const id of ["pause", "move", "purge", "delete"]) at(id).hidden = is;
    if (is) queue.figures = null;
}

const opens = new Table(
    at("opens"),
    [
        { label: "Message", kind: "number narrow", cell: (cell, line) => put(cell, `#${line.seq}`) },
        { label: "Holder", kind: "name beside", cell: (cell, line) => put(cell, line.holder) },
        figure("Since", line => line.since_s, {}, span, seconds_title),
        {
            label: "Ends in",
            kind: "number lease",
            cell: (cell, line) =>
                line.ends_in_s === null
                    ? put(cell, "no lease", "It is held until its connection ends.")
                    : put(cell, span(line.ends_in_s), seconds_title(line.ends_in_s)),
        },
        figure("Try", line => line.try),
        {
            label: "",
            kind: "button",
            cell: row_button(
                attributes => act_button(attributes, "Give back"),
                line => `Give back message ${line.seq}`,
                line => ask_give_back(queue, line),
            ),
        },
    ],
    { key: line => line.lease, none: "No message is open." },
);

export const opens_poll = new Poll(async signal => {
    try {
        const found = await ask("/api/queue/opens", { queue: queue.id, after: opens_after }, signal);
        opens_next = found.next;
        opens.show(found.opens);
    } catch (failure) {
        if (!(failure instanceof Refused && failure.status === 404)) throw failure;
        opens_next = null;
        opens.show([]);
    }
    at("opens-first").hidden = at("opens-next").hidden = !opens_after && !opens_next;
    at("opens-first").disabled = !opens_after;
    at("opens-next").disabled = !opens_next;
});

at("opens-first").addEventListener("click", () => {
    opens_after = "";
    opens_poll.now();
});
at("opens-next").addEventListener("click", () => {
    opens_after = opens_next;
    opens_poll.now();
});

const dead_id = () => `${queue.id}%2Fdead`;
const dead_buttons = [
    make("button", { type: "button", click: () => ask_kick(queue) }, "Kick…"),
    make("button", { type: "button", class: "danger", click: () => ask_purge(dead_letters()) }, "Purge…"),
];
const peek = new Peek(at("messages"), { title: "Messages", none: "Nothing is there", id_of: () => queue.id });
const dead = new Peek(at("dead"), {
    title: "Dead letters",
    none: "No dead letters",
    id_of: dead_id,
    extra: dead_buttons,
});

/** The queue of the dead letters, as acts take it. */
function dead_letters() {
    const waiting = queue.figures ? queue.figures.dead : 0;
    return { id: dead_id(), name: `${queue.name}/dead`, figures: { waiting, delayed: 0 } };
}

/** Shows a queue, by its id. */
export function show_queue_of(id) {
    if (queue.id !== id) {
        queue = { id, name: name_of(id), figures: null };
        words_known = "";
        opens_after = "";
        put(at("words-hint"), "");
        at("words").value = "";
        peek.forget();
        dead.forget();
        opens.show_none("…");
        put(at("queue-title"), queue.name);
        missing(false);
    }
    return queue.name;
}

at("put").addEventListener("click", () => ask_put(queue.id, queue.name));
/** An act that looks at the figures first. A click that comes before them is done when they are there. */
function on_figures(id, act_on) {
    at(id).addEventListener("click", async () => {
        if (!queue.figures) await queue_poll.now();
        if (queue.figures) act_on(queue);
    });
}

function pause_or_resume({ id, name, figures }) {
    if (figures.paused)
        act("/api/queue/resume", { queue: id }, () => `${name} is resumed: gets find its messages again.`);
    else act("/api/queue/pause", { queue: id }, () => `${name} is paused: gets find nothing, puts go on.`);
}

on_figures("pause", pause_or_resume);
on_figures("purge", ask_purge);
on_figures("delete", ask_delete);
on_figures("move", ask_move);
at("settings").addEventListener("submit", event => {
    event.preventDefault();
    set_words("/api/queue/config", { queue: queue.id, words: at("words").value }, `Set what ${queue.name} is told.`);
});
at("unconfig").addEventListener("click", () =>
    set_words("/api/queue/unconfig", { queue: queue.id }, `${queue.name} has the defaults again.`),
);

/** Sends words. From then on what was sent is not being typed any more, and what the server makes of it is shown. */
function set_words(path, content, told) {
    const sent = at("words").value;
    act(path, content, () => {
        if (content.queue === queue.id) words_known = sent;
        return told;
    });
}
