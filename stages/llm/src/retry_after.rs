//! The `Retry-After` header: seconds, or a date.

use std::time::Duration;

use jiff::Timestamp;

/// How long to wait from `now` on. A date in the past is no wait; what is neither form is `None`.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (0.0..=1e9)
            .contains(&seconds)
            .then(|| Duration::from_secs_f64(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expect: Option<u64>) {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        assert_eq!(
            parse(value, now),
            expect.map(Duration::from_secs),
            "{value}"
        );
    }

    #[test]
    fn seconds_dates_and_nonsense() {
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Wed, 21 Oct 2015 07:28:30 GMT", Some(30));
        check("Wed, 21 Oct 2015 07:27:00 GMT", Some(0));
        check("-1", None);
        check("inf", None);
        check("NaN", None);
        check("soon", None);
        check("", None);
    }
}
