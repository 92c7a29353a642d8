//! Plots as SVG, which a page carries in itself.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// The classes that give lines their colours.
const COLOURS: usize = 6;

/// Points that belong together.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Axis {
    Linear {
        max: f64,
    },
    /// From `min` to `max`, each ten times the last.
    Logarithmic {
        min: f64,
        max: f64,
    },
}

impl Axis {
    /// Where a value is: 0 at the axis' beginning, 1 at its end.
    fn place(self, value: f64) -> f64 {
        let place = match self {
            Axis::Linear { max } => value / max,
            Axis::Logarithmic { min, max } => (value.max(min) / min).log10() / (max / min).log10(),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The values that are marked.
    fn marks(self) -> Vec<f64> {
        match self {
            Axis::Linear { max } => {
                let step = round_step(max / 5.0);
                (0..=5).map(|mark| f64::from(mark) * step).take_while(|mark| *mark <= max * 1.001).collect()
            }
            Axis::Logarithmic { min, max } => std::iter::successors(Some(min), |mark| Some(mark * 10.0))
                .take_while(|mark| *mark <= max * 1.001)
                .collect(),
        }
    }

    /// From below the smallest to above the largest of these.
    fn logarithmic(values: impl Iterator<Item = f64>) -> Axis {
        let (mut min, mut max) = (f64::MAX, 0.0_f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            (min, max) = (min.min(value), max.max(value));
        }
        if max == 0.0 {
            return Axis::Logarithmic { min: 0.1, max: 1.0 };
        }
        let min = 10_f64.powf(min.log10().floor());
        Axis::Logarithmic { min, max: 10_f64.powf(max.log10().ceil()).max(min * 10.0) }
    }

    fn linear(values: impl Iterator<Item = f64>) -> Axis {
        let max = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Axis::Linear { max: if max > 0.0 { max * 1.05 } else { 1.0 } }
    }
}

/// The next of 1, 2, 5, 10, 20, 50 ...
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|round| *round >= step * 0.999).unwrap_or(step)
}

/// What happened second by second, or over any other count.
pub(super) fn over_time(title: &str, unit: &str, lines: &[Line], is_logarithmic: bool) -> String {
    course(title, unit, "seconds", lines, &Events::default(), is_logarithmic)
}

/// Moments that a plot over time marks.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What they are called, in the plural.
    pub(super) name: &'static str,
    pub(super) at: Vec<f64>,
    /// What the time goes on to at least.
    pub(super) until: f64,
}

/// The same over a time of any unit, with moments marked.
pub(super) fn course(
    title: &str,
    unit: &str,
    time: &str,
    lines: &[Line],
    events: &Events,
    is_logarithmic: bool,
) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let across = Axis::linear(all().map(|(x, _)| *x).chain(events.at.iter().copied()).chain([events.until]));
    let up = all().map(|(_, y)| *y);
    let up = if is_logarithmic { Axis::logarithmic(up) } else { Axis::linear(up) };
    let marks: Vec<(f64, String)> = across.marks().into_iter().map(|mark| (across.place(mark), figure(mark))).collect();
    let placed: Vec<Vec<(f64, f64)>> =
        lines.iter().map(|line| line.points.iter().map(|(x, y)| (across.place(*x), up.place(*y))).collect()).collect();
    let happened: Vec<f64> = events.at.iter().map(|at| across.place(*at)).collect();
    frame(title, unit, &Across { name: time, marks, events: (events.name, happened) }, up, lines, &placed)
}

/// Latencies by percentile, from points of percentile and latency. The axis gives each further nine the same room.
pub(super) fn percentiles(title: &str, unit: &str, lines: &[Line]) -> String {
    let nines = lines.iter().flat_map(|line| line.points.iter()).filter(|(percentile, _)| *percentile < 100.0);
    let rarest = nines.map(|(percentile, _)| tail(*percentile)).fold(10.0, f64::max);
    let across = Axis::Logarithmic { min: 1.0, max: 10_f64.powf((rarest * 1.3).log10().ceil()) };
    let up = Axis::logarithmic(lines.iter().flat_map(|line| line.points.iter()).map(|(_, y)| *y));
    let mut marks = vec![(0.0, String::from("0 %")), (across.place(2.0), String::from("50 %"))];
    for (mark, nine) in across.marks().into_iter().skip(1).zip(0..) {
        let name = match nine {
            0 => String::from("90 %"),
            1 => String::from("99 %"),
            more => format!("99.{} %", "9".repeat(more - 1)),
        };
        marks.push((across.place(mark), name));
    }
    let place = |(percentile, y): &(f64, f64)| (across.place(tail(*percentile)), up.place(*y));
    let placed: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| line.points.iter().map(place).collect()).collect();
    frame(title, unit, &Across { name: "percentile", marks, events: ("", Vec::new()) }, up, lines, &placed)
}

/// One in how many is slower.
fn tail(percentile: f64) -> f64 {
    100.0 / (100.0 - percentile)
}

/// The axis across, placed from 0 to 1.
#[derive(Debug)]
struct Across<'a> {
    name: &'a str,
    marks: Vec<(f64, String)>,
    /// What is marked besides, and where.
    events: (&'a str, Vec<f64>),
}

/// Axes with marks, and lines whose points are placed from 0 to 1.
fn frame(title: &str, unit: &str, across: &Across<'_>, up: Axis, lines: &[Line], placed: &[Vec<(f64, f64)>]) -> String {
    let x = |place: f64| LEFT + place * (WIDTH - LEFT - RIGHT);
    let y = |place: f64| HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM);
    let mut out = format!(
        "<figure><figcaption>{}<span class=\"unit\">{}</span>{}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title),
        escape(unit),
        legend(lines, across),
        escape(title)
    );
    // Writing to a String does not fail.
    for mark in up.marks() {
        let (at, name) = (y(up.place(mark)), figure(mark));
        let _ = write!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let _ = writeln!(out, "<text class=\"up\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>", LEFT - 6.0, at + 4.0);
    }
    for (place, name) in &across.marks {
        let at = x(*place);
        let _ = write!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
        let _ = writeln!(out, "<text class=\"across\" x=\"{at:.1}\" y=\"{:.1}\">{name}</text>", HEIGHT - BOTTOM + 16.0);
    }
    let _ =
        writeln!(out, "<text class=\"across\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", x(0.5), HEIGHT - 8.0, across.name);
    for at in across.events.1.iter().map(|place| x(*place)) {
        let _ = writeln!(out, "<path class=\"event\" d=\"M{at:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
    }
    for (number, points) in placed.iter().enumerate() {
        let path: Vec<String> = points.iter().map(|(px, py)| format!("{:.1} {:.1}", x(*px), y(*py))).collect();
        match path.as_slice() {
            [] => {}
            [_] => {
                let (px, py) = points[0];
                let class = number % COLOURS;
                let _ = writeln!(out, "<circle class=\"c{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(px), y(py));
            }
            _ => _ = writeln!(out, "<path class=\"line c{}\" d=\"M{}\"/>", number % COLOURS, path.join("L")),
        }
    }
    out + "</svg></figure>\n"
}

fn legend(lines: &[Line], across: &Across<'_>) -> String {
    let name = |(number, line): (usize, &Line)| {
        format!("<span class=\"key c{}\"></span>{}", number % COLOURS, escape(&line.name))
    };
    let events = format!("<span class=\"key event\"></span>{}", escape(across.events.0));
    lines.iter().enumerate().map(name).chain((!across.events.1.is_empty()).then_some(events)).collect()
}

/// One bar for each name, as long as its value.
pub(super) fn bars(title: &str, unit: &str, values: &[(String, f64)]) -> String {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 190.0;
    const FIGURES: f64 = 90.0;
    let max = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let height = ROW * values.len() as f64 + 8.0;
    let mut out = format!(
        "<figure><figcaption>{}<span class=\"unit\">{}</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title),
        escape(unit),
        escape(title)
    );
    for (number, (name, value)) in values.iter().enumerate() {
        let top = 4.0 + ROW * number as f64;
        let length = if max > 0.0 { value / max * (WIDTH - NAMES - FIGURES) } else { 0.0 };
        let base = top + 15.0;
        let _ = write!(out, "<text class=\"up\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>", NAMES - 8.0, escape(name));
        let class = number % COLOURS;
        let _ =
            write!(out, "<rect class=\"c{class}\" x=\"{NAMES}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"18\"/>");
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{base:.1}\">{}</text>", NAMES + length + 6.0, figure(*value));
    }
    out + "</svg></figure>\n"
}

/// A number that is short enough for an axis.
pub(super) fn figure(value: f64) -> String {
    let (value, unit) = match value.abs() {
        large if large >= 999_500.0 => (value / 1e6, "M"),
        large if large >= 9_999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let places = match value.abs() {
        0.0 => 0,
        small if small < 0.01 => 4,
        small if small < 0.995 => 2,
        middle if middle < 99.5 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// Text that means nothing to a browser but itself.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other if other.is_control() && other != '\n' && other != '\t' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_text() {
        assert_eq!(escape("<a href=\"x\">&'\0"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}");
        let bad = "</svg><script>";
        let line = Line { name: String::from(bad), points: vec![(0.0, 1.0), (1.0, 2.0)] };
        for plot in [over_time(bad, bad, &[line], false), bars(bad, bad, &[(String::from(bad), 1.0)])] {
            assert!(!plot.contains("<script>") && plot.matches("</svg>").count() == 1, "{plot}");
        }
    }

    #[test]
    fn percentiles_have_as_much_room_for_each_nine() {
        let across = Axis::Logarithmic { min: 1.0, max: 1000.0 };
        let places = [0.0, 90.0, 99.0, 99.9].map(|percentile| across.place(tail(percentile)));
        for (place, wanted) in places.into_iter().zip([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]) {
            assert!((place - wanted).abs() < 1e-6, "{place} {wanted}");
        }
        assert_eq!(across.place(tail(100.0)), 1.0);
    }

    #[test]
    fn plots_survive_what_makes_no_sense() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, f64::NAN), (f64::INFINITY, 1.0)], vec![(100.0, 5.0)]] {
            let lines = [Line { name: String::from("x"), points }];
            for plot in
                [over_time("t", "u", &lines, false), over_time("t", "u", &lines, true), percentiles("t", "u", &lines)]
            {
                assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
            }
        }
    }

    #[test]
    fn what_happened_is_marked_in_its_place() {
        let line = Line { name: String::from("x"), points: vec![(0.0, 1.0), (10.0, 2.0)] };
        let events = Events { name: "<kills>", at: vec![5.0, 20.0], until: 15.0 };
        let plot = course("t", "u", "ms", &[line], &events, false);
        // The axis goes on to what happened last, and a bit further.
        let last = LEFT + (WIDTH - LEFT - RIGHT) / 1.05;
        assert!(plot.contains(&format!("<path class=\"event\" d=\"M{last:.1} {TOP}V")), "{plot}");
        assert_eq!((plot.matches("class=\"event\"").count(), plot.matches("key event").count()), (2, 1));
        assert!(plot.contains("&lt;kills&gt;") && plot.contains(">ms</text>"), "{plot}");
        assert!(!over_time("t", "u", &[], false).contains("event"));
    }

    #[test]
    fn figures_are_short() {
        let figures = [0.0, 0.0012, 0.25, 1.0, 12.34, 250.0, 9999.0, 12_345.0, 600_000.0, 1_250_000.0].map(figure);
        assert_eq!(figures, ["0", "0.0012", "0.25", "1", "12.3", "250", "9999", "12.3k", "600k", "1.2M"]);
        assert_eq!(Axis::Linear { max: 10.5 }.marks(), [0.0, 5.0, 10.0]);
        assert_eq!(Axis::logarithmic([0.3, 20.0].into_iter()), Axis::Logarithmic { min: 0.1, max: 100.0 });
    }
}
