// Parts that a refresh fills in place: tiles, tables. The focus, the pointer and what is being read are not disturbed.

import { count, draw, exact, fill, make, put } from "./elements.js";

/** Figures with their names, made once and then only filled. */
export class Tiles {
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
            tile.meter = draw(
                "svg",
                { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
                tile.rect,
            );
            tile.place.append(tile.meter);
        }
        tile.rect.setAttribute("width", String(Math.min(100, Math.max(0, share * 100)) || 0));
        tile.meter.classList.toggle("high", share > high);
    }
}

/**
 * Rows that keep their elements from one refresh to the next, by `key`. Columns are {label, kind, sort, cell}: `cell`
 * fills a td from a line, which a row has as its `line`.
 */
export class Table {
    constructor(table, columns, { key, none, sort = null }) {
        Object.assign(this, { table, columns, key, none, rows: new Map() });
        fill(table, { role: "table", tabindex: "-1" }, []);
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
        this.keep_focus(this.body);
        this.rows.clear();
        this.body.replaceChildren(
            make(
                "tr",
                { role: "row" },
                make("td", { class: "none", role: "cell", colspan: String(this.columns.length) }, text),
            ),
        );
    }

    /**
     * With `hold`, no row moves while the pointer is over them: a click meets what was aimed at. Returns whether it is so.
     */
    show(lines, hold = false) {
        if (lines.length === 0) {
            this.show_none(this.none);
            return false;
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
                for (const { label, kind = "" } of this.columns)
                    row.append(make("td", { class: kind, role: "cell", "data-label": label }));
                this.rows.set(key, row);
            }
            row.line = line;
            this.columns.forEach(({ cell }, index) => cell(row.children[index], line));
            wanted.push(row);
        }
        if (held) return true;
        for (const [key, row] of this.rows) {
            if (keys.has(key)) continue;
            this.keep_focus(row);
            row.remove();
            this.rows.delete(key);
        }
        this.arrange(wanted);
        return false;
    }

    /** The row that has the focus stays where it is in the document, since a move would take the focus away. */
    arrange(wanted) {
        if (wanted.every((row, index) => this.body.children[index] === row)) return;
        const focused = wanted.findIndex(row => row.contains(document.activeElement));
        wanted.slice(0, Math.max(focused, 0)).forEach(row => this.body.insertBefore(row, wanted[focused]));
        wanted.slice(focused + 1).forEach(row => this.body.append(row));
    }

    /** The focus of a row that goes stays with its table. */
    keep_focus(row) {
        if (row.contains(document.activeElement)) this.table.focus();
    }
}

export const cell_of =
    (read, show = count, title = exact) =>
    (cell, line) => {
        const value = read(line);
        const known = value !== null && value !== undefined;
        put(cell, known ? show(value) : "–", known ? title(value) : "");
        cell.classList.toggle("zero", !value);
    };
/** A button in each row, which is told the row's line. */
export const row_button = (button, name, act) => (cell, line) => {
    if (cell.firstChild) return;
    cell.append(button({ "aria-label": name(line), click: () => act(cell.parentElement.line) }));
};
export const figure = (label, read, more = {}, show = count, title = exact) => ({
    label,
    kind: "number narrow",
    cell: cell_of(read, show, title),
    ...more,
});
export const seconds_title = value => `${exact(Math.floor(value))} s`;
export const bytes_title = value => `${exact(value)} bytes`;
export const rate_title = value => `${value} a second`;
