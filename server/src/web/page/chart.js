// Lines over time, as SVG of our own.

import { count, draw, exact, make, put, rate, scaled } from "./elements.js";

const tick = value => scaled(value, ["", "k", "M", "G", "T"]).replace(/\.0+(?=\D|$)|(\.\d*[1-9])0+(?=\D|$)/, "$1");
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
export class Chart {
    constructor(place, { title, unit, series, format = rate }) {
        Object.assign(this, { title, unit, series, format, points: [], chosen: null });
        this.when = make("span", { class: "chart-when" });
        this.values = series.map(() => make("b", {}, "–"));
        const legend = series.map((name, index) =>
            make(
                "li",
                {},
                draw(
                    "svg",
                    { viewBox: "0 0 26 8", "aria-hidden": "true" },
                    draw("line", { class: `series series-${index}`, x1: "0", x2: "26", y1: "4", y2: "4" }),
                ),
                name,
                this.values[index],
            ),
        );
        this.plot = draw("svg", {
            class: "plot",
            tabindex: "0",
            role: "slider",
            "aria-label": `${title}, by arrow keys`,
            "aria-valuemin": "0",
            pointermove: event => this.point(event),
            pointerdown: event => this.point(event),
            // A finger that is lifted leaves the value to be read.
            pointerleave: event => event.pointerType !== "touch" && this.choose(null),
            keydown: event => this.step(event),
            blur: () => this.choose(null),
        });
        this.summary = make("figcaption", { class: "unseen" });
        place.append(
            make(
                "div",
                { class: "chart-head" },
                make("span", { class: "chart-title" }, `${title}, ${unit}`),
                this.when,
            ),
            make("ul", { class: "legend" }, ...legend),
            this.plot,
            this.summary,
        );
        new ResizeObserver(() => this.redraw()).observe(this.plot);
    }

    /** `points` have a value for each series; `labels` are [index, text] of the x axis; `when` names a point's time. */
    show(points, labels, when, size = points.length) {
        Object.assign(this, { points, labels, when_of: when, size });
        this.redraw();
        const parts = this.series.map((name, index) => {
            const values = points.map(point => point[index]);
            return values.length
                ? `${name}: ${this.format(values.at(-1))} at the end, ` +
                      `between ${this.format(Math.min(...values))} and ${this.format(Math.max(...values))}`
                : `${name}: nothing yet`;
        });
        put(this.summary, `${this.title}, ${this.unit}. ${parts.join(". ")}.`);
    }

    x(index) {
        const room = this.width - PLOT.left - PLOT.right;
        return PLOT.left + (room * (index + this.size - this.points.length)) / Math.max(1, this.size - 1);
    }

    y(value) {
        return PLOT.height - PLOT.bottom - ((PLOT.height - PLOT.top - PLOT.bottom) * value) / this.top;
    }

    redraw() {
        this.width = this.plot.clientWidth;
        if (!this.width || !this.labels) return;
        const highest = Math.max(4, ...this.points.flat());
        const step = round_up(highest / 4);
        const lines = Math.ceil(highest / step);
        this.top = step * lines;
        const parts = [];
        for (let line = 0; line <= lines; line += 1) {
            const value = step * line;
            const y = this.y(value);
            parts.push(
                draw("line", {
                    class: line ? "grid" : "base",
                    x1: PLOT.left,
                    x2: this.width - PLOT.right,
                    y1: y,
                    y2: y,
                }),
            );
            parts.push(draw("text", { x: PLOT.left - 6, y: y + 4, "text-anchor": "end" }, tick(value)));
        }
        // A narrow plot has every second one.
        const labels =
            this.width < 420
                ? this.labels.filter((_, index) => index % 2 === (this.labels.length - 1) % 2)
                : this.labels;
        for (const [index, text] of labels) {
            const x = PLOT.left + ((this.width - PLOT.left - PLOT.right) * index) / Math.max(1, this.size - 1);
            const anchor = index === 0 ? "start" : index >= this.size - 1 ? "end" : "middle";
            parts.push(draw("text", { x, y: PLOT.height - 5, "text-anchor": anchor }, text));
        }
        this.series.forEach((_, series) => {
            const line = this.points.map(
                (point, index) => `${this.x(index).toFixed(1)},${this.y(point[series]).toFixed(1)}`,
            );
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
        const texts = this.series.map((name, series) => (point ? this.format(point[series]) : "–"));
        texts.forEach((text, series) => put(this.values[series], text, point ? exact(point[series]) : ""));
        const when = point ? this.when_of(index, this.chosen === null) : "";
        put(this.when, when);
        this.plot.setAttribute("aria-valuemax", String(Math.max(0, last)));
        this.plot.setAttribute("aria-valuenow", String(Math.max(0, index)));
        this.plot.setAttribute(
            "aria-valuetext",
            `${when}: ${this.series.map((name, series) => `${name} ${texts[series]}`).join(", ")}`,
        );
        this.marks.replaceChildren();
        if (this.chosen === null || !point) return;
        const x = this.x(index);
        this.marks.append(draw("line", { class: "cursor", x1: x, x2: x, y1: PLOT.top, y2: PLOT.height - PLOT.bottom }));
        point.forEach((value, series) =>
            this.marks.append(draw("circle", { class: `dot dot-${series}`, cx: x, cy: this.y(value), r: 4 })),
        );
    }

    point(event) {
        const room = this.width - PLOT.left - PLOT.right;
        const share = (event.clientX - this.plot.getBoundingClientRect().left - PLOT.left) / room;
        const back = Math.round((1 - share) * (this.size - 1));
        this.choose(Math.min(Math.max(0, back), Math.max(0, this.points.length - 1)));
    }

    step(event) {
        const steps = {
            ArrowLeft: 1,
            ArrowDown: 1,
            ArrowRight: -1,
            ArrowUp: -1,
            PageUp: -15,
            PageDown: 15,
            Home: Infinity,
            End: -Infinity,
        };
        if (event.key === "Escape") this.choose(null);
        if (!(event.key in steps)) return;
        event.preventDefault();
        this.choose(Math.min(Math.max(0, (this.chosen || 0) + steps[event.key]), Math.max(0, this.points.length - 1)));
    }
}
