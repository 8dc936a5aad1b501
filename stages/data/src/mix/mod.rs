//! Joins tables: quotas and weights, duplicates, decontamination, shuffling.
//!
//! Two passes over the sources. The first reads prompts only and decides about every row, in about 40 bytes a row;
//! the second copies the rows. A shuffled table is dealt into boxes on disk, each small enough to sort in memory. So
//! memory grows by some 60 bytes a row, whatever the rows hold.
//!
//! What it promises: the same sources, settings and seed give the same rows in the same order; which rows a quota
//! takes depends on their content, not on their place, so reordering a source changes nothing but ties.

mod shuffle;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use shuffle::Boxes;
pub use words::normalised;
use words::{Forbidden, digest};

/// The column of the rejected rows that says why.
pub const REASON: &str = "reason";

/// How to mix. Every field is semantic.
#[derive(Debug, Clone, PartialEq)]
pub struct MixOptions {
    /// How many rows of which source; what is not named gives all its rows.
    pub take: BTreeMap<String, u64>,
    /// Shares of the sources; as many rows as they allow. Sources that are not named give none. Empty: not used.
    pub weights: BTreeMap<String, f64>,
    /// Drop rows whose normalised prompt came before.
    pub dedup: bool,
    /// From how many shared words in a row a prompt counts as known from an evaluation table.
    pub ngram: usize,
    /// Shuffle the rows; else source after source, as they stand.
    pub shuffle: bool,
    /// Where chance starts.
    pub seed: u64,
}

/// What went where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MixCounts {
    /// Rows of each source in the mix.
    pub taken: BTreeMap<String, u64>,
    /// Rows kept aside, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// A table to read, more than once. Batches of every reading have the same rows in the same order.
pub trait MixSource<E> {
    /// What settings and reasons call it.
    fn name(&self) -> &str;
    /// Its columns.
    fn schema(&self) -> SchemaRef;
    /// Its rows from the start; with `only_prompts`, batches need no column but `prompt`.
    ///
    /// # Errors
    /// The table cannot be read.
    fn open(
        &self,
        only_prompts: bool,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, E>> + '_>, E>;
}

/// The columns of a mix: those of the first source, then those that later sources add; what a source lacks is null
/// in its rows. Columns of one name must have one type.
///
/// # Errors
/// The name of a column that has two types, and both types.
pub fn joined_schema(schemas: &[SchemaRef]) -> Result<SchemaRef, (String, DataType, DataType)> {
    let mut fields: Vec<Field> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        match fields.iter().find(|known| known.name() == field.name()) {
            Some(known) if known.data_type() != field.data_type() => {
                return Err((
                    field.name().clone(),
                    known.data_type().clone(),
                    field.data_type().clone(),
                ));
            }
            Some(_) => {}
            None => fields.push(field.as_ref().clone()),
        }
    }
    for field in &mut fields {
        let everywhere = schemas.iter().all(|schema| {
            schema
                .field_with_name(field.name())
                .is_ok_and(|field| !field.is_nullable())
        });
        field.set_nullable(!everywhere);
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns of the rejected rows: those of the mix and the reason.
#[must_use]
pub fn rejected_schema(joined: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = joined
        .fields()
        .iter()
        .filter(|field| field.name() != REASON)
        .map(|field| field.as_ref().clone())
        .collect();
    fields.push(Field::new(REASON, DataType::Utf8, false));
    Arc::new(Schema::new(fields))
}

/// Where the rows of a mix go.
pub struct MixOutputs<'a, E> {
    /// Takes the rows of the mix, in order.
    pub mixed: &'a mut dyn FnMut(RecordBatch) -> Result<(), E>,
    /// Takes the rows kept aside, with their reason.
    pub rejected: &'a mut dyn FnMut(RecordBatch) -> Result<(), E>,
    /// A folder for boxes of a shuffle, emptied by whoever gave it.
    pub scratch: &'a Path,
}

/// What became of a row; the number is its place among the tables to stay away from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Duplicate,
    Contaminated(u8),
    NotTaken,
}

/// Mixes the sources. `avoid` are the tables to stay away from.
///
/// # Errors
/// A source cannot be read, an output does not take a row, or the scratch folder fails.
pub fn mix<E>(
    sources: &[&dyn MixSource<E>],
    avoid: &[&dyn MixSource<E>],
    options: &MixOptions,
    outputs: MixOutputs<'_, E>,
) -> Result<MixCounts, E>
where
    E: From<ArrowError> + From<std::io::Error> + From<parquet::errors::ParquetError>,
{
    let schemas: Vec<SchemaRef> = sources.iter().map(|source| source.schema()).collect();
    let joined = joined_schema(&schemas).map_err(|(name, one, other)| {
        ArrowError::SchemaError(format!(
            "column `{name}` is {one} in one table and {other} in another"
        ))
    })?;
    let fates = decide(sources, avoid, options)?;

    let mut counts = MixCounts::default();
    let rejected_schema = rejected_schema(&joined);
    let rows: u64 = fates
        .iter()
        .map(|fates| fates.iter().filter(|fate| **fate == Fate::Kept).count() as u64)
        .sum();
    let mut boxes = if options.shuffle {
        Some(Boxes::new::<E>(outputs.scratch, &joined, rows)?)
    } else {
        None
    };
    let mut order = 0u64;
    for (source, fates) in sources.iter().zip(&fates) {
        let mut at = 0;
        let mut taken = 0;
        for batch in source.open(false)? {
            let batch = fit(&batch?, &joined)?;
            let here = fates.get(at..at + batch.num_rows()).unwrap_or_default();
            if here.len() != batch.num_rows() {
                return Err(ArrowError::InvalidArgumentError(format!(
                    "`{}` has more rows than at first",
                    source.name()
                ))
                .into());
            }
            at += batch.num_rows();
            let keep: BooleanArray = here.iter().map(|fate| Some(*fate == Fate::Kept)).collect();
            let kept = filter_record_batch(&batch, &keep)?;
            taken += kept.num_rows() as u64;
            if kept.num_rows() > 0 {
                match &mut boxes {
                    Some(boxes) => {
                        let keys = keys(&kept, options.seed, "order", order)?;
                        boxes.deal::<E>(&kept, &keys)?;
                    }
                    None => (outputs.mixed)(kept.clone())?,
                }
            }
            order += kept.num_rows() as u64;
            if kept.num_rows() < batch.num_rows() {
                let drop: BooleanArray =
                    here.iter().map(|fate| Some(*fate != Fate::Kept)).collect();
                let reasons: Vec<String> = here
                    .iter()
                    .filter(|fate| **fate != Fate::Kept)
                    .map(|fate| reason(*fate, avoid))
                    .collect();
                for reason in &reasons {
                    *counts.rejected.entry(reason.clone()).or_default() += 1;
                }
                let dropped = filter_record_batch(&batch, &drop)?;
                (outputs.rejected)(with_reasons(&dropped, &rejected_schema, &reasons)?)?;
            }
        }
        *counts.taken.entry(source.name().to_owned()).or_default() += taken;
    }
    if let Some(boxes) = boxes {
        boxes.empty(outputs.mixed)?;
    }
    Ok(counts)
}

/// The fate of every row of every source.
fn decide<E: From<ArrowError>>(
    sources: &[&dyn MixSource<E>],
    avoid: &[&dyn MixSource<E>],
    options: &MixOptions,
) -> Result<Vec<Vec<Fate>>, E> {
    let mut forbidden = Vec::with_capacity(avoid.len());
    for table in avoid {
        let mut words = Forbidden::new(options.ngram);
        for batch in table.open(true)? {
            for prompt in prompts(&batch?)?.iter().flatten() {
                words.add(&normalised(prompt));
            }
        }
        forbidden.push(words);
    }
    let mut seen: HashSet<u128> = HashSet::new();
    let mut fates = Vec::with_capacity(sources.len());
    // the lottery numbers of rows that may stay, per source
    let mut lots: Vec<Vec<(u64, usize)>> = Vec::with_capacity(sources.len());
    for source in sources {
        let mut mine = Vec::new();
        let mut tickets = Vec::new();
        for batch in source.open(true)? {
            for prompt in &prompts(&batch?)? {
                let form = normalised(prompt.unwrap_or_default());
                let digest = digest(&form);
                let touched = forbidden.iter().position(|words| words.touches(&form));
                mine.push(match touched {
                    Some(table) => Fate::Contaminated(u8::try_from(table).unwrap_or(u8::MAX)),
                    None if options.dedup && !seen.insert(digest) => Fate::Duplicate,
                    None => {
                        tickets.push((lot(options.seed, "take", digest), mine.len()));
                        Fate::Kept
                    }
                });
            }
        }
        fates.push(mine);
        lots.push(tickets);
    }
    let names: Vec<&str> = sources.iter().map(|source| source.name()).collect();
    let available: Vec<u64> = lots.iter().map(|tickets| tickets.len() as u64).collect();
    for ((wanted, mine), tickets) in quotas(&names, &available, options)
        .into_iter()
        .zip(&mut fates)
        .zip(&mut lots)
    {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        if wanted < tickets.len() {
            tickets.sort_unstable();
            for (_, at) in &tickets[wanted..] {
                mine[*at] = Fate::NotTaken;
            }
        }
    }
    Ok(fates)
}

/// How many rows each source gives, of those it has left.
fn quotas(names: &[&str], available: &[u64], options: &MixOptions) -> Vec<u64> {
    let weight = |name: &str| options.weights.get(name).copied().unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let unit = names
        .iter()
        .zip(available)
        .filter(|(name, _)| weight(name) > 0.0)
        .map(|(name, have)| *have as f64 / weight(name))
        .fold(f64::INFINITY, f64::min);
    names
        .iter()
        .zip(available)
        .map(|(name, have)| {
            let share = if options.weights.is_empty() {
                *have
            } else {
                // a hair above, so that 0.1 + 0.2 does not lose a row
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 0 and the rows there are"
                )]
                let share = (weight(name) * unit * (1.0 + 1e-12)).floor() as u64;
                share.min(*have)
            };
            options
                .take
                .get(*name)
                .copied()
                .unwrap_or(u64::MAX)
                .min(share)
        })
        .collect()
}

/// The lottery number of a prompt: the names of the sources have no part in it.
fn lot(seed: u64, purpose: &str, digest: u128) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dag-data 2026 mix lot v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(&digest.to_le_bytes());
    first_eight(&hasher.finalize())
}

fn first_eight(hash: &blake3::Hash) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(eight)
}

/// The place of each row in a shuffled table: by its prompt, then by its running number.
fn keys(
    batch: &RecordBatch,
    seed: u64,
    purpose: &str,
    first: u64,
) -> Result<Vec<(u64, u64)>, ArrowError> {
    let prompts = prompts(batch)?;
    Ok(prompts
        .iter()
        .zip(first..)
        .map(|(prompt, number)| {
            (
                lot(seed, purpose, digest(prompt.unwrap_or_default())),
                number,
            )
        })
        .collect())
}

fn prompts(batch: &RecordBatch) -> Result<StringArray, ArrowError> {
    let column = batch
        .column_by_name("prompt")
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| {
            ArrowError::SchemaError("the table has no text column `prompt`".to_owned())
        })?;
    Ok(column.clone())
}

/// The batch with the columns of the mix, nulls where it has none.
fn fit(batch: &RecordBatch, joined: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = joined
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(joined), columns)
}

fn with_reasons(
    batch: &RecordBatch,
    schema: &SchemaRef,
    reasons: &[String],
) -> Result<RecordBatch, ArrowError> {
    let reasons: ArrayRef = Arc::new(StringArray::from_iter_values(reasons));
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if field.name() != REASON => Arc::clone(column),
            Some(_) | None => Arc::clone(&reasons),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn reason<E>(fate: Fate, avoid: &[&dyn MixSource<E>]) -> String {
    match fate {
        Fate::Kept => "kept".to_owned(),
        Fate::Duplicate => "duplicate".to_owned(),
        Fate::Contaminated(table) => {
            let name = avoid
                .get(usize::from(table))
                .map_or("an evaluation table", |table| table.name());
            format!("in {name}")
        }
        Fate::NotTaken => "not taken".to_owned(),
    }
}

#[cfg(test)]
mod tests;
