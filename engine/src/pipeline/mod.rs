//! Pipeline files: from TOML to a checked [`Pipeline`], or to every mistake in the file at once.
//!
//! ```text
//! text ─ document ─→ tables with places      sections apart, --set put in
//!      ─ stages ───→ a config per stage      kind, defaults, swept values, typed settings
//!      ─ references → wiring                 every name means a stage or a model
//!      ─ order ────→ stages in order         or the cycles, edge by edge
//!      ─ variants ─→ stages as they run      shared once; what flows between them (flow) fits
//! ```
//!
//! Reading does not stop at the first fault. What is merged in (defaults, swept values, `--set`)
//! keeps the place where it was written. A pipeline comes out only when there is no error at all.
//! Nothing here recurses over stages, and the time is linear in the size of the file.

mod document;
mod flow;
mod header;
mod lock;
mod nearest;
mod order;
mod references;
mod schema;
mod settings;
mod sharing;
mod stages;
mod sweep;
mod variants;
mod wording;

use std::path::Path;

pub use self::lock::{lock_path, write_lock};
pub use self::schema::schema;

use self::header::Files;
use self::sweep::Target;
use self::variants::Parts;
use crate::checked::Pipeline;
use crate::diagnostic::{Diagnostic, Finding, SourceFile, Sources};
use crate::registry::Registry;

/// How to read a pipeline file.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `stage.field=value`, in order; the value is TOML, a bare word is text. A swept setting that
    /// is set here is swept no longer.
    pub sets: Vec<String>,
    /// The lock file beside the pipeline, if there is one.
    pub lock: Option<SourceFile>,
    /// Asks the file system whether a file or folder is there.
    pub exists: fn(&Path) -> bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            sets: Vec::new(),
            lock: None,
            exists: Path::exists,
        }
    }
}

/// What came of reading a pipeline file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The pipeline, unless there is an error. Of a sweep: all variants, shared stages once.
    pub pipeline: Option<Pipeline>,
    /// Errors and warnings, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics point into, for [`render`](crate::diagnostic::render).
    pub sources: Sources,
}

/// Reads and checks a pipeline. Looks at nothing but its arguments, and at whether files exist.
///
/// ```
/// use dag_engine::diagnostic::{Colour, SourceFile, render};
/// use dag_engine::pipeline::{LoadOptions, load};
/// use dag_engine::registry::Registry;
///
/// let source = SourceFile::new("recipe.toml", "[stage.traces]\nkind = \"sampel\"\n");
/// let loaded = load(&source, &Registry::new(), &LoadOptions::default());
/// assert!(loaded.pipeline.is_none());
/// let told = &loaded.diagnostics[0];
/// assert_eq!((told.code, told.span.line, told.span.col), ("D0109", 2, 8));
/// assert!(render(&loaded.diagnostics, &loaded.sources, Colour::Plain).contains("recipe.toml:2:8"));
/// ```
#[must_use]
pub fn load(source: &SourceFile, registry: &Registry, options: &LoadOptions) -> Loaded {
    let (mut sources, set_bases) = document::sources(source, &options.sets);
    let lock_base = options.lock.as_ref().map(|lock| {
        (
            sources.add(lock.path.display().to_string(), lock.text.clone()),
            lock,
        )
    });
    let mut findings = Vec::new();
    let pipeline = check(
        source,
        registry,
        options,
        &sources,
        &set_bases,
        lock_base,
        &mut findings,
    );
    let diagnostics = sources.settle(findings);
    Loaded {
        pipeline,
        diagnostics,
        sources,
    }
}

/// Reads a pipeline file and the lock file beside it, and checks them.
///
/// # Errors
/// When a file cannot be read or is not UTF-8.
pub fn load_file(path: &Path, registry: &Registry, sets: &[String]) -> std::io::Result<Loaded> {
    let source = SourceFile::read(path)?;
    let lock = lock_path(path);
    let lock = lock.exists().then(|| SourceFile::read(&lock)).transpose()?;
    let options = LoadOptions {
        sets: sets.to_vec(),
        lock,
        ..LoadOptions::default()
    };
    Ok(load(&source, registry, &options))
}

fn check(
    source: &SourceFile,
    registry: &Registry,
    options: &LoadOptions,
    sources: &Sources,
    set_bases: &[usize],
    lock: Option<(usize, &SourceFile)>,
    findings: &mut Vec<Finding>,
) -> Option<Pipeline> {
    let lock = lock
        .map(|(base, lock)| lock::read_lock(&lock.text, base, findings))
        .unwrap_or_default();
    let sets: Vec<(usize, &str)> = set_bases
        .iter()
        .copied()
        .zip(options.sets.iter().map(String::as_str))
        .collect();
    let document = document::read(&source.text, &sets, findings)?;
    let path = std::path::absolute(&source.path).unwrap_or_else(|_| source.path.clone());
    let folder = source
        .path
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let files = Files {
        folder,
        exists: &options.exists,
    };

    let header = header::header(&document, &source.path, findings);
    let limits = header::limits(&document, findings);
    let axes = sweep::axes(&document, findings);
    check_seeds(&axes, findings);
    let variants = sweep::variants(&axes);
    stages::check_sections(&document, registry, findings);
    let models = stages::models(&document, &axes, &files, findings);
    let stages = stages::stages(&document, &axes, registry, &files, findings);
    let wirings = references::wire(&stages, &models, findings);
    let order = order::order(&stages, &wirings, findings);
    let parts = Parts {
        stages: &stages,
        models: &models,
        wirings: &wirings,
        order: &order,
        axes: &axes,
        variants: &variants,
        sources,
        seed: header.seed,
    };
    let mut checked = variants::expand(&parts, findings);
    sharing::carry(&mut checked);
    if findings.iter().any(Finding::is_error) {
        return None;
    }
    Some(Pipeline {
        name: header.name.unwrap_or_default(),
        seed: header.seed,
        path,
        stages: checked,
        models: models
            .iter()
            .filter_map(|model| {
                Some((model.name.clone(), model.configs.first()?.as_ref()?.clone()))
            })
            .collect(),
        budget: header.budget.map(|budget| budget.usd),
        limits,
        lock,
    })
}

/// Swept seeds are whole numbers, like the seed they replace.
fn check_seeds(axes: &[sweep::Axis<'_>], findings: &mut Vec<Finding>) {
    for axis in axes.iter().filter(|axis| axis.target == Target::Seed) {
        for value in &axis.values {
            let good = matches!(
                value.get_ref(),
                toml::de::DeValue::Integer(seed)
                    if u64::from_str_radix(seed.as_str(), seed.radix()).is_ok()
            );
            if !good {
                findings.push(
                    Finding::error(
                        "D0105",
                        value.span(),
                        format!("a seed cannot be {}", document::described(value.get_ref())),
                    )
                    .here("expected a whole number, 0 or more"),
                );
            }
        }
    }
}
