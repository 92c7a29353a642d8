// The server's connections.

import { at, bytes, exact, plural, put, span } from "./elements.js";
import { Table, bytes_title, figure, row_button, seconds_title } from "./parts.js";
import { Poll, act_after, act_button, ask, state } from "./server.js";

let connections_after = "";
let connections_before = [];
let connections_next = null;

const connections = new Table(
    at("connections-table"),
    [
        { label: "Id", kind: "number narrow", cell: (cell, line) => put(cell, String(line.id)) },
        { label: "Peer", kind: "name beside", cell: (cell, line) => put(cell, line.peer || "–", line.peer || "") },
        { label: "User", kind: "narrow", cell: (cell, line) => put(cell, line.user || "–", line.user || "") },
        { label: "Shard", kind: "number narrow", cell: (cell, line) => put(cell, String(line.shard)) },
        figure("Age", line => line.age_s, {}, span, seconds_title),
        figure("Idle", line => line.idle_s, {}, span, seconds_title),
        figure("Commands", line => line.commands),
        figure("Read", line => line.bytes_read, {}, bytes, bytes_title),
        figure("Written", line => line.bytes_written, {}, bytes, bytes_title),
        figure("Open", line => line.open),
        {
            label: "Waits",
            kind: "narrow",
            cell: (cell, line) => put(cell, line.waiting === true ? "yes" : line.waiting ? String(line.waiting) : "no"),
        },
        {
            label: "",
            kind: "button",
            cell: row_button(
                attributes => act_button(attributes, "Close…"),
                line => `Close connection ${line.id}`,
                close_connection,
            ),
        },
    ],
    { key: line => line.id, none: "There is no connection." },
);

function close_connection(line) {
    act_after({
        title: `Close connection ${line.id}`,
        verb: "Close it",
        danger: true,
        path: "/api/connection/close",
        text:
            `The client at ${line.peer || "an unknown address"} loses its connection. What that has open goes back ` +
            "to its place.",
        content: () => ({ id: line.id }),
        told: () => `Connection ${line.id} is closed.`,
    });
}

export const connections_poll = new Poll(async signal => {
    const found = await ask("/api/connections", { after: connections_after, limit: 100 }, signal);
    connections_next = found.next;
    connections.show(found.connections);
    put(
        at("connections-count"),
        state.server
            ? `${plural(state.server.connections, "connection")} of ${exact(state.server.connections_max)}`
            : "",
    );
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

/** From the first page on. */
export function show_connections() {
    connections_after = "";
    connections_before = [];
}
