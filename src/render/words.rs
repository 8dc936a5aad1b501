//! Numbers as people read them.

use std::time::Duration;

/// `17,314`
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `17,314 rows`
pub(crate) fn plural(value: u64, one: &str) -> String {
    format!(
        "{} {one}{}",
        count(value),
        if value == 1 { "" } else { "s" }
    )
}

/// `38.1M tok`
#[expect(clippy::cast_precision_loss, reason = "one decimal of a count")]
pub(crate) fn tokens(value: u64) -> String {
    match value {
        0..10_000 => format!("{} tok", count(value)),
        10_000..1_000_000 => format!("{:.1}k tok", value as f64 / 1e3),
        _ => format!("{:.1}M tok", value as f64 / 1e6),
    }
}

/// `$11.76`; under a cent with more digits, so that nothing paid looks free.
pub(crate) fn usd(value: f64) -> String {
    if value > 0.0 && value < 0.01 {
        format!("${value:.4}")
    } else {
        format!("${value:.2}")
    }
}

/// `3.2 MiB`
#[expect(clippy::cast_precision_loss, reason = "one decimal of a size")]
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut size = value as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// `2026-11-25 13:04:41 UTC`, to the second; what is no time stands as it is.
pub(crate) fn moment(stored: &str) -> String {
    stored.parse::<jiff::Timestamp>().map_or_else(
        |_| stored.to_owned(),
        |at| at.strftime("%F %T UTC").to_string(),
    )
}

/// `0.06 s`, `38 s`, `5 m 51 s`, `3 h 14 m`
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() {
        seconds.max(0.0)
    } else {
        0.0
    };
    let whole = Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    match whole {
        _ if seconds < 10.0 => format!("{seconds:.2} s"),
        0..60 => format!("{seconds:.0} s"),
        60..3600 => format!("{} m {:02} s", whole / 60, whole % 60),
        3600..172_800 => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(17_314), "17,314");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(plural(1, "row"), "1 row");
        assert_eq!(plural(0, "row"), "0 rows");
        assert_eq!(tokens(38_100_000), "38.1M tok");
        assert_eq!(usd(0.0), "$0.00");
        assert_eq!(usd(0.0003), "$0.0003");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
        assert_eq!(duration(0.062), "0.06 s");
        assert_eq!(duration(351.0), "5 m 51 s");
        assert_eq!(duration(f64::NAN), "0.00 s");
        assert_eq!(duration(11_695.0), "3 h 14 m");
    }
}
