"use strict";
// The operator's page. What comes from the server (names, bodies, errors) goes into the document as text alone: elements
// are made by `make` and `draw`, whose children are nodes or text, and never by a parser of HTML.

// ---------------------------------------------------------------------------------------------- elements

const at = id => document.getElementById(id);

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name, value);
        else if (typeof value === "boolean") element.toggleAttribute(name, value);
        else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/** An element of HTML. An attribute that is a function listens to the event of that name. */
function make(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

/** An element of SVG. */
function draw(name, attributes = {}, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** Text and title of an element, touched only where they differ, so that a refresh disturbs no selection. */
function put(element, text, title = "") {
    if (element.textContent !== text) element.textContent = text;
    if (element.title !== title) element.title = title;
}

// ---------------------------------------------------------------------------------------------- units

const SPACE = "\u00a0";
const GROUPED = new Intl.NumberFormat("en");
const exact = number => GROUPED.format(number);

/** Three digits and a unit: 1.20 M. */
function scaled(value, units) {
    let unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    const digits = unit === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return value.toFixed(digits) + (units[unit] && SPACE + units[unit]);
}

const count = number => number < 10_000 ? exact(number) : scaled(number, ["", "k", "M", "G", "T"]);
const bytes = number => scaled(number, ["B", "kB", "MB", "GB", "TB", "PB"]);
const rate = number => number > 0 && number < 99.95 ? number.toFixed(1) : count(Math.round(number));

function duration(seconds) {
    if (seconds < 60) return Math.floor(seconds) + SPACE + "s";
    const steps = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
    const first = steps.findIndex(([length]) => seconds >= length);
    const [length, unit] = steps[first];
    const [lower_length, lower_unit] = steps[first + 1];
    const whole = Math.floor(seconds / length);
    const rest = Math.floor(seconds % length / lower_length);
    return whole + SPACE + unit + (rest && whole < 10 ? SPACE + rest + SPACE + lower_unit : "");
}

function microseconds(number) {
    if (number < 1_000) return Math.round(number) + SPACE + "µs";
    const milliseconds = number / 1_000;
    return milliseconds < 1_000 ? milliseconds.toFixed(milliseconds < 10 ? 1 : 0) + SPACE + "ms" : duration(milliseconds / 1_000);
}

const clock = (date = new Date()) => date.toLocaleTimeString("en-GB");
const plural = (number, noun) => `${exact(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A queue's id as people read it. An id whose bytes are no UTF-8 is shown as it is. */
function name_of(id) {
    try {
        return decodeURIComponent(id);
    } catch {
        return id;
    }
}

// ---------------------------------------------------------------------------------------------- the server

const ANSWER_MS_MAX = 10_000;
const AGAIN_MS = 2_000;

/** The server has answered, and the answer is no. */
class Refused extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

async function talk(path, options, signal) {
    const signals = [AbortSignal.timeout(ANSWER_MS_MAX), ...(signal ? [signal] : [])];
    const answer = await fetch(path, { ...options, signal: AbortSignal.any(signals), cache: "no-store" });
    let found;
    try {
        found = await answer.json();
    } catch {
        throw new Refused(answer.status, `the server has answered ${answer.status}, and no JSON`);
    }
    if (!answer.ok) throw new Refused(answer.status, found.error || `the server has answered ${answer.status}`);
    return found;
}

/** Parameters are made part of the path; those that are empty are left out. */
function ask(path, parameters = {}, signal = undefined) {
    const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    const words = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return talk(words.length ? `${path}?${words.join("&")}` : path, {}, signal);
}

function order(path, content) {
    const headers = { "Content-Type": "application/json" };
    return talk(path, { method: "POST", headers, body: JSON.stringify(content) });
}

const reason = failure => failure.name === "TimeoutError" ? "no answer in time" : failure.message;

// ---------------------------------------------------------------------------------------------- asking again

let last_answer = new Date();

function answers(failure) {
    if (failure && !(failure instanceof Refused)) {
        banner("silent", "bad", `The server does not answer (${reason(failure)}). What is here is of ${clock(last_answer)}; the page asks again by itself.`);
    } else {
        last_answer = new Date();
        banner("silent", "", "");
    }
    document.body.classList.toggle("old", Boolean(failure && !(failure instanceof Refused)));
}

/** Asks again and again, while the page is seen. `run` takes a signal and returns the milliseconds until the next time. */
class Poll {
    constructor(run) {
        this.run = run;
        this.timer = 0;
        this.asked = null;
        this.running = false;
        document.addEventListener("visibilitychange", () => document.hidden ? this.pause() : this.running && this.now());
    }

    pause() {
        clearTimeout(this.timer);
        if (this.asked) this.asked.abort();
        this.asked = null;
    }

    stop() {
        this.running = false;
        this.pause();
    }

    /** Asks at once. What was asked before is dropped. */
    async now() {
        this.pause();
        this.running = true;
        if (document.hidden) return;
        const asked = this.asked = new AbortController();
        let again = AGAIN_MS;
        try {
            again = await this.run(asked.signal) || AGAIN_MS;
            if (this.asked !== asked) return;
            answers(null);
            banner("refused", "", "");
        } catch (failure) {
            if (this.asked !== asked) return;
            answers(failure);
            if (failure instanceof Refused) banner("refused", "bad", failure.message);
            else if (!(failure instanceof TypeError) && failure.name !== "TimeoutError") console.error(failure);
        }
        this.timer = setTimeout(() => this.now(), again);
    }
}

// ---------------------------------------------------------------------------------------------- banners, notice, dialog

const banners = new Map();

function banner(key, kind, text) {
    let shown = banners.get(key);
    if (!text) {
        if (shown) shown.remove();
        banners.delete(key);
        return;
    }
    if (!shown) {
        shown = make("p");
        banners.set(key, shown);
        at("banners").append(shown);
    }
    shown.className = `banner ${kind}`;
    put(shown, text);
}

/** The line of what came of the last act. It stays until the next one. */
function say(text, failed = false) {
    at("notice").hidden = false;
    at("notice").classList.toggle("bad", failed);
    at("notice-text").setAttribute("role", failed ? "alert" : "status");
    put(at("notice-text"), `${clock()} ${text}`);
}

/** Does an act, and says what came of it. */
async function act(path, content, told) {
    try {
        say(told(await order(path, content)));
        refresh();
    } catch (failure) {
        say(reason(failure), true);
    }
}

/**
 * Asks in a dialog, then acts. `fields` are {name, label, kind, value, hint}; `ready` says whether what is typed will do;
 * `content` makes the body of the request, `told` the line of what came of it. An error stays in the dialog.
 */
function act_after({ title, text = "", fields = [], verb, danger = false, ready = () => true, path, content, told }) {
    const dialog = at("dialog");
    const inputs = {};
    const parts = fields.map(({ name, label, kind = "text", value = "", ...more }) => {
        const input = kind === "textarea" ? make("textarea", { rows: "6", ...more }) : make("input", { type: kind, ...more });
        fill(input, { name, autocomplete: "off", spellcheck: "false", autocapitalize: "off" }, []);
        input.value = value;
        inputs[name] = input;
        return make("label", {}, make("span", {}, label), input);
    });
    const values = () => Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value]));
    const error = make("p", { class: "error", role: "alert" });
    const send = make("button", { type: "submit", class: danger ? "main danger" : "main" }, verb);
    const cancel = make("button", { type: "button", click: () => dialog.close() }, "Cancel");
    const check = () => send.disabled = !ready(values());
    const submit = async event => {
        event.preventDefault();
        if (send.disabled) return;
        send.disabled = true;
        put(error, "");
        try {
            const given = values();
            const answer = await order(path, content(given));
            say(told(answer, given));
            if (form.isConnected) dialog.close();
            refresh();
        } catch (failure) {
            put(error, reason(failure));
            check();
        }
    };
    const form = make("form", { input: check, submit },
        make("h2", { id: "dialog-title" }, title), ...(text ? [make("p", {}, text)] : []), ...parts, error,
        make("div", { class: "acts" }, cancel, send));
    dialog.replaceChildren(form);
    check();
    dialog.showModal();
    // The first field has the focus; without one the way out has it.
    (Object.values(inputs)[0] || cancel).focus();
}

const whole = text => /^[0-9]{1,15}$/.test(text.trim()) ? Number(text.trim()) : NaN;
const within = (text, low, high) => whole(text) >= low && whole(text) <= high;
const number_field = (name, label, value) => ({ name, label, value: String(value), inputmode: "numeric" });

// ---------------------------------------------------------------------------------------------- tiles

/** Figures with their names, made once and then only filled. */
class Tiles {
    constructor(list) {
        this.list = list;
        this.tiles = new Map();
    }

    tile(label) {
        let tile = this.tiles.get(label);
        if (!tile) {
            tile = { value: make("span", { class: "value" }), more: make("span", { class: "more" }), meter: null };
            tile.place = make("dd", {}, tile.value, tile.more);
            this.list.append(make("div", { class: "tile" }, make("dt", {}, label), tile.place));
            this.tiles.set(label, tile);
        }
        return tile;
    }

    set(label, text, title = "", more = "") {
        const tile = this.tile(label);
        put(tile.value, text, title);
        put(tile.more, more, more);
    }

    /** A bar below the figure. It is red beyond `high`; what it shows is in the text too. */
    meter(label, share, high = 2) {
        const tile = this.tile(label);
        if (!tile.meter) {
            tile.rect = draw("rect", { height: "4", width: "0" });
            tile.meter = draw("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, tile.rect);
            tile.place.append(tile.meter);
        }
        tile.rect.setAttribute("width", String(Math.min(100, Math.max(0, share * 100)) || 0));
        tile.meter.classList.toggle("high", share > high);
    }
}

// ---------------------------------------------------------------------------------------------- tables

/**
 * Rows that keep their elements from one refresh to the next, by `key`. Columns are {label, kind, sort, cell}: `cell`
 * fills a td from a row.
 */
class Table {
    constructor(table, columns, { key, none, sort = null }) {
        Object.assign(this, { table, columns, key, none, rows: new Map() });
        table.setAttribute("role", "table");
        this.heads = columns.map(({ label, kind = "", sort: by }) => {
            const head = make("th", { class: kind + (by ? " sortable" : ""), scope: "col", role: "columnheader" });
            head.append(by ? make("button", { type: "button", click: () => sort(by) }, label) : label);
            if (!label) head.append(make("span", { class: "unseen" }, "Acts"));
            return head;
        });
        this.body = make("tbody", { role: "rowgroup" });
        table.append(make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...this.heads)), this.body);
        this.show_none("…");
    }

    sorted(by, descending) {
        this.columns.forEach(({ sort }, index) => {
            if (sort === by) this.heads[index].setAttribute("aria-sort", descending ? "descending" : "ascending");
            else this.heads[index].removeAttribute("aria-sort");
        });
    }

    show_none(text) {
        this.rows.clear();
        this.body.replaceChildren(make("tr", { role: "row" }, make("td", { class: "none", role: "cell", colspan: String(this.columns.length) }, text)));
    }

    /** With `hold`, a refresh while the pointer is over the rows moves none of them: a click meets what was aimed at. */
    show(lines, hold = false) {
        if (lines.length === 0) {
            this.show_none(this.none);
            return;
        }
        if (this.rows.size === 0) this.body.replaceChildren();
        const held = hold && this.rows.size > 0 && matchMedia("(hover: hover)").matches && this.body.matches(":hover");
        const keys = new Set();
        const wanted = [];
        for (const line of lines) {
            const key = String(this.key(line));
            keys.add(key);
            let row = this.rows.get(key);
            if (!row) {
                if (held) continue;
                row = make("tr", { role: "row" });
                for (const { label, kind = "" } of this.columns) row.append(make("td", { class: kind, role: "cell", "data-label": label }));
                this.rows.set(key, row);
            }
            this.columns.forEach(({ cell }, index) => cell(row.children[index], line));
            wanted.push(row);
        }
        if (held) return;
        for (const [key, row] of this.rows) {
            if (keys.has(key)) continue;
            row.remove();
            this.rows.delete(key);
        }
        this.arrange(wanted);
    }

    /** The row that has the focus stays where it is in the document, since a move would take the focus away. */
    arrange(wanted) {
        const focused = wanted.findIndex(row => row.contains(document.activeElement));
        wanted.forEach((row, index) => {
            if (index === focused) return;
            if (index < focused) {
                if (row.nextSibling !== wanted[index + 1]) this.body.insertBefore(row, wanted[focused]);
            } else if (row.previousSibling !== (wanted[index - 1] || null)) {
                this.body.append(row);
            }
        });
        if (wanted.some((row, index) => this.body.children[index] !== row)) {
            wanted.slice(0, Math.max(focused, 0)).forEach(row => this.body.insertBefore(row, wanted[focused]));
            wanted.slice(focused + 1).forEach(row => this.body.append(row));
        }
    }
}

const cell_of = (read, show = count, title = exact) => (cell, line) => {
    const value = read(line);
    const known = value !== null && value !== undefined;
    put(cell, known ? show(value) : "–", known ? title(value) : "");
    cell.classList.toggle("zero", !value);
};
const figure = (label, read, more = {}, show = count, title = exact) =>
    ({ label, kind: "number narrow", cell: cell_of(read, show, title), ...more });
const seconds_title = value => `${exact(Math.floor(value))} s`;
const bytes_title = value => `${exact(value)} bytes`;
const rate_title = value => `${value} a second`;

// ---------------------------------------------------------------------------------------------- charts

const PLOT = { height: 180, left: 52, right: 10, top: 8, bottom: 20 };

/** The next of 1, 2, 5, 10, ... at or above. */
function round_up(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map(step => step * power).find(step => step >= value * 0.999);
}

/**
 * Lines over time. The value at the pointer, or at the place the arrow keys have come to, is in the legend; for screen
 * readers the plot is a slider whose value is that text.
 */
class Chart {
    constructor(place, { title, unit, series }) {
        Object.assign(this, { title, unit, series, points: [], chosen: null });
        this.when = make("span", { class: "chart-when" });
        this.values = series.map(() => make("b", {}, "–"));
        const legend = series.map((name, index) => make("li", {},
            draw("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, draw("line", { class: `series series-${index}`, x1: "0", x2: "26", y1: "4", y2: "4" })),
            name, this.values[index]));
        this.plot = draw("svg", {
            class: "plot", tabindex: "0", role: "slider", "aria-label": `${title}, by arrow keys`, "aria-valuemin": "0",
            pointermove: event => this.point(event), pointerdown: event => this.point(event), pointerleave: () => this.choose(null),
            keydown: event => this.step(event), blur: () => this.choose(null),
        });
        this.summary = make("figcaption", { class: "unseen" });
        place.append(make("div", { class: "chart-head" }, make("span", { class: "chart-title" }, `${title}, ${unit}`), this.when),
            make("ul", { class: "legend" }, ...legend), this.plot, this.summary);
        new ResizeObserver(() => this.redraw()).observe(this.plot);
    }

    /** `points` have a value for each series; `labels` are [index, text] of the x axis; `when` names a point's time. */
    show(points, labels, when, size = points.length) {
        Object.assign(this, { points, labels, when_of: when, size });
        this.redraw();
        const parts = this.series.map((name, index) => {
            const values = points.map(point => point[index]);
            return values.length ? `${name}: ${rate(values.at(-1))} at the end, between ${rate(Math.min(...values))} and ${rate(Math.max(...values))}` : `${name}: nothing yet`;
        });
        put(this.summary, `${this.title}, ${this.unit}. ${parts.join(". ")}.`);
    }

    x(index) {
        const room = this.width - PLOT.left - PLOT.right;
        return PLOT.left + room * (index + this.size - this.points.length) / Math.max(1, this.size - 1);
    }

    y(value) {
        return PLOT.height - PLOT.bottom - (PLOT.height - PLOT.top - PLOT.bottom) * value / this.top;
    }

    redraw() {
        this.width = this.plot.clientWidth;
        if (!this.width || !this.labels) return;
        this.top = round_up(Math.max(4, ...this.points.flat()) / 4) * 4;
        const parts = [];
        for (let line = 0; line <= 4; line += 1) {
            const value = this.top * line / 4;
            const y = this.y(value);
            parts.push(draw("line", { class: line ? "grid" : "base", x1: PLOT.left, x2: this.width - PLOT.right, y1: y, y2: y }));
            parts.push(draw("text", { x: PLOT.left - 6, y: y + 4, "text-anchor": "end" }, count(value)));
        }
        for (const [index, text] of this.labels) {
            const x = PLOT.left + (this.width - PLOT.left - PLOT.right) * index / Math.max(1, this.size - 1);
            const anchor = index === 0 ? "start" : index >= this.size - 1 ? "end" : "middle";
            parts.push(draw("text", { x, y: PLOT.height - 5, "text-anchor": anchor }, text));
        }
        this.series.forEach((_, series) => {
            const line = this.points.map((point, index) => `${this.x(index).toFixed(1)},${this.y(point[series]).toFixed(1)}`);
            parts.push(draw("polyline", { class: `series series-${series}`, points: line.join(" ") }));
        });
        this.marks = draw("g");
        this.plot.setAttribute("viewBox", `0 0 ${this.width} ${PLOT.height}`);
        this.plot.replaceChildren(...parts, this.marks);
        this.mark();
    }

    /** `back`: how many points before the last one; null: none. So a refresh leaves the cursor where it is. */
    choose(back) {
        this.chosen = back;
        if (this.marks) this.mark();
    }

    mark() {
        const last = this.points.length - 1;
        const index = Math.max(0, last - (this.chosen || 0));
        const point = this.points[index];
        const texts = this.series.map((name, series) => point ? rate(point[series]) : "–");
        texts.forEach((text, series) => put(this.values[series], text, point ? exact(point[series]) : ""));
        const when = point ? this.when_of(index, this.chosen === null) : "";
        put(this.when, when);
        this.plot.setAttribute("aria-valuemax", String(Math.max(0, last)));
        this.plot.setAttribute("aria-valuenow", String(Math.max(0, index)));
        this.plot.setAttribute("aria-valuetext", `${when}: ${this.series.map((name, series) => `${name} ${texts[series]}`).join(", ")}`);
        this.marks.replaceChildren();
        if (this.chosen === null || !point) return;
        const x = this.x(index);
        this.marks.append(draw("line", { class: "cursor", x1: x, x2: x, y1: PLOT.top, y2: PLOT.height - PLOT.bottom }));
        point.forEach((value, series) => this.marks.append(draw("circle", { class: `dot dot-${series}`, cx: x, cy: this.y(value), r: 4 })));
    }

    point(event) {
        const room = this.width - PLOT.left - PLOT.right;
        const share = (event.clientX - this.plot.getBoundingClientRect().left - PLOT.left) / room;
        const back = Math.round((1 - share) * (this.size - 1));
        this.choose(Math.min(Math.max(0, back), Math.max(0, this.points.length - 1)));
    }

    step(event) {
        const steps = { ArrowLeft: 1, ArrowDown: 1, ArrowRight: -1, ArrowUp: -1, PageUp: -15, PageDown: 15, Home: Infinity, End: -Infinity };
        if (event.key === "Escape") this.choose(null);
        if (!(event.key in steps)) return;
        event.preventDefault();
        this.choose(Math.min(Math.max(0, (this.chosen || 0) + steps[event.key]), Math.max(0, this.points.length - 1)));
    }
}

// ---------------------------------------------------------------------------------------------- the head

let server = null;
const tiles = new Tiles(at("tiles"));

const shards = new Table(at("shards"), [
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
], { key: line => line.shard, none: "No shard has answered." });

function show_facts(of) {
    const begun = new Date(Date.now() - of.uptime_s * 1_000);
    const facts = [
        ["up ", duration(of.uptime_s), "", `since ${begun.toLocaleString("en-GB")}`],
        ["on ", of.addresses.join("  "), "", ""],
        ["", of.durable ? "durable: answered after the disk has it" : "not durable (-N): the disk has it within a second", of.durable ? "good" : "warn", ""],
        ...(of.user ? [["you are ", of.user, "", ""]] : []),
    ];
    const text = JSON.stringify(facts);
    if (show_facts.shown === text) return;
    show_facts.shown = text;
    at("facts").replaceChildren(...facts.map(([before, value, kind, title]) => make("span", { title }, before, make("b", { class: kind }, value))));
}

function show_overview(of) {
    server = of;
    put(at("version"), of.version);
    show_facts(of);
    banner("draining", "warn", of.draining ? "Draining: puts are refused, and gates give no ticket. Gets go on." : "");
    banner("full", "bad", of.full ? "Full: the disk has no room, so puts are refused until there is." : "");
    banner("read-only", "warn", of.read_only ? "Read-only: this page shows, and does not act (--admin-read-only)." : "");
    put(at("drain"), of.draining ? "End draining" : "Drain…");
    for (const button of document.querySelectorAll("button.act")) button.disabled = of.read_only;

    const total = of.totals;
    tiles.set("Waiting", count(total.waiting), exact(total.waiting), `${count(total.delayed)} delayed`);
    tiles.set("Open", count(total.open), exact(total.open), `${count(total.waiters)} clients wait`);
    tiles.set("Dead", count(total.dead), exact(total.dead), `of ${count(total.messages)} messages`);
    tiles.set("Queues", count(total.queues), exact(total.queues), plural(of.shards.length, "shard"));
    tiles.set("Connections", count(of.connections), exact(of.connections), `of ${exact(of.connections_max)}`);
    tiles.meter("Connections", of.connections / of.connections_max, 0.9);
    tiles.set("Memory", bytes(of.memory_bytes), bytes_title(of.memory_bytes), `of ${bytes(of.memory_max_bytes)} for bodies`);
    tiles.meter("Memory", of.memory_bytes / of.memory_max_bytes);
    tiles.set("Log", bytes(of.log_bytes), bytes_title(of.log_bytes), `${bytes(of.log_live_bytes)} of it live`);
    tiles.meter("Log", of.log_live_bytes / of.log_bytes);
    tiles.set("Disk free", bytes(of.disk_free_bytes), bytes_title(of.disk_free_bytes), `of ${bytes(of.disk_bytes)}`);
    tiles.meter("Disk free", 1 - of.disk_free_bytes / of.disk_bytes, 0.9);
    tiles.set("Commit p99", microseconds(of.commit.p99_us), `${exact(of.commit.p99_us)} µs`, `p50 ${microseconds(of.commit.p50_us)}`);
    tiles.set("fsync p99", microseconds(of.fsync.p99_us), `${exact(of.fsync.p99_us)} µs`, `p50 ${microseconds(of.fsync.p50_us)}`);
    shards.show(of.shards);
}

const head = new Poll(async signal => show_overview(await ask("/api/overview", {}, signal)));

// ---------------------------------------------------------------------------------------------- the overview's charts

const CHART_POINTS = 300;
const messages_chart = new Chart(at("chart-messages"), { title: "Messages", unit: "in all queues", series: ["waiting", "open"] });
const rates_chart = new Chart(at("chart-rates"), { title: "Messages", unit: "a second", series: ["put", "taken", "acknowledged", "returned"] });

const history_poll = new Poll(async signal => {
    const { interval_s, now, points } = await ask("/api/history", {}, signal);
    const minutes = Math.round(CHART_POINTS * interval_s / 60);
    const labels = [];
    for (let minute = 0; minute <= minutes; minute += 2) {
        labels.push([(CHART_POINTS - 1) * minute / minutes, minute === minutes ? "now" : `−${minutes - minute} min`]);
    }
    const when = (index, newest) => newest ? "now" : clock(new Date((now - (points.length - 1 - index) * interval_s) * 1_000));
    messages_chart.show(points.map(point => point.slice(0, 2)), labels, when, CHART_POINTS);
    rates_chart.show(points.map(point => point.slice(2, 6)), labels, when, CHART_POINTS);
    return interval_s * 1_000;
});

// ---------------------------------------------------------------------------------------------- the list of queues

const QUEUES_LIMIT = 50;
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
    return "#/" + (words.length ? "?" + words.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&") : "");
}

function list(changes, instead = false) {
    pages_before = [];
    const hash = list_hash({ after: "", ...changes });
    if (!instead) location.hash = hash;
    else {
        history.replaceState(null, "", hash);
        route();
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
    cell.replaceChildren(make("a", { href: `#/queue/${line.id}` }, line.name), ...badges.map(badge => make("span", { class: badge === "paused" ? "badge warn" : "badge" }, badge)));
}

const queues = new Table(at("queues"), [
    { label: "Name", kind: "name", sort: "name", cell: name_cell },
    figure("Waiting", line => line.waiting, { sort: "waiting" }),
    figure("Open", line => line.open, { sort: "open" }),
    figure("Delayed", line => line.delayed, { sort: "delayed" }),
    figure("Dead", line => line.dead, { sort: "dead" }),
    figure("Oldest", line => line.oldest_s, { sort: "oldest" }, duration, seconds_title),
    figure("In/s", line => line.in_per_s, { sort: "in" }, rate, rate_title),
    figure("Out/s", line => line.out_per_s, { sort: "out" }, rate, rate_title),
    figure("Bytes", line => line.bytes, { sort: "bytes" }, bytes, bytes_title),
    figure("Waiters", line => line.waiters, { sort: "waiters" }),
    figure("Children", line => line.children, { sort: "children" }),
], { key: line => line.id, none: "No queue has this in its name.", sort: sort_by });

const queues_poll = new Poll(async signal => {
    const found = await ask("/api/queues", { ...listed, limit: QUEUES_LIMIT }, signal);
    queues_next = found.next;
    queues.show(found.queues, !queues_asked);
    queues_asked = false;
    put(at("queues-count"), found.matched === found.total ? plural(found.total, "queue") : `${exact(found.matched)} of ${plural(found.total, "queue")}`,
        `found in ${found.took_ms} ms`);
    at("queues-previous").disabled = !listed.after;
    at("queues-next").disabled = !found.next;
    // However many queues there are, this costs the server a hundredth of its time at most.
    return Math.max(AGAIN_MS, 100 * found.took_ms);
});

let typing = 0;
at("filter").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => list({ filter: at("filter").value }, true), 120);
});
at("queues-next").addEventListener("click", () => {
    pages_before.push(listed.after);
    location.hash = list_hash({ after: queues_next });
});
at("queues-previous").addEventListener("click", () => location.hash = list_hash({ after: pages_before.pop() || "" }));

// ---------------------------------------------------------------------------------------------- a queue

let queue = { id: "", name: "", figures: null };
const queue_figures = new Tiles(at("queue-figures"));
const gate_figures = new Tiles(at("gate-figures"));
const gate_chart = new Chart(at("chart-gate"), { title: "The rush", unit: "a second", series: ["seats given", "refused"] });
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
        at("queue-badges").replaceChildren(...badges.map(badge => make("span", { class: badge === "gate" ? "badge" : "badge warn" }, badge)));
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
    dead.available(of.dead);
}

/** What is being typed stays; that the server has other words by now is told. */
let words_known = null;
function show_words(words) {
    const area = at("words");
    const touched = words_known !== null && area.value !== words_known;
    if (!touched && area.value !== words) area.value = words;
    put(at("words-hint"), touched && words !== words_known ? `The server has by now: ${words || "the defaults"}` : touched ? "Not set yet." : words ? "" : "All defaults.");
    if (!touched) words_known = words;
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
    gate_figures.set("State", String(gate.state));
    set("Tickets", gate.tickets);
    set("Given", gate.given);
    set("Paid", gate.paid);
    set("Held", gate.held);
    set("Returned", gate.returned);
    set("Lapsed", gate.lapsed);
    set("In line", gate.line);
    set("Refused", gate.refused);
    set("Repeats", gate.repeats);
    const { curve } = gate;
    at("chart-gate").hidden = !curve;
    if (!curve) return;
    const points = curve.given.map((given, index) => [given / curve.width_s, curve.refused[index] / curve.width_s]);
    const last = points.length - 1;
    const labels = [0, 0.25, 0.5, 0.75, 1].map(share => [last * share, duration(Math.round((last * share + share) * curve.width_s))]);
    const begin = new Date(curve.start * 1_000);
    const when = (index, newest) => newest ? `from ${begin.toLocaleString("en-GB")}` : `${duration(index * curve.width_s)} after the first seat`;
    gate_chart.show(points, labels, when);
}

const queue_poll = new Poll(async signal => {
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

const opens = new Table(at("opens"), [
    { label: "Message", kind: "number narrow", cell: (cell, line) => put(cell, `#${line.seq}`) },
    { label: "Holder", kind: "long name", cell: (cell, line) => put(cell, line.holder) },
    figure("Since", line => line.since_s, {}, duration, seconds_title),
    { label: "Lease ends in", kind: "number wide", cell: (cell, line) => line.ends_in_s === null ? put(cell, "with its connection") : put(cell, duration(line.ends_in_s), seconds_title(line.ends_in_s)) },
    figure("Try", line => line.try),
    { label: "", kind: "button", cell: (cell, line) => cell.firstChild || cell.append(make("button", {
        type: "button", class: "act", disabled: Boolean(server && server.read_only), "aria-label": `Give back message ${line.seq}`, click: () => give_back(line),
    }, "Give back")) },
], { key: line => line.lease, none: "No message is open." });

const opens_poll = new Poll(async signal => {
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

at("opens-first").addEventListener("click", () => { opens_after = ""; opens_poll.now(); });
at("opens-next").addEventListener("click", () => { opens_after = opens_next; opens_poll.now(); });

// ---------------------------------------------------------------------------------------------- peeking

function bytes_of(message) {
    if (message.text !== null) return new TextEncoder().encode(message.text);
    return Uint8Array.from(atob(message.base64), letter => letter.charCodeAt(0));
}

function hex(content) {
    const lines = [];
    for (let at_byte = 0; at_byte < content.length; at_byte += 16) {
        const row = [...content.subarray(at_byte, at_byte + 16)];
        const digits = row.map(byte => byte.toString(16).padStart(2, "0")).join(" ");
        const letters = row.map(byte => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
        lines.push(`${at_byte.toString(16).padStart(4, "0")}  ${digits.padEnd(47)}  ${letters}`);
    }
    return lines.join("\n");
}

/** A body in the form asked for, or in the nearest one that shows it, with a word on why. */
function body_of(message, form) {
    if (form === "json" && message.text !== null) {
        try {
            return [JSON.stringify(JSON.parse(message.text), null, 2), ""];
        } catch {
            return [message.text, message.cut ? "cut, so not read as JSON" : "not JSON"];
        }
    }
    if (form === "hex" || message.text === null) return [hex(bytes_of(message)), form === "hex" ? "" : "not UTF-8, so in hex"];
    return [message.text, ""];
}

/** Messages of a queue, looked at without taking them. */
class Peek {
    constructor(place, { title, none, suffix, extra = [] }) {
        Object.assign(this, { none, suffix, messages: [], next: null });
        const id = `${place.id}-count`;
        this.title = make("h2", {}, title);
        this.number = make("input", { id, type: "number", min: "1", max: "100", value: "10", inputmode: "numeric" });
        this.form = make("select", { "aria-label": "Form of the bodies", change: () => this.show() },
            ...[["text", "as text"], ["json", "as JSON"], ["hex", "in hex"]].map(([value, label]) => make("option", { value }, label)));
        this.when = make("span", { class: "muted", role: "status" });
        this.more = make("button", { type: "button", click: () => this.look(true) }, "More");
        this.more.hidden = true;
        this.list = make("div");
        const look = event => { event.preventDefault(); this.look(false); };
        place.append(this.title, make("form", { class: "peek", submit: look },
            make("label", { for: id }, "Messages"), this.number, this.form, make("button", { type: "submit" }, "Peek"), ...extra, this.when), this.list, make("div", { class: "pages" }, this.more));
    }

    forget() {
        this.messages = [];
        this.more.hidden = true;
        put(this.when, "");
        this.list.replaceChildren();
    }

    available(number) {
        this.number_there = number;
    }

    async look(further) {
        const of = queue.id;
        try {
            const found = await ask("/api/queue/messages", { queue: of + this.suffix, after: further ? this.next : "0", count: this.number.value || "10" });
            if (of !== queue.id) return;
            this.messages = further ? [...this.messages, ...found.messages] : found.messages;
            this.next = found.next;
            this.more.hidden = !found.next;
            put(this.when, this.messages.length ? `${plural(this.messages.length, "message")}, as at ${clock()}; none is taken` : `${this.none} (${clock()})`);
            this.show();
        } catch (failure) {
            if (failure instanceof Refused && failure.status === 404) {
                this.forget();
                put(this.when, `${this.none} (${clock()})`);
            } else say(reason(failure), true);
        }
    }

    show() {
        this.list.replaceChildren(...this.messages.map(message => {
            const form = this.form.value;
            const [text, why] = body_of(message, form);
            const body = make("pre", { tabindex: "0", "aria-label": `Body of message ${message.seq}`, class: form === "hex" || message.text === null ? "hex" : "" });
            body.textContent = text;
            const facts = [message.state, duration(message.age_s) + " old", plural(message.tries, "earlier tr").replace("trs", "tries").replace(/tr$/, "try"), `${bytes(message.bytes)}`, `flags ${message.flags}`, why, message.cut ? `cut: the first ${bytes(bytes_of(message).length)}` : ""];
            return make("article", { class: "message" }, make("p", {}, make("b", {}, `#${message.seq}`), ...facts.filter(Boolean).map(fact => make("span", {}, fact))), body);
        }));
    }
}

const kick_button = make("button", { type: "button", class: "act", click: () => kick() }, "Kick…");
const peek = new Peek(at("messages"), { title: "Messages", none: "Nothing is there", suffix: "" });
const dead = new Peek(at("dead"), { title: "Dead letters", none: "No dead letters", suffix: "%2Fdead", extra: [kick_button] });

// ---------------------------------------------------------------------------------------------- acts on a queue

const here = content => ({ queue: queue.id, ...content });

function ask_put(id, name) {
    const fields = [
        { name: "text", label: "Body", kind: "textarea" },
        { ...number_field("flags", "Flags, a number that comes back with the message", 0) },
        { ...number_field("delay", "Delay in seconds", 0) },
    ];
    if (id === null) fields.unshift({ name: "queue", label: "Name of the queue", maxlength: "250" });
    act_after({
        title: id === null ? "Put a message" : `Put a message into ${name}`, fields, verb: "Put", path: "/api/queue/put",
        ready: given => within(given.flags, 0, 4_294_967_295) && within(given.delay, 0, 1e9) && given.queue !== "",
        content: given => ({
            queue: id === null ? encodeURIComponent(given.queue) : id, text: given.text, flags: whole(given.flags),
            ...(whole(given.delay) ? { delay_s: whole(given.delay) } : {}),
        }),
        told: (_, given) => `Put ${plural(new TextEncoder().encode(given.text).length, "byte")} into ${given.queue || name}.`,
    });
}

function ask_purge() {
    const there = queue.figures.waiting + queue.figures.delayed;
    const { id, name } = queue;
    act_after({
        title: `Purge ${name}`, verb: "Purge", danger: true, path: "/api/queue/purge",
        text: there ? `${plural(there, "message")} can be dropped for good: those that wait or are delayed. What is open stays. Type the number to drop them all, or a smaller one to drop only the oldest.` : "Nothing waits here, so nothing can be dropped.",
        fields: [{ name: "count", label: `How many to drop: type ${there}`, inputmode: "numeric" }],
        ready: given => within(given.count, 1, there),
        content: given => ({ queue: id, count: whole(given.count) }),
        told: answer => `Purged ${plural(answer.purged, "message")} of ${name}.`,
    });
}

function ask_delete() {
    const { id, name } = queue;
    act_after({
        title: `Delete ${name}`, verb: "Delete", danger: true, path: "/api/queue/delete",
        text: "The queue goes with all of its messages, those that are open, delayed and dead too, with its counters and its settings.",
        fields: [{ name: "name", label: `Type its name: ${name}` }],
        ready: given => given.name === name,
        content: given => ({ queue: id, name: given.name }),
        told: () => `Deleted ${name}.`,
    });
}

function ask_move() {
    const { id, name } = queue;
    act_after({
        title: `Move messages of ${name}`, verb: "Move", path: "/api/queue/move",
        text: "The oldest that wait go to the end of another queue, which must exist.",
        fields: [{ name: "to", label: "To the queue", maxlength: "250" }, number_field("count", "How many", queue.figures.waiting || 1)],
        ready: given => given.to !== "" && within(given.count, 1, 1e15),
        content: given => ({ queue: id, to: encodeURIComponent(given.to), count: whole(given.count) }),
        told: (answer, given) => `Moved ${plural(answer.moved, "message")} of ${name} to ${given.to}.`,
    });
}

function kick() {
    const { id, name } = queue;
    act_after({
        title: `Kick dead letters of ${name}`, verb: "Kick", path: "/api/queue/kick",
        text: "The oldest dead letters go back into the queue, with no tries.",
        fields: [number_field("count", "How many", queue.figures ? queue.figures.dead || 1 : 1)],
        ready: given => within(given.count, 1, 1e9),
        content: given => ({ queue: id, count: whole(given.count) }),
        told: answer => `Kicked ${plural(answer.kicked, "dead letter")} back into ${name}.`,
    });
}

function give_back(line) {
    const { id, name } = queue;
    act_after({
        title: `Give back message ${line.seq}`, verb: "Give back", path: "/api/queue/release",
        text: `It is held by ${line.holder}, for ${duration(line.since_s)}. It goes back to its place, and that holder can acknowledge it no more.`,
        content: () => ({ queue: id, lease: line.lease }),
        told: () => `Message ${line.seq} of ${name} is back in its place.`,
    });
}

at("put").addEventListener("click", () => ask_put(queue.id, queue.name));
at("put-anywhere").addEventListener("click", () => ask_put(null, ""));
at("purge").addEventListener("click", () => queue.figures && ask_purge());
at("delete").addEventListener("click", () => queue.figures && ask_delete());
at("move").addEventListener("click", () => queue.figures && ask_move());
at("pause").addEventListener("click", () => {
    const { id, name, figures } = queue;
    if (figures && figures.paused) act("/api/queue/resume", { queue: id }, () => `${name} is resumed: gets find its messages again.`);
    else if (figures) act("/api/queue/pause", { queue: id }, () => `${name} is paused: gets find nothing, puts go on.`);
});
at("settings").addEventListener("submit", event => {
    event.preventDefault();
    set_words("/api/queue/config", here({ words: at("words").value }), `Set what ${queue.name} is told.`);
});
at("unconfig").addEventListener("click", () => set_words("/api/queue/unconfig", here({}), `${queue.name} has the defaults again.`));

async function set_words(path, content, told) {
    await act(path, content, () => {
        // From here on the server's words count, in its own order.
        if (content.queue === queue.id) words_known = null;
        return told;
    });
}

// ---------------------------------------------------------------------------------------------- acts on the server

at("checkpoint").addEventListener("click", () => {
    say("The checkpoint is being written…");
    act("/api/checkpoint", {}, () => "The checkpoint is written.");
});
at("drain").addEventListener("click", () => {
    if (server && server.draining) {
        act("/api/drain", { on: false }, () => "Draining has ended: puts are taken again.");
        return;
    }
    act_after({
        title: "Drain the server", verb: "Drain", danger: true, path: "/api/drain",
        text: "Puts are refused and gates give no ticket, until this is ended here or by SIGUSR2. Gets and acknowledgements go on.",
        content: () => ({ on: true }),
        told: () => "The server is draining: puts are refused.",
    });
});

// ---------------------------------------------------------------------------------------------- connections

let connections_after = "";
let connections_before = [];
let connections_next = null;

const connections = new Table(at("connections-table"), [
    { label: "Id", kind: "number narrow", cell: (cell, line) => put(cell, String(line.id)) },
    { label: "Peer", kind: "name long wide", cell: (cell, line) => put(cell, line.peer || "–", line.peer || "") },
    { label: "User", kind: "narrow", cell: (cell, line) => put(cell, line.user || "–", line.user || "") },
    figure("Shard", line => line.shard, {}, String, String),
    figure("Age", line => line.age_s, {}, duration, seconds_title),
    figure("Idle", line => line.idle_s, {}, duration, seconds_title),
    figure("Commands", line => line.commands),
    figure("Read", line => line.bytes_read, {}, bytes, bytes_title),
    figure("Written", line => line.bytes_written, {}, bytes, bytes_title),
    figure("Open", line => line.open),
    { label: "Waits", kind: "narrow", cell: (cell, line) => put(cell, line.waiting === true ? "yes" : line.waiting ? String(line.waiting) : "no") },
    { label: "", kind: "button", cell: (cell, line) => cell.firstChild || cell.append(make("button", {
        type: "button", class: "act", disabled: Boolean(server && server.read_only), "aria-label": `Close connection ${line.id}`, click: () => close_connection(line),
    }, "Close…")) },
], { key: line => line.id, none: "There is no connection." });

function close_connection(line) {
    act_after({
        title: `Close connection ${line.id}`, verb: "Close it", danger: true, path: "/api/connection/close",
        text: `The client at ${line.peer || "an unknown address"} loses its connection. What that has open goes back to its place.`,
        content: () => ({ id: line.id }),
        told: () => `Connection ${line.id} is closed.`,
    });
}

const connections_poll = new Poll(async signal => {
    const found = await ask("/api/connections", { after: connections_after, limit: 100 }, signal);
    connections_next = found.next;
    connections.show(found.connections);
    put(at("connections-count"), server ? `${plural(server.connections, "connection")} of ${exact(server.connections_max)}` : "");
    at("connections-previous").disabled = !connections_after;
    at("connections-next").disabled = !found.next;
});
at("connections-next").addEventListener("click", () => {
    connections_before.push(connections_after);
    connections_after = connections_next;
    connections_poll.now();
});
at("connections-previous").addEventListener("click", () => {
    connections_after = connections_before.pop() || "";
    connections_poll.now();
});

// ---------------------------------------------------------------------------------------------- views

const polls_of = { overview: [history_poll, queues_poll], queue: [queue_poll, opens_poll], connections: [connections_poll] };
let view = "";

function refresh() {
    head.now();
    for (const poll of polls_of[view] || []) poll.now();
}

function show_view(name, title) {
    const other = view !== name;
    for (const [each, polls] of Object.entries(polls_of)) {
        at(each).hidden = each !== name;
        if (each !== name) for (const poll of polls) poll.stop();
    }
    at("to-overview").toggleAttribute("aria-current", name === "overview");
    at("to-connections").toggleAttribute("aria-current", name === "connections");
    document.title = title;
    // A screen reader goes on from the new view; at the first load the focus stays where the browser has it.
    if (other && view) {
        at("main").focus({ preventScroll: true });
        scrollTo(0, 0);
    }
    view = name;
}

function show_list(parameters) {
    const wanted = Object.fromEntries(["filter", "sort", "order", "after"].map(name => [name, parameters.get(name)]));
    listed = { filter: wanted.filter || "", sort: wanted.sort || "waiting", order: wanted.order || "desc", after: wanted.after || "" };
    show_view("overview", "rushq");
    if (at("filter").value !== listed.filter && document.activeElement !== at("filter")) at("filter").value = listed.filter;
    queues.sorted(listed.sort, listed.order === "desc");
    at("queue-back").setAttribute("href", list_hash({}));
    queues_asked = true;
    history_poll.now();
    queues_poll.now();
}

function show_one(id) {
    if (queue.id !== id) {
        queue = { id, name: name_of(id), figures: null };
        words_known = null;
        opens_after = "";
        put(at("words-hint"), "");
        at("words").value = "";
        peek.forget();
        dead.forget();
        opens.show_none("…");
        put(at("queue-title"), queue.name);
        missing(false);
    }
    show_view("queue", `${queue.name} – rushq`);
    queue_poll.now();
    opens_poll.now();
}

function route() {
    at("dialog").close();
    const [path, words = ""] = location.hash.replace(/^#/, "").split("?");
    if (path.startsWith("/queue/")) show_one(path.slice("/queue/".length));
    else if (path === "/connections") {
        connections_after = "";
        connections_before = [];
        show_view("connections", "Connections – rushq");
        connections_poll.now();
    } else show_list(new URLSearchParams(words));
}

at("skip").addEventListener("click", () => at("main").focus());
at("notice-close").addEventListener("click", () => at("notice").hidden = true);
addEventListener("hashchange", route);
addEventListener("keydown", event => {
    // As on many pages: a slash goes to the filter, where nothing is being typed.
    if (event.key !== "/" || view !== "overview" || at("dialog").open || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    at("filter").focus();
});
head.now();
route();
