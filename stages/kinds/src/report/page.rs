//! The page as a value, and how it becomes one file of HTML.
//!
//! A [`Page`] holds only what its inputs gave: a part that no input feeds is empty and left out. Rendering is pure, the
//! same page gives the same bytes. All text passes through the template's escaping; the two JSON blocks are written so
//! that no text in them can end their element.

use base64::Engine as _;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::chart::{Curve, DotPlot, LengthPlot, grouped_text};

const TEMPLATE: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// Where the page keeps what is known only after it was made.
const RUN_SLOT: &str = "<script type=\"application/json\" id=\"dag-run\">";
const SLOT_END: &str = "</script>";

/// All that the page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) lead: String,
    pub(crate) headline: Vec<Card>,
    pub(crate) scores: Option<Scores>,
    pub(crate) families: Option<Families>,
    pub(crate) differences: Option<Differences>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) funnel: Option<Funnel>,
    pub(crate) verdicts: Option<Verdicts>,
    pub(crate) lengths: Vec<LengthPlot>,
    pub(crate) traces: Traces,
    pub(crate) inputs: Vec<Input>,
    pub(crate) notes: Vec<String>,
}

/// One number of the headline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    pub(crate) detail: String,
    pub(crate) colour: String,
}

/// A row of an eval's `scores` table. Rates are fractions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ScoreRow {
    pub(crate) model: String,
    pub(crate) benchmark: String,
    pub(crate) family: String,
    pub(crate) problems: i64,
    pub(crate) samples: i64,
    pub(crate) k: i64,
    pub(crate) rate: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) majority: Option<f64>,
    pub(crate) mean_tokens: Option<f64>,
    pub(crate) truncated: Option<f64>,
    pub(crate) base: Option<String>,
    pub(crate) difference: Option<f64>,
    pub(crate) difference_low: Option<f64>,
    pub(crate) difference_high: Option<f64>,
    pub(crate) p: Option<f64>,
    pub(crate) clear: bool,
}

/// Scores over whole benchmarks.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scores {
    pub(crate) plot: DotPlot,
    pub(crate) rows: Vec<ScoreRow>,
}

/// Scores by family.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Families {
    pub(crate) plots: Vec<FamilyPlot>,
    pub(crate) rows: Vec<ScoreRow>,
}

/// The scores of one family.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FamilyPlot {
    pub(crate) label: String,
    pub(crate) plot: DotPlot,
}

/// Paired differences to the base.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Differences {
    pub(crate) base: String,
    pub(crate) plot: DotPlot,
    pub(crate) rows: Vec<ScoreRow>,
}

/// How many rows each step of the recipe left.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Funnel {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) span: f64,
    pub(crate) bars: Vec<FunnelBar>,
    pub(crate) families: Vec<FunnelFamily>,
}

/// One step of the funnel.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FunnelBar {
    pub(crate) label: String,
    pub(crate) stage: String,
    pub(crate) rows: u64,
    pub(crate) y: f64,
    pub(crate) length: f64,
}

/// The rows of one family at every step; `None` where the step knows no such family.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FunnelFamily {
    pub(crate) family: String,
    pub(crate) cells: Vec<Option<u64>>,
}

/// Rows by verdict.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdicts {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<VerdictRow>,
}

/// The verdicts of one stage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VerdictRow {
    pub(crate) stage: String,
    pub(crate) cells: Vec<u64>,
    pub(crate) passed: f64,
}

/// The traces on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Traces {
    pub(crate) shown: Vec<Trace>,
    pub(crate) told: String,
}

/// One answer of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trace {
    pub(crate) stage: String,
    pub(crate) family: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) id: String,
    pub(crate) replicate: Option<i64>,
    pub(crate) prompt: String,
    pub(crate) thought: Option<String>,
    pub(crate) response: String,
    pub(crate) gold: Option<String>,
    pub(crate) extracted: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) tokens: Option<i64>,
    pub(crate) finish: Option<String>,
    pub(crate) cut: bool,
}

/// One input of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Input {
    pub(crate) stage: String,
    pub(crate) output: String,
    pub(crate) artifact: &'static str,
    pub(crate) rows: Option<u64>,
    pub(crate) size: u64,
    pub(crate) content: String,
    pub(crate) role: &'static str,
}

/// Renders the page as one file that loads nothing.
pub(crate) fn render(page: &Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("percent", |value: Option<f64>| {
        value.map(percent).unwrap_or_default()
    });
    environment.add_filter("signed", |value: Option<f64>| {
        value.map(signed).unwrap_or_default()
    });
    environment.add_filter("rounded", |value: Option<f64>| {
        value.map(|v| format!("{v:.0}")).unwrap_or_default()
    });
    environment.add_filter("grouped", |value: i64| grouped(value));
    environment.add_filter("bytes", bytes);
    environment.add_filter("chance", |value: Option<f64>| {
        value.map(chance).unwrap_or_default()
    });
    environment.add_template("page.html", TEMPLATE)?;
    environment.get_template("page.html")?.render(minijinja::context! {
        page => minijinja::value::Serde(page),
        css => CSS,
        js => JS,
        script_hash => script_hash(JS),
        traces_json => script_json(&serde_json::to_value(&page.traces.shown).unwrap_or_default()),
    })
}

/// Puts what ran into a page made by the `report` kind, so that it shows the graph with states, times and digests. Done
/// again, it replaces what was put in before. A page without the slot comes back as it was.
///
/// `run` is an object; every field but `stages` may be missing:
///
/// ```json
/// { "pipeline": "quickstart", "run": "0199a4c7", "started_at": "2026-01-01T00:00:00Z", "seconds": 212.4,
///   "usd": 0.0, "tool": "0.1.0",
///   "stages": [ { "name": "traces", "kind": "sample", "state": "ran", "seconds": 31.2, "after": ["mix"],
///                 "key": "<hex>", "settings": { "n": 4 },
///                 "outputs": [ { "name": "main", "content": "<hex>", "rows": 1200 } ] } ] }
/// ```
///
/// `state` is `ran`, `cached`, `resumed`, `failed`, `skipped` or another word, which is shown as it is; `after` names
/// the stages that are read; `settings` is shown as it is and must hold no secret.
///
/// ```
/// let page = r#"<script type="application/json" id="dag-run">null</script>"#;
/// let filled = dag_kinds::report::with_run(page, &serde_json::json!({ "stages": [], "pipeline": "</script>" }));
/// assert_eq!(filled.matches("</script>").count(), 1);
/// ```
#[must_use]
pub fn with_run(html: &str, run: &serde_json::Value) -> String {
    let Some(start) = html.find(RUN_SLOT).map(|at| at + RUN_SLOT.len()) else {
        return html.to_owned();
    };
    let Some(end) = html[start..].find(SLOT_END).map(|at| start + at) else {
        return html.to_owned();
    };
    format!("{}{}{}", &html[..start], script_json(run), &html[end..])
}

/// JSON that can stand in a script element: nothing in it can end the element or start a comment, and it is the same
/// JSON to every parser.
fn script_json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            // these stand only within strings of JSON, where an escape means the same
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out
}

/// The source expression of a content security policy that allows this script and no other.
fn script_hash(script: &str) -> String {
    format!(
        "sha256-{}",
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(script.as_bytes()))
    )
}

/// A fraction in per cent with one digit.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1}", fraction * 100.0)
}

/// A difference of fractions in percentage points, with its sign.
pub(crate) fn signed(fraction: f64) -> String {
    let text = percent(fraction.abs());
    match fraction {
        _ if text == "0.0" => text,
        f if f < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

fn grouped(value: i64) -> String {
    grouped_text(&value.unsigned_abs().to_string(), value < 0)
}

fn chance(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".into()
    } else {
        format!("{p:.3}")
    }
}

fn bytes(size: u64) -> String {
    let mut value = size as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" {
                format!("{value:.0} B")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}<!--\u{2028}";

    fn hostile_page() -> Page {
        let text = || HOSTILE.to_owned();
        Page {
            title: text(),
            lead: text(),
            headline: vec![Card {
                label: text(),
                value: text(),
                unit: text(),
                detail: text(),
                colour: "c1".into(),
            }],
            traces: Traces {
                shown: vec![Trace {
                    stage: text(),
                    family: Some(text()),
                    verdict: Some(text()),
                    id: text(),
                    replicate: Some(0),
                    prompt: text(),
                    thought: Some(text()),
                    response: text(),
                    gold: Some(text()),
                    extracted: Some(text()),
                    rule: Some(text()),
                    reason: Some(text()),
                    tokens: Some(3),
                    finish: Some(text()),
                    cut: false,
                }],
                told: text(),
            },
            inputs: vec![Input {
                stage: text(),
                output: text(),
                artifact: "table",
                rows: Some(1),
                size: 1,
                content: text(),
                role: "other",
            }],
            notes: vec![text()],
            ..Page::default()
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let html = with_run(
            &render(&hostile_page()).unwrap(),
            &serde_json::json!({ "pipeline": HOSTILE, "stages": [] }),
        );
        // the page's own three script elements, and no more
        assert_eq!(html.matches("<script").count(), 3);
        assert_eq!(html.matches("</script>").count(), 3);
        assert!(!html.contains("<img") && !html.contains("<!--"));
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"));
        assert!(html.contains("{{ 7*7 }}"), "text is not read as a template");
    }

    #[test]
    fn what_the_trace_block_holds_is_what_was_put_in() {
        let html = render(&hostile_page()).unwrap();
        let start = html.find("id=\"dag-traces\">").unwrap() + "id=\"dag-traces\">".len();
        let end = start + html[start..].find("</script>").unwrap();
        let traces: serde_json::Value = serde_json::from_str(&html[start..end]).unwrap();
        assert_eq!(traces[0]["response"], HOSTILE);
    }

    #[test]
    fn the_page_loads_nothing_and_runs_only_its_own_script() {
        let html = render(&hostile_page()).unwrap();
        assert!(html.contains("default-src 'none'"));
        let start = html.rfind("<script>").unwrap() + "<script>".len();
        let script = &html[start..start + html[start..].find("</script>").unwrap()];
        assert_eq!(script, JS);
        assert!(
            html.contains(&format!("script-src '{}'", script_hash(script))),
            "the policy names the script it allows"
        );
        for loads in [
            "src=\"",
            "href=\"http",
            "@import",
            "url(",
            "fetch(",
            "XMLHttpRequest",
            "innerHTML",
        ] {
            let places = html.matches(loads).count();
            assert_eq!(places, 0, "`{loads}` stands in the page");
        }
    }

    #[test]
    fn an_empty_page_shows_no_empty_parts() {
        let html = render(&Page {
            title: "t".into(),
            ..Page::default()
        })
        .unwrap();
        for part in [
            "id=\"scores\"",
            "id=\"differences\"",
            "id=\"curves\"",
            "id=\"funnel\"",
            "id=\"lengths\"",
            "id=\"traces\"",
        ] {
            assert!(!html.contains(part), "{part}");
        }
        assert!(html.contains("id=\"provenance\""));
    }

    #[test]
    fn a_run_can_be_put_in_again() {
        let html = render(&Page::default()).unwrap();
        let once = with_run(&html, &serde_json::json!({ "stages": [{ "name": "a" }] }));
        let twice = with_run(&once, &serde_json::json!({ "stages": [{ "name": "b" }] }));
        assert_eq!(
            twice,
            with_run(&html, &serde_json::json!({ "stages": [{ "name": "b" }] }))
        );
        assert_eq!(
            with_run("<p>another page</p>", &serde_json::json!({})),
            "<p>another page</p>"
        );
    }

    #[test]
    fn numbers_carry_sign_and_unit() {
        assert_eq!(
            (signed(0.66), signed(-0.013), signed(0.0001)),
            ("+66.0".into(), "−1.3".into(), "0.0".to_owned())
        );
        assert_eq!(
            (bytes(12), bytes(2048), bytes(3 << 30)),
            ("12 B".into(), "2.0 KiB".into(), "3.0 GiB".to_owned())
        );
        assert_eq!(
            (chance(0.0004), chance(0.25)),
            ("< 0.001".into(), "0.250".to_owned())
        );
        assert_eq!(grouped(-1234), "-1,234");
    }
}
