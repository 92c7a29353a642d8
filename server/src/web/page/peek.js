// Messages looked at without taking them, as text, JSON or hex.

import { bytes, clock, count, duration, exact, make, plural, put, SPACE } from "./elements.js";
import { ask, Refused, say } from "./server.js";

function bytes_of(message) {
    if (message.text !== null) return new TextEncoder().encode(message.text);
    return Uint8Array.from(atob(message.base64), letter => letter.charCodeAt(0));
}

function hex(content) {
    const lines = [];
    for (let at_byte = 0; at_byte < content.length; at_byte += 16) {
        const row = [...content.subarray(at_byte, at_byte + 16)];
        const digits = row.map(byte => byte.toString(16).padStart(2, "0")).join(" ");
        const letters = row.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
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
    if (form === "hex" || message.text === null)
        return [hex(bytes_of(message)), form === "hex" ? "" : "not UTF-8, so in hex"];
    return [message.text, ""];
}

/** Messages of a queue, looked at without taking them. */
export class Peek {
    constructor(place, { title, none, id_of, extra = [] }) {
        Object.assign(this, { none, id_of, messages: [], next: null });
        const id = `${place.id}-count`;
        this.number_there = make("span", { class: "muted" });
        this.title = make("h2", {}, title, SPACE, this.number_there);
        this.number = make("input", { id, type: "number", min: "1", max: "100", value: "10", inputmode: "numeric" });
        this.form = make(
            "select",
            { "aria-label": "Form of the bodies", change: () => this.show() },
            ...[
                ["text", "as text"],
                ["json", "as JSON"],
                ["hex", "in hex"],
            ].map(([value, label]) => make("option", { value }, label)),
        );
        this.when = make("span", { class: "muted", role: "status" });
        this.more = make("button", { type: "button", click: () => this.look(true) }, "More");
        this.more.hidden = true;
        this.list = make("div");
        const look = event => {
            event.preventDefault();
            this.look(false);
        };
        place.append(
            this.title,
            make(
                "form",
                { class: "peek", submit: look },
                make("label", { for: id }, "Messages"),
                this.number,
                this.form,
                make("button", { type: "submit" }, "Peek"),
                ...extra,
                this.when,
            ),
            this.list,
            make("div", { class: "pages" }, this.more),
        );
    }

    forget() {
        this.messages = [];
        this.more.hidden = true;
        put(this.when, "");
        this.list.replaceChildren();
    }

    available(number) {
        put(this.number_there, number ? count(number) : "none", exact(number));
    }

    async look(further) {
        const queue = this.id_of();
        try {
            const found = await ask("/api/queue/messages", {
                queue,
                after: further ? this.next : "0",
                count: this.number.value || "10",
            });
            if (queue !== this.id_of()) return;
            this.messages = further ? [...this.messages, ...found.messages] : found.messages;
            this.next = found.next;
            this.more.hidden = !found.next;
            put(
                this.when,
                this.messages.length
                    ? `${plural(this.messages.length, "message")}, as at ${clock()}; none is taken`
                    : `${this.none} (${clock()})`,
            );
            this.show();
        } catch (failure) {
            if (failure instanceof Refused && failure.status === 404) {
                this.forget();
                put(this.when, `${this.none} (${clock()})`);
            } else say(failure.message, true);
        }
    }

    show() {
        this.list.replaceChildren(
            ...this.messages.map(message => {
                const form = this.form.value;
                const [text, why] = body_of(message, form);
                const body = make("pre", {
                    tabindex: "0",
                    "aria-label": `Body of message ${message.seq}`,
                    class: form === "hex" || message.text === null ? "hex" : "",
                });
                body.textContent = text;
                const facts = [
                    message.state,
                    duration(message.age_s) + " old",
                    message.tries > 0 && (message.tries === 1 ? "tried once" : `tried ${message.tries} times`),
                    bytes(message.bytes),
                    `flags ${message.flags}`,
                    why,
                    message.cut ? `cut: the first ${bytes(bytes_of(message).length)}` : "",
                ];
                return make(
                    "article",
                    { class: "message" },
                    make(
                        "p",
                        {},
                        make("b", {}, `#${message.seq}`),
                        ...facts.filter(Boolean).map(fact => make("span", {}, fact)),
                    ),
                    body,
                );
            }),
        );
    }
}
