// What is done to the queue that is shown.

import { duration, name_of, plural } from "./elements.js";
import { act_after, number_field, whole, within } from "./server.js";

export function ask_put(id, name) {
    const fields = [
        { name: "text", label: "Body", kind: "textarea" },
        { ...number_field("flags", "Flags, a number that comes back with the message", 0) },
        { ...number_field("delay", "Delay in seconds", 0) },
    ];
    if (id === null) fields.unshift({ name: "queue", label: "Name of the queue", maxlength: "250" });
    act_after({
        title: id === null ? "Put a message" : `Put a message into ${name}`,
        fields,
        verb: "Put",
        path: "/api/queue/put",
        ready: given => within(given.flags, 0, 4_294_967_295) && within(given.delay, 0, 1e9) && given.queue !== "",
        content: given => ({
            queue: id === null ? encodeURIComponent(given.queue) : id,
            text: given.text,
            flags: whole(given.flags),
            ...(whole(given.delay) ? { delay_s: whole(given.delay) } : {}),
        }),
        told: (_, given) =>
            `Put ${plural(new TextEncoder().encode(given.text).length, "byte")} into ${given.queue || name}.`,
    });
}

export function ask_purge({ id, name, figures }) {
    const there = figures.waiting + figures.delayed;
    act_after({
        title: `Purge ${name}`,
        verb: "Purge",
        danger: true,
        path: "/api/queue/purge",
        text: there
            ? `${plural(there, "message")} can be dropped for good: those that wait or are delayed. What is open stays. ` +
              "Type the number to drop them all, or a smaller one to drop only the oldest."
            : "Nothing waits here, so nothing can be dropped.",
        fields: [{ name: "count", label: `How many to drop: type ${there}`, inputmode: "numeric" }],
        ready: given => within(given.count, 1, there),
        content: given => ({ queue: id, count: whole(given.count) }),
        told: answer => `Purged ${plural(answer.purged, "message")} of ${name}.`,
    });
}

export function ask_delete({ id, name, figures }) {
    act_after({
        title: `Delete ${name}`,
        verb: "Delete",
        danger: true,
        path: "/api/queue/delete",
        text:
            "The queue goes with all of its messages, those that are open, delayed and dead too, with its counters " +
            "and its settings.",
        // A name that is no UTF-8 can be typed as its id alone.
        fields: [{ name: "name", label: `Type its name: ${name_of(id)}` }],
        ready: given => given.name === name_of(id),
        content: given => ({ queue: id, name: given.name }),
        told: () => `Deleted ${name}.`,
        done: () => (location.hash = "#/"),
    });
}

export function ask_move({ id, name, figures }) {
    act_after({
        title: `Move messages of ${name}`,
        verb: "Move",
        path: "/api/queue/move",
        text: "The oldest that wait go to the end of another queue, which must exist.",
        fields: [
            { name: "to", label: "To the queue", maxlength: "250" },
            number_field("count", "How many", figures.waiting || 1),
        ],
        ready: given => given.to !== "" && within(given.count, 1, 1e15),
        content: given => ({ queue: id, to: encodeURIComponent(given.to), count: whole(given.count) }),
        told: (answer, given) => `Moved ${plural(answer.moved, "message")} of ${name} to ${given.to}.`,
    });
}

export function ask_kick({ id, name, figures }) {
    act_after({
        title: `Kick dead letters of ${name}`,
        verb: "Kick",
        path: "/api/queue/kick",
        text: "The oldest dead letters go back into the queue, with no tries.",
        fields: [number_field("count", "How many", figures ? figures.dead || 1 : 1)],
        ready: given => within(given.count, 1, 1e9),
        content: given => ({ queue: id, count: whole(given.count) }),
        told: answer => `Kicked ${plural(answer.kicked, "dead letter")} back into ${name}.`,
    });
}

export function ask_give_back({ id, name }, line) {
    act_after({
        title: `Give back message ${line.seq}`,
        verb: "Give back",
        path: "/api/queue/release",
        text:
            `It is held by ${line.holder}, for ${duration(line.since_s)}. It goes back to its place, and that holder ` +
            "can acknowledge it no more.",
        content: () => ({ queue: id, lease: line.lease }),
        told: () => `Message ${line.seq} of ${name} is back in its place.`,
    });
}
