//! What remotes have to tell, as people see it: what does not answer, what was not believed, and how far
//! a transfer is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dag_cache::remote::{Listener, Notice, Way};
use indicatif::{ProgressBar, ProgressStyle as Look};

use crate::commands::ProgressStyle;
use crate::render::{Output, Tone, above_bars, bars, bytes, verb_line};

/// A transfer that is over within this is not worth a line.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// How often a transfer is told of where there are no bars.
const EVERY: Duration = Duration::from_secs(30);

/// Tells what remotes say.
pub(crate) struct Voice {
    style: ProgressStyle,
    here: Mutex<Transfers>,
    there: Mutex<Transfers>,
}

/// Transfers in one direction that go on at once, drawn as one.
#[derive(Default)]
struct Transfers {
    running: u32,
    total: u64,
    moved: u64,
    remote: String,
    began: Option<Instant>,
    told: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Voice {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            style: output.progress(),
            here: Mutex::default(),
            there: Mutex::default(),
        }
    }

    fn say(&self, tone: Tone, verb: &str, text: &str) {
        if self.style != ProgressStyle::None {
            above_bars(&verb_line(tone, verb, text));
        }
    }

    fn with(&self, way: Way, change: impl FnOnce(&mut Transfers)) {
        let transfers = match way {
            Way::Here => &self.here,
            Way::There => &self.there,
        };
        change(&mut transfers.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn draw(&self, way: Way, transfers: &mut Transfers) {
        let Some(began) = transfers.began else { return };
        if began.elapsed() < WORTH_TELLING {
            return;
        }
        match self.style {
            ProgressStyle::Auto | ProgressStyle::Bar => {
                let bar = transfers.bar.get_or_insert_with(|| {
                    let bar = bars().add(ProgressBar::new(transfers.total));
                    bar.set_style(look());
                    bar.set_prefix(format!("{} `{}`", verb(way), transfers.remote));
                    bar
                });
                bar.set_length(transfers.total);
                bar.set_position(transfers.moved);
            }
            ProgressStyle::Plain => {
                if transfers.told.is_some_and(|told| told.elapsed() < EVERY) {
                    return;
                }
                transfers.told = Some(Instant::now());
                self.say(
                    Tone::Good,
                    word(way),
                    &format!(
                        "{}  {}",
                        transfers.remote,
                        how_far(transfers, began.elapsed())
                    ),
                );
            }
            ProgressStyle::Json | ProgressStyle::None => {}
        }
    }
}

fn word(way: Way) -> &'static str {
    match way {
        Way::Here => "Fetching",
        Way::There => "Pushing",
    }
}

fn verb(way: Way) -> &'static str {
    match way {
        Way::Here => "    Fetching from",
        Way::There => "     Pushing to",
    }
}

/// `1.2 GiB of 4.0 GiB · 80.0 MiB/s · 35 s left`
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, to two digits"
)]
fn how_far(transfers: &Transfers, took: Duration) -> String {
    let rate = transfers.moved as f64 / took.as_secs_f64().max(0.001);
    let left = transfers.total.saturating_sub(transfers.moved) as f64 / rate.max(1.0);
    format!(
        "{} of {} · {}/s · {} left",
        bytes(transfers.moved),
        bytes(transfers.total),
        bytes(rate as u64),
        crate::render::duration(left)
    )
}

fn look() -> Look {
    Look::with_template(
        "{prefix:.cyan} {bar:24.cyan/blue} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
    )
    .map(|style| style.progress_chars("━╸─"))
    .unwrap_or_else(|_| Look::default_bar())
}

impl Listener for Voice {
    fn hear(&self, notice: &Notice) {
        if self.style == ProgressStyle::Json {
            crate::render::notice_line(notice);
            return;
        }
        match notice {
            Notice::Down { remote, reason } => self.say(
                Tone::Warn,
                "Remote",
                &format!("`{remote}` does not answer; going on without it: {reason}"),
            ),
            Notice::Up { remote } => {
                self.say(Tone::Good, "Remote", &format!("`{remote}` answers again"));
            }
            Notice::Refused {
                remote,
                what,
                reason,
            } => self.say(
                Tone::Warn,
                "Refused",
                &format!("{what} at `{remote}`: {reason}"),
            ),
            Notice::Bad { remote, digest } => self.say(
                Tone::Warn,
                "Damaged",
                &format!(
                    "blob {} from `{remote}` has other bytes than its name says; it was set aside",
                    digest.short()
                ),
            ),
            Notice::Begun {
                remote, way, bytes, ..
            } => self.with(*way, |transfers| {
                if transfers.running == 0 {
                    *transfers = Transfers {
                        began: Some(Instant::now()),
                        ..Transfers::default()
                    };
                }
                transfers.running += 1;
                transfers.total += bytes;
                transfers.remote.clone_from(remote);
            }),
            Notice::Moved { way, bytes } => self.with(*way, |transfers| {
                transfers.moved += bytes;
                self.draw(*way, transfers);
            }),
            Notice::Ended { way } => self.with(*way, |transfers| {
                transfers.running = transfers.running.saturating_sub(1);
                if transfers.running > 0 {
                    return;
                }
                if let Some(bar) = transfers.bar.take() {
                    bar.finish_and_clear();
                }
                if let Some(began) = transfers.began.take()
                    && began.elapsed() >= WORTH_TELLING
                    && transfers.moved > 0
                {
                    let verb = match way {
                        Way::Here => "Fetched",
                        Way::There => "Pushed",
                    };
                    let took = crate::render::duration(began.elapsed().as_secs_f64());
                    let text = format!("{} in {took}", bytes(transfers.moved));
                    self.say(Tone::Good, verb, &text);
                }
            }),
        }
    }
}
