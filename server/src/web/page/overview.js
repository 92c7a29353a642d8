// The head, the charts of the last ten minutes, and the list of queues.

import { ask_put } from "./acts.js";
import { Chart } from "./chart.js";
import { at, bytes, clock, count, duration, exact, make, microseconds, plural, put, rate, span } from "./elements.js";
import { Table, Tiles, bytes_title, figure, rate_title, seconds_title } from "./parts.js";
import { AGAIN_MS, Poll, act, act_after, ask, banner, say, state } from "./server.js";

const tiles = new Tiles(at("tiles"));

const shards = new Table(
    at("shards"),
    [
        { label: "Shard", kind: "narrow name", cell: (cell, line) => put(cell, `shard ${line.shard}`) },
        figure("Connections", line => line.connections),
        figure("Queues", line => line.queues),
        figure("Messages", line => line.messages),
        figure("Open", line => line.open),
        figure("Commands", line => line.commands),
        figure("Forwarded", line => line.forwarded),
        figure("Commits", line => line.commits),
        figure("Log", line => line.log_bytes, {}, bytes, bytes_title),
        { label: "Disk", kind: "narrow", cell: (cell, line) => put(cell, line.full ? "full" : "has room") },
    ],
    { key: line => line.shard, none: "No shard has answered." },
);

const facts = Object.fromEntries(["up", "on", "safe", "user"].map(name => [name, make("b")]));
at("facts").replaceChildren(
    make("span", {}, "up ", facts.up),
    make("span", {}, "on ", facts.on),
    make("span", {}, facts.safe),
    make("span", {}, facts.user),
);

function show_facts(of) {
    const begun = new Date(Date.now() - of.uptime_s * 1_000);
    put(facts.up, duration(of.uptime_s), `since ${begun.toLocaleString("en-GB").slice(0, -3)}`);
    put(facts.on, of.addresses.join(", "));
    if (of.durable) put(facts.safe, "durable", "A put is answered after the disk has it.");
    else
        put(facts.safe, "not durable (-N)", "A put is answered before the disk has it: a power cut may cost a second.");
    facts.safe.className = of.durable ? "good" : "warn";
    put(facts.user, of.user ? `user ${of.user}` : "");
}

function show_overview(of) {
    state.server = of;
    put(at("version"), of.version);
    show_facts(of);
    banner("draining", "warn", of.draining ? "Draining: puts are refused, and gates give no ticket. Gets go on." : "");
    banner("full", "bad", of.full ? "Full: the disk has no room, so puts are refused until there is." : "");
    banner(
        "read-only",
        "warn",
        of.read_only ? "Read-only: this page shows, and does not act (--admin-read-only)." : "",
    );
    put(at("drain"), of.draining ? "End draining" : "Drain…");
    for (const button of document.querySelectorAll("button.act")) button.disabled = of.read_only;

    const total = of.totals;
    tiles.set("Waiting", count(total.waiting), exact(total.waiting), `${count(total.delayed)} delayed`);
    tiles.set("Open", count(total.open), exact(total.open), `${count(total.waiters)} clients wait`);
    tiles.set("Dead", count(total.dead), exact(total.dead), `of ${count(total.messages)} messages`);
    tiles.set("Queues", count(total.queues), exact(total.queues), plural(of.shards.length, "shard"));
    tiles.set("Connections", count(of.connections), exact(of.connections), `of ${exact(of.connections_max)}`);
    tiles.meter("Connections", of.connections / of.connections_max, 0.9);
    tiles.set(
        "Memory",
        bytes(of.memory_bytes),
        bytes_title(of.memory_bytes),
        `of ${bytes(of.memory_max_bytes)} for bodies`,
    );
    tiles.meter("Memory", of.memory_bytes / of.memory_max_bytes);
    tiles.set("Log", bytes(of.log_bytes), bytes_title(of.log_bytes), `${bytes(of.log_live_bytes)} of it live`);
    tiles.meter("Log", of.log_live_bytes / of.log_bytes);
    if (of.disk_bytes) {
        const free = of.disk_free_bytes;
        tiles.set("Disk free", bytes(free), bytes_title(free), `of ${bytes(of.disk_bytes)}`);
        tiles.meter("Disk free", 1 - free / of.disk_bytes, 0.9);
    } else tiles.set("Disk free", "–", "not known yet");
    const set_time = (label, { p50_us, p99_us }) =>
        tiles.set(label, microseconds(p99_us), `${exact(p99_us)} µs`, `p50 ${microseconds(p50_us)}`);
    set_time("Commit p99", of.commit);
    set_time("fsync p99", of.fsync);
    shards.show(of.shards);
    const spread = read => {
        const values = of.shards.map(read);
        return `${count(Math.min(...values))} to ${count(Math.max(...values))}`;
    };
    put(
        at("shards-spread"),
        `${of.shards.length}, each with ${spread(line => line.connections)} connections, ` +
            `${spread(line => line.messages)} messages`,
    );
}

export const head = new Poll(async signal => show_overview(await ask("/api/overview", {}, signal)));

const CHART_POINTS = 300;
const messages_chart = new Chart(at("chart-messages"), {
    title: "Messages",
    unit: "in all queues",
    series: ["waiting", "open"],
});
const rates_chart = new Chart(at("chart-rates"), {
    title: "Messages",
    unit: "a second",
    series: ["put", "taken", "acknowledged", "returned"],
});

export const history_poll = new Poll(async signal => {
    const { interval_s, now, points } = await ask("/api/history", {}, signal);
    const minutes = Math.round((CHART_POINTS * interval_s) / 60);
    const labels = [];
    for (let minute = 0; minute <= minutes; minute += 2) {
        const text = minute === minutes ? "now" : `−${minutes - minute} min`;
        labels.push([((CHART_POINTS - 1) * minute) / minutes, text]);
    }
    const when = (index, newest) =>
        newest ? "now" : clock(new Date((now - (points.length - 1 - index) * interval_s) * 1_000));
    messages_chart.show(
        points.map(point => point.slice(0, 2)),
        labels,
        when,
        CHART_POINTS,
    );
    rates_chart.show(
        points.map(point => point.slice(2, 6)),
        labels,
        when,
        CHART_POINTS,
    );
    return interval_s * 1_000;
});

// A page that is read in cards has fewer.
const queues_limit = () => (matchMedia("(max-width: 52rem)").matches ? 20 : 50);
let listed = { filter: "", sort: "waiting", order: "desc", after: "" };
// The tokens of the pages before this one.
let pages_before = [];
let queues_next = null;
// Set by what a person does, so that the answer may change the rows under the pointer.
let queues_asked = true;

function list_hash(changes) {
    const wanted = { ...listed, ...changes };
    const usual = { filter: "", sort: "waiting", order: "desc", after: "" };
    const words = Object.entries(wanted).filter(([name, value]) => value !== usual[name]);
    return (
        "#/" +
        (words.length ? "?" + words.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&") : "")
    );
}

function list(changes, instead = false) {
    pages_before = [];
    const hash = list_hash({ after: "", ...changes });
    if (!instead) location.hash = hash;
    else {
        history.replaceState(null, "", hash);
        dispatchEvent(new Event("hashchange"));
    }
}

function sort_by(by) {
    const descending = listed.sort === by ? listed.order !== "desc" : by !== "name";
    list({ sort: by, order: descending ? "desc" : "asc" });
}

function name_cell(cell, line) {
    const text = `${line.name} ${line.paused} ${line.gate}`;
    if (cell.dataset.shown === text) return;
    cell.dataset.shown = text;
    const badges = [line.paused && "paused", line.gate && "gate"].filter(Boolean);
    cell.replaceChildren(
        make("a", { href: `#/queue/${line.id}` }, line.name),
        ...badges.map(badge => make("span", { class: badge === "paused" ? "badge warn" : "badge" }, badge)),
    );
}

const queues = new Table(
    at("queues"),
    [
        { label: "Name", kind: "name", sort: "name", cell: name_cell },
        figure("Waiting", line => line.waiting, { sort: "waiting" }),
        figure("Open", line => line.open, { sort: "open" }),
        figure("Delayed", line => line.delayed, { sort: "delayed" }),
        figure("Dead", line => line.dead, { sort: "dead" }),
        figure("Oldest", line => line.oldest_s, { sort: "oldest" }, span, seconds_title),
        figure("In/s", line => line.in_per_s, { sort: "in" }, rate, rate_title),
        figure("Out/s", line => line.out_per_s, { sort: "out" }, rate, rate_title),
        figure("Bytes", line => line.bytes, { sort: "bytes" }, bytes, bytes_title),
        figure("Waiters", line => line.waiters, { sort: "waiters" }),
        figure("Children", line => line.children, { sort: "children" }),
    ],
    { key: line => line.id, none: "No queue has this in its name.", sort: sort_by },
);

export const queues_poll = new Poll(async signal => {
    const found = await ask("/api/queues", { ...listed, limit: queues_limit() }, signal);
    queues_next = found.next;
    const held = queues.show(found.queues, !queues_asked);
    queues_asked = false;
    const total = plural(found.total, "queue");
    const matched = found.matched === found.total ? total : `${exact(found.matched)} of ${total}`;
    const text = held ? `${matched}; in this order while the pointer is here` : matched;
    put(at("queues-count"), text, `found in ${found.took_ms} ms`);
    at("queues-previous").disabled = !listed.after;
    at("queues-next").disabled = !found.next;
    // However many queues there are, this costs the server a hundredth of its time at most.
    return Math.max(AGAIN_MS, 100 * found.took_ms);
});

/** Shows the list that the address asks for. */
export function show_list(parameters) {
    const wanted = Object.fromEntries(["filter", "sort", "order", "after"].map(name => [name, parameters.get(name)]));
    listed = {
        filter: wanted.filter || "",
        sort: wanted.sort || "waiting",
        order: wanted.order || "desc",
        after: wanted.after || "",
    };
    if (at("filter").value !== listed.filter && document.activeElement !== at("filter"))
        at("filter").value = listed.filter;
    queues.sorted(listed.sort, listed.order === "desc");
    at("queue-back").setAttribute("href", list_hash({}));
    queues_asked = true;
}

let typing = 0;
at("filter").addEventListener("input", () => {
    clearTimeout(typing);
    // A person who has gone on to a queue meanwhile is not called back.
    typing = setTimeout(() => at("overview").hidden || list({ filter: at("filter").value }, true), 120);
});
at("queues-next").addEventListener("click", () => {
    pages_before.push(listed.after);
    location.hash = list_hash({ after: queues_next });
});
at("queues-previous").addEventListener("click", () => (location.hash = list_hash({ after: pages_before.pop() || "" })));

at("checkpoint").addEventListener("click", () => {
    say("The checkpoint is being written…");
    act("/api/checkpoint", {}, () => "The checkpoint is written.");
});
at("drain").addEventListener("click", () => {
    if (state.server && state.server.draining) {
        act("/api/drain", { on: false }, () => "Draining has ended: puts are taken again.");
        return;
    }
    act_after({
        title: "Drain the server",
        verb: "Drain",
        danger: true,
        path: "/api/drain",
        text:
            "Puts are refused and gates give no ticket, until this is ended here or by SIGUSR2. Gets and " +
            "acknowledgements go on.",
        content: () => ({ on: true }),
        told: () => "The server is draining: puts are refused.",
    });
});
at("put-anywhere").addEventListener("click", () => ask_put(null, ""));
