//! Conversations to rows of token ids, with the tokens to be learnt marked: the assistant's, its end token included.

use crate::TrainError;
use crate::options::{Overlong, SftOptions};
use dag_model::{Message, Model};

/// A row to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// For each token, whether it is to be predicted. The first never is.
    pub learnt: Vec<bool>,
}

impl Row {
    /// Number of tokens to be predicted.
    pub fn targets(&self) -> usize {
        self.learnt.iter().filter(|&&learnt| learnt).count()
    }
}

/// The rows of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// What is learnt from, in the order of the data.
    pub rows: Vec<Row>,
    /// Rows left out for their length.
    pub dropped: usize,
    /// Rows that lost their middle to the cutoff.
    pub truncated: usize,
}

/// Renders, tokenizes and marks conversations.
///
/// # Errors
/// A template that raises; a conversation without an assistant's turn; an answer whose end token is not learnt; a row
/// over the cutoff where the policy is [`Overlong::Error`].
pub fn prepare<'a>(
    model: &Model,
    conversations: impl IntoIterator<Item = &'a [Message]>,
    options: &SftOptions,
) -> Result<Rows, TrainError> {
    let mut rows = Rows::default();
    let cutoff = options.cutoff.min(model.config.max_position_embeddings);
    for (index, messages) in conversations.into_iter().enumerate() {
        let mut row = mark(model, messages, index)?;
        if row.tokens.len() > cutoff {
            match options.overlong {
                Overlong::Drop => {
                    rows.dropped += 1;
                    continue;
                }
                Overlong::Error => {
                    return Err(TrainError::Row {
                        row: index,
                        message: format!("has {} tokens, the cutoff is {cutoff}", row.tokens.len()),
                    });
                }
                Overlong::TruncateKeepEnd => {
                    rows.truncated += 1;
                    let end = row.tokens.len() - 1;
                    row.tokens.drain(cutoff - 1..end);
                    row.learnt.drain(cutoff - 1..end);
                }
            }
        }
        rows.rows.push(row);
    }
    if rows.rows.is_empty() {
        return Err(TrainError::NoRows {
            dropped: rows.dropped,
        });
    }
    Ok(rows)
}

/// The assistant's turns are found by rendering the conversation up to them, and through them.
fn mark(model: &Model, messages: &[Message], index: usize) -> Result<Row, TrainError> {
    let fault = |message: String| TrainError::Row {
        row: index,
        message,
    };
    let template = model.template()?;
    let mut row = Row {
        tokens: Vec::new(),
        learnt: Vec::new(),
    };
    let mut done = String::new();
    for (turn, message) in messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.role == "assistant")
    {
        let before = template.render(&messages[..turn], true)?;
        let after = template.render(&messages[..=turn], false)?;
        let (Some(asked), Some(answer)) = (before.strip_prefix(&done), after.strip_prefix(&before))
        else {
            return Err(fault("the chat template changes earlier turns, so the assistant's tokens cannot be told apart".into()));
        };
        // the template's own blank after the end token is no part of what the assistant says
        let said = answer.trim_end_matches(['\n', ' ']);
        let said = if message.content.ends_with(said) {
            answer
        } else {
            said
        };
        let (asked, answered) = (
            model.tokenizer.encode(asked)?,
            model.tokenizer.encode(said)?,
        );
        if !answered
            .last()
            .is_some_and(|last| model.ends().contains(last))
        {
            return Err(fault("the template does not end the assistant's turn with an end token, so stopping would not be learnt".into()));
        }
        row.learnt.extend(asked.iter().map(|_| false));
        row.tokens.extend(asked);
        row.learnt.extend(answered.iter().map(|_| true));
        row.tokens.extend(answered);
        done = before + said;
    }
    if row.tokens.is_empty() {
        return Err(fault("has no assistant turn".into()));
    }
    if let Some(first) = row.learnt.first_mut() {
        *first = false;
    }
    Ok(row)
}
