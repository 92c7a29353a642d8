// Elements of the page, and numbers as people read them. What comes from the server goes into the document as text
// alone: children are nodes or text, and nothing here or elsewhere reads HTML.

export const at = id => document.getElementById(id);

export function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name, value);
        else if (typeof value === "boolean") element.toggleAttribute(name, value);
        else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/** An element of HTML. An attribute that is a function listens to the event of that name. */
export function make(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function draw(name, attributes = {}, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** Text and title of an element, touched only where they differ, so that a refresh disturbs no selection. */
export function put(element, text, title = "") {
    if (element.textContent !== text) element.textContent = text;
    if (element.title !== title) element.title = title;
}

export const SPACE = "\u00a0";
const GROUPED = new Intl.NumberFormat("en");
export const exact = number => GROUPED.format(number);

/** Three digits and a unit: 1.20 M. */
export function scaled(value, units) {
    let unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    const digits = unit === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return value.toFixed(digits) + (units[unit] && SPACE + units[unit]);
}

export const count = number => (number < 10_000 ? exact(number) : scaled(number, ["", "k", "M", "G", "T"]));
export const bytes = number => scaled(number, ["B", "kB", "MB", "GB", "TB", "PB"]);
export const rate = number => (number >= 0.05 && number < 99.95 ? number.toFixed(1) : count(Math.round(number)));

export function duration(seconds) {
    if (seconds < 60) return Math.floor(seconds) + SPACE + "s";
    const steps = [
        [86_400, "d"],
        [3_600, "h"],
        [60, "min"],
        [1, "s"],
    ];
    const first = steps.findIndex(([length]) => seconds >= length);
    const [length, unit] = steps[first];
    const [lower_length, lower_unit] = steps[first + 1];
    const whole = Math.floor(seconds / length);
    const rest = Math.floor((seconds % length) / lower_length);
    return whole + SPACE + unit + (rest && whole < 10 ? SPACE + rest + SPACE + lower_unit : "");
}

/** One unit, for a column: 2.8 h. */
export function span(seconds) {
    const [length, unit] = [
        [86_400, "d"],
        [3_600, "h"],
        [60, "min"],
        [1, "s"],
    ].find(([length]) => seconds >= length) || [1, "s"];
    const value = seconds / length;
    return (unit === "s" || value >= 9.95 ? Math.floor(value) : value.toFixed(1)) + SPACE + unit;
}

export function microseconds(number) {
    if (number < 1_000) return Math.round(number) + SPACE + "µs";
    const milliseconds = number / 1_000;
    return milliseconds < 1_000
        ? milliseconds.toFixed(milliseconds < 10 ? 1 : 0) + SPACE + "ms"
        : duration(milliseconds / 1_000);
}

export const clock = (date = new Date()) => date.toLocaleTimeString("en-GB");
export const plural = (number, noun) => `${exact(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A queue's id as people read it. An id whose bytes are no UTF-8 is shown as it is. */
export function name_of(id) {
    try {
        return decodeURIComponent(id);
    } catch {
        return id;
    }
}
