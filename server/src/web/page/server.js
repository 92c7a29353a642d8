// What the page asks of the server, again and again, and the acts: each with a line of what came of it.

import { at, clock, fill, make, put } from "./elements.js";

/** What the server has last said of itself. */
export const state = { server: null };

const ANSWER_MS_MAX = 10_000;
export const AGAIN_MS = 2_000;

/** The server has answered, and the answer is no. */
export class Refused extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

/** There was no answer. */
class Unanswered extends Error {}

async function talk(path, options, signal) {
    const signals = [AbortSignal.timeout(ANSWER_MS_MAX), ...(signal ? [signal] : [])];
    let answer;
    let text;
    try {
        answer = await fetch(path, { ...options, signal: AbortSignal.any(signals), cache: "no-store" });
        text = await answer.text();
    } catch (failure) {
        throw new Unanswered(failure.name === "TimeoutError" ? "nothing came in time" : "no connection to it");
    }
    let found;
    try {
        found = JSON.parse(text);
    } catch {
        throw new Refused(answer.status, `the server has answered ${answer.status}, and no JSON`);
    }
    if (!answer.ok) throw new Refused(answer.status, found.error || `the server has answered ${answer.status}`);
    return found;
}

/** Parameters are made part of the path; those that are empty are left out. An id is encoded once more, as any value. */
export function ask(path, parameters = {}, signal = undefined) {
    const given = Object.entries(parameters).filter(
        ([, value]) => value !== "" && value !== null && value !== undefined,
    );
    const words = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return talk(words.length ? `${path}?${words.join("&")}` : path, {}, signal);
}

function order(path, content) {
    const headers = { "Content-Type": "application/json" };
    return talk(path, { method: "POST", headers, body: JSON.stringify(content) });
}

let last_answer = new Date();
const silent = new Set();

/** Whether the server has answered this poll: the banner is there while it leaves one without. */
function answered(poll, failure) {
    if (failure === null) {
        last_answer = new Date();
        silent.delete(poll);
    } else silent.add(poll);
    document.body.classList.toggle("old", silent.size > 0);
    if (silent.size === 0) banner("silent", "", "");
    else if (failure) {
        const text = `The server does not answer (${failure.message}). What is here is of ${clock(last_answer)}`;
        banner("silent", "bad", `${text}; the page asks again by itself.`);
    }
}

/** Asks again and again, while the page is seen. `run` takes a signal, and returns milliseconds until the next time. */
export class Poll {
    constructor(run) {
        this.run = run;
        this.timer = 0;
        this.asked = null;
        this.running = false;
        document.addEventListener("visibilitychange", () =>
            document.hidden ? this.pause() : this.running && this.now(),
        );
    }

    pause() {
        clearTimeout(this.timer);
        if (this.asked) this.asked.abort();
        this.asked = null;
    }

    stop() {
        this.running = false;
        this.pause();
        silent.delete(this);
        banner(this, "", "");
    }

    /** Asks at once. What was asked before is dropped. */
    async now() {
        this.pause();
        this.running = true;
        if (document.hidden) return;
        const asked = (this.asked = new AbortController());
        let again = AGAIN_MS;
        try {
            again = (await this.run(asked.signal)) || AGAIN_MS;
            if (this.asked !== asked) return;
            answered(this, null);
            banner(this, "", "");
        } catch (failure) {
            if (this.asked !== asked) return;
            answered(this, failure instanceof Refused ? null : failure);
            banner(this, "bad", failure instanceof Refused ? failure.message : "");
            // Of the page itself: a fault of it.
            if (!(failure instanceof Refused || failure instanceof Unanswered)) console.error(failure);
        }
        this.timer = setTimeout(() => this.now(), again);
    }
}

const banners = new Map();

export function banner(key, kind, text) {
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
export function say(text, failed = false) {
    at("notice").hidden = false;
    at("notice").classList.toggle("bad", failed);
    at("notice-text").setAttribute("role", failed ? "alert" : "status");
    put(at("notice-text"), `${clock()} ${text}`);
}

const told_failure = failure =>
    failure instanceof Unanswered ? `The server has not answered (${failure.message}).` : failure.message;

/** A button that acts, and cannot where the page may only look. */
export function act_button(attributes, text) {
    return make(
        "button",
        { type: "button", class: "act", disabled: Boolean(state.server && state.server.read_only), ...attributes },
        text,
    );
}

/** Does an act, and says what came of it. */
export async function act(path, content, told) {
    try {
        say(told(await order(path, content)));
        document.dispatchEvent(new Event("acted"));
    } catch (failure) {
        say(told_failure(failure), true);
    }
}

/**
 * Asks in a dialog, then acts. `fields` are {name, label, kind, value}; `ready` says whether what is typed will do;
 * `content` makes the body of the request, `told` the line of what came of it. An error stays in the dialog.
 */
export function act_after({
    title,
    text = "",
    fields = [],
    verb,
    danger = false,
    ready = () => true,
    path,
    content,
    told,
    done = () => {},
}) {
    const dialog = at("dialog");
    const inputs = {};
    const parts = fields.map(({ name, label, kind = "text", value = "", ...more }) => {
        const input =
            kind === "textarea" ? make("textarea", { rows: "6", ...more }) : make("input", { type: kind, ...more });
        fill(input, { name, autocomplete: "off", spellcheck: "false", autocapitalize: "off" }, []);
        input.value = value;
        inputs[name] = input;
        return make("label", {}, make("span", {}, label), input);
    });
    const values = () => Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value]));
    const error = make("p", { class: "error", role: "alert" });
    const send = make("button", { type: "submit", class: danger ? "main danger" : "main" }, verb);
    const cancel = make("button", { type: "button", click: () => dialog.close() }, "Cancel");
    const check = () => (send.disabled = !ready(values()));
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
            done();
            document.dispatchEvent(new Event("acted"));
        } catch (failure) {
            // The dialog may have been left meanwhile.
            if (dialog.open && form.isConnected) put(error, told_failure(failure));
            else say(told_failure(failure), true);
            check();
        }
    };
    const form = make(
        "form",
        { input: check, submit },
        make("h2", { id: "dialog-title" }, title),
        ...(text ? [make("p", {}, text)] : []),
        ...parts,
        error,
        make("div", { class: "acts" }, cancel, send),
    );
    dialog.replaceChildren(form);
    check();
    dialog.showModal();
    // The first field has the focus; without one the way out has it.
    (Object.values(inputs)[0] || cancel).focus();
}

export const whole = text => (/^[0-9]{1,15}$/.test(text.trim()) ? Number(text.trim()) : NaN);
export const within = (text, low, high) => whole(text) >= low && whole(text) <= high;
export const number_field = (name, label, value) => ({ name, label, value: String(value), inputmode: "numeric" });
