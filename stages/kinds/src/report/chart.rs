//! Geometry of the report's charts: from numbers to places. Text, colours and markup are the template's business, so
//! that everything with a name in it passes through its escaping.

use serde::Serialize;

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tick {
    pub(crate) x: f64,
    pub(crate) label: String,
    pub(crate) zero: bool,
}

/// A tick whose text is anchored by a class (`""`, `mid`, `end`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Anchored {
    pub(crate) at: f64,
    pub(crate) label: String,
    pub(crate) anchor: &'static str,
}

/// One value with its interval, to be drawn as a dot with whiskers.
#[derive(Clone, Debug)]
pub(crate) struct Dot {
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) colour: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A dot plot, laid out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DotPlot {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) groups: Vec<DotGroup>,
}

/// The rows of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DotGroup {
    pub(crate) label: String,
    pub(crate) y: f64,
    pub(crate) rows: Vec<DotRow>,
}

/// One row of a dot plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DotRow {
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) colour: String,
    pub(crate) x: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) y: f64,
}

/// How wide a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Across the page.
    Page,
    /// One of several beside each other.
    Small,
}

/// Lays out dots in groups over the range `low..high` of fractions; ticks are in per cent.
pub(crate) fn dot_plot(
    groups: Vec<(String, Vec<Dot>)>,
    (low, high): (f64, f64),
    width: Width,
) -> DotPlot {
    const ROW: f64 = 25.0;
    let (total, left, right) = match width {
        Width::Page => (960.0, 170.0, 750.0),
        Width::Small => (420.0, 96.0, 268.0),
    };
    let span = if high > low { high - low } else { 1.0 };
    let place = |value: f64| round1(left + (value.clamp(low, high) - low) / span * (right - left));
    let mut y = 4.0;
    let mut laid = Vec::with_capacity(groups.len());
    for (label, dots) in groups {
        let head = y + 14.0;
        if !label.is_empty() {
            y += ROW;
        }
        let mut rows = Vec::with_capacity(dots.len());
        for dot in dots {
            rows.push(DotRow {
                x: place(dot.value),
                low: place(dot.low),
                high: place(dot.high),
                y: y + ROW / 2.0,
                label: dot.label,
                text: dot.text,
                colour: dot.colour,
            });
            y += ROW;
        }
        y += 6.0;
        laid.push(DotGroup {
            label,
            y: head,
            rows,
        });
    }
    let count = if width == Width::Page { 5 } else { 3 };
    let ticks = nice_ticks(low, high, count)
        .into_iter()
        .map(|at| Tick {
            x: place(at),
            label: format!("{} %", number(at * 100.0)),
            zero: at.abs() < 1e-12,
        })
        .collect();
    DotPlot {
        width: total,
        height: y + 22.0,
        top: 4.0,
        bottom: y,
        ticks,
        groups: laid,
    }
}

/// A curve over steps, laid out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Curve {
    pub(crate) stage: String,
    pub(crate) metric: String,
    pub(crate) colour: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) x_ticks: Vec<Anchored>,
    pub(crate) y_ticks: Vec<Anchored>,
    pub(crate) line: String,
    pub(crate) band: String,
    pub(crate) steps: u64,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) lowest: String,
}

/// Neighbouring points together: mean of x and y, least and greatest y.
struct Bucket {
    x: f64,
    y: f64,
    low: f64,
    high: f64,
}

/// Lays out `points` (step, value), sorted by step here; points that are not finite are left out. `None` when fewer
/// than two remain, since no line goes through them.
pub(crate) fn curve(
    stage: &str,
    metric: &str,
    colour: &str,
    points: &[(f64, f64)],
) -> Option<Curve> {
    const BUCKETS: usize = 120;
    let mut points: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (*points.first()?, *points.last()?);
    if points.len() < 2 || first.0 >= last.0 {
        return None;
    }
    let buckets: Vec<Bucket> = points
        .chunks(points.len().div_ceil(BUCKETS))
        .map(|part| Bucket {
            x: part.iter().map(|p| p.0).sum::<f64>() / part.len() as f64,
            y: part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64,
            low: part.iter().map(|p| p.1).fold(f64::INFINITY, f64::min),
            high: part.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        })
        .collect();
    let lowest = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let highest = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    // a quantity that never falls below zero is seen from zero, so that its fall is not exaggerated
    let floor = if lowest >= 0.0 { 0.0 } else { lowest };
    let ticks = nice_ticks(
        floor,
        if highest > floor {
            highest
        } else {
            floor + 1.0
        },
        4,
    );
    let top_value = ticks.last().copied().unwrap_or(highest).max(highest);
    let (width, height, left, right, top, bottom) = (420.0, 190.0, 52.0, 412.0, 8.0, 166.0);
    let x = |value: f64| round1(left + (value - first.0) / (last.0 - first.0) * (right - left));
    let y = |value: f64| round1(bottom - (value - floor) / (top_value - floor) * (bottom - top));
    let line = path(buckets.iter().map(|b| (x(b.x), y(b.y))));
    let over = buckets.iter().map(|b| (x(b.x), y(b.high)));
    let under = buckets.iter().rev().map(|b| (x(b.x), y(b.low)));
    Some(Curve {
        stage: stage.to_owned(),
        metric: metric.to_owned(),
        colour: colour.to_owned(),
        width,
        height,
        left,
        right,
        x_ticks: vec![
            Anchored {
                at: left,
                label: number(first.0),
                anchor: "",
            },
            Anchored {
                at: right,
                label: format!("step {}", number(last.0)),
                anchor: "end",
            },
        ],
        y_ticks: ticks
            .iter()
            .map(|t| Anchored {
                at: y(*t),
                label: number(*t),
                anchor: "end",
            })
            .collect(),
        line,
        band: format!("{}Z", path(over.chain(under))),
        steps: points.len() as u64,
        first: number(first.1),
        last: number(last.1),
        lowest: number(lowest),
    })
}

/// One distribution of a length plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LengthPart {
    pub(crate) label: String,
    pub(crate) colour: String,
    pub(crate) rows: u64,
    pub(crate) median: u64,
    pub(crate) p95: u64,
    pub(crate) truncated: u64,
    pub(crate) path: String,
}

/// Distributions of lengths over one axis, laid out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LengthPlot {
    pub(crate) stage: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    pub(crate) ticks: Vec<Anchored>,
    pub(crate) parts: Vec<LengthPart>,
}

/// The lengths of some rows, and how many of those rows were cut off by the limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths {
    pub(crate) tokens: Vec<u32>,
    pub(crate) truncated: u64,
}

/// Lays out distributions as steps over thirty bins; the last bin holds all that is longer than the 99.5th percentile.
pub(crate) fn length_plot(
    stage: &str,
    parts: Vec<(String, String, Lengths)>,
) -> Option<LengthPlot> {
    const BINS: usize = 30;
    let mut parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, _, lengths)| !lengths.tokens.is_empty())
        .collect();
    for (_, _, lengths) in &mut parts {
        lengths.tokens.sort_unstable();
    }
    let at = |tokens: &[u32], q: f64| {
        let place = (q * (tokens.len() - 1) as f64).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place within the slice"
        )]
        tokens[place as usize]
    };
    let end = parts
        .iter()
        .map(|(_, _, lengths)| at(&lengths.tokens, 0.995))
        .max()?
        .max(1);
    let (width, height, left, right, top, bottom) = (420.0, 170.0, 4.0, 416.0, 10.0, 146.0);
    let shares: Vec<Vec<f64>> = parts
        .iter()
        .map(|(_, _, lengths)| {
            let mut bins = vec![0.0; BINS];
            for tokens in &lengths.tokens {
                let bin = (*tokens as usize * BINS / (end as usize + 1)).min(BINS - 1);
                bins[bin] += 1.0 / lengths.tokens.len() as f64;
            }
            bins
        })
        .collect();
    let tallest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let laid = parts
        .iter()
        .zip(&shares)
        .map(|((label, colour, lengths), bins)| {
            let x = |bin: usize| round1(left + bin as f64 / BINS as f64 * (right - left));
            let mut points = vec![(left, bottom)];
            for (bin, share) in bins.iter().enumerate() {
                let y = round1(bottom - share / tallest * (bottom - top));
                points.extend([(x(bin), y), (x(bin + 1), y)]);
            }
            points.push((right, bottom));
            LengthPart {
                label: label.clone(),
                colour: colour.clone(),
                rows: lengths.tokens.len() as u64,
                median: u64::from(at(&lengths.tokens, 0.5)),
                p95: u64::from(at(&lengths.tokens, 0.95)),
                truncated: lengths.truncated,
                path: format!("{}Z", path(points.into_iter())),
            }
        })
        .collect();
    let end = f64::from(end);
    let ticks = vec![
        Anchored {
            at: left,
            label: "0".into(),
            anchor: "",
        },
        Anchored {
            at: (left + right) / 2.0,
            label: number((end / 2.0).round()),
            anchor: "mid",
        },
        Anchored {
            at: right,
            label: format!("{} tokens", number(end)),
            anchor: "end",
        },
    ];
    Some(LengthPlot {
        stage: stage.to_owned(),
        width,
        height,
        left,
        right,
        bottom,
        ticks,
        parts: laid,
    })
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    for (i, (x, y)) in points.enumerate() {
        text.push_str(&format!("{}{x} {y}", if i == 0 { "M" } else { "L" }));
    }
    text
}

/// Round values across `low..=high`, about `count` of them, at steps of 1, 2, 2.5 or 5 times a power of ten.
fn nice_ticks(low: f64, high: f64, count: u32) -> Vec<f64> {
    let raw = (high - low) / f64::from(count.max(1));
    if !raw.is_finite() || raw <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(raw);
    let mut ticks = Vec::new();
    let mut at = (low / step - 1e-9).ceil() * step;
    while at <= high + step * 1e-9 {
        ticks.push(if at.abs() < step * 1e-9 { 0.0 } else { at });
        at += step;
    }
    ticks
}

fn round1(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A number as a person writes it: few digits, thousands apart, small ones in powers of ten.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 && value.fract() == 0.0 {
        return grouped_text(&format!("{size:.0}"), value < 0.0);
    }
    let text = match size {
        0.0 => return "0".into(),
        s if s < 0.001 => return format!("{value:.1e}"),
        s if s < 1.0 => format!("{value:.3}"),
        s if s < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Digits with a comma before every third one from the end.
pub(crate) fn grouped_text(digits: &str, negative: bool) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    if negative {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(
            nice_ticks(0.0, 1.0, 5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(nice_ticks(-1.0, 1.0, 4), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(nice_ticks(3.0, 3.0, 4), [3.0]);
        assert_eq!(nice_ticks(0.0, f64::NAN, 4), [0.0]);
    }

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (1e-5, "1.0e-5"),
            (12_345.0, "12,345"),
            (0.25, "0.25"),
            (100.0, "100"),
            (-3.0, "-3"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(grouped_text("1234567", true), "-1,234,567");
    }

    #[test]
    fn a_curve_needs_two_finite_points() {
        assert!(curve("s", "loss", "c1", &[(1.0, 2.0)]).is_none());
        assert!(curve("s", "loss", "c1", &[(1.0, 2.0), (2.0, f64::NAN)]).is_none());
        let curve = curve("s", "loss", "c1", &[(2.0, 1.0), (1.0, 3.0)]).unwrap();
        assert_eq!(
            (
                curve.first.as_str(),
                curve.last.as_str(),
                curve.lowest.as_str()
            ),
            ("3", "1", "1")
        );
        assert!(curve.line.starts_with("M52 "), "{}", curve.line);
    }

    #[test]
    fn a_thousand_points_become_at_most_120() {
        let points: Vec<(f64, f64)> = (0..1000)
            .map(|i| (f64::from(i), 5.0 - f64::from(i) / 250.0))
            .collect();
        let curve = curve("s", "loss", "c1", &points).unwrap();
        assert!(curve.line.matches('L').count() < 120);
        assert_eq!(curve.steps, 1000);
    }

    #[test]
    fn dots_stand_where_their_values_are() {
        let dot = |value: f64| Dot {
            label: "m".into(),
            text: String::new(),
            colour: "c1".into(),
            value,
            low: 0.0,
            high: 1.0,
        };
        let plot = dot_plot(
            vec![(String::new(), vec![dot(0.0), dot(0.5), dot(1.0)])],
            (0.0, 1.0),
            Width::Page,
        );
        let xs: Vec<f64> = plot.groups[0].rows.iter().map(|row| row.x).collect();
        assert_eq!(xs, [170.0, 460.0, 750.0]);
        assert_eq!(
            (plot.groups[0].rows[1].low, plot.groups[0].rows[1].high),
            (170.0, 750.0)
        );
    }

    #[test]
    fn lengths_of_different_counts_have_the_same_area() {
        let lengths = |n: u32| Lengths {
            tokens: (0..n).map(|i| i % 100).collect(),
            truncated: 0,
        };
        let plot = length_plot(
            "s",
            vec![
                ("a".into(), "c1".into(), lengths(100)),
                ("b".into(), "c2".into(), lengths(1000)),
            ],
        )
        .unwrap();
        assert_eq!(plot.parts[0].path, plot.parts[1].path);
        assert_eq!((plot.parts[0].median, plot.parts[1].rows), (50, 1000));
        assert!(length_plot("s", vec![("a".into(), "c1".into(), Lengths::default())]).is_none());
    }
}
