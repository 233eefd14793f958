//! The camera's clock: its notion of now goes into each login, and cameras' clocks are often wrong by hours.

use std::time::{SystemTime, UNIX_EPOCH};

use super::xml::Element;

const DAY: i64 = 86_400;

/// Seconds since 1970 by this machine's clock.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// The `UTCDateTime` of a `GetSystemDateAndTimeResponse` (ONVIF Device Management) as seconds since 1970.
pub(super) fn utc(response: &Element) -> Option<i64> {
    let utc = response.find("UTCDateTime")?;
    let number = |path: [&str; 2], range: std::ops::RangeInclusive<i64>| {
        let text = utc.at(&path)?.trimmed();
        text.parse::<i64>().ok().filter(|n| range.contains(n))
    };
    let days = days(
        number(["Date", "Year"], 1970..=9999)?,
        number(["Date", "Month"], 1..=12)?,
        number(["Date", "Day"], 1..=31)?,
    );
    let hours = number(["Time", "Hour"], 0..=24)?;
    let minutes = number(["Time", "Minute"], 0..=59)?;
    let seconds = number(["Time", "Second"], 0..=61)?;
    Some(days * DAY + hours * 3600 + minutes * 60 + seconds)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at its end.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// `YYYY-MM-DDThh:mm:ssZ`.
pub(super) fn iso(seconds: i64) -> String {
    let (mut left, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let mut year = 1970;
    while left >= days(year + 1, 1, 1) - days(year, 1, 1) {
        left -= days(year + 1, 1, 1) - days(year, 1, 1);
        year += 1;
    }
    let first = days(year, 1, 1);
    let month = (1..=12)
        .rev()
        .find(|m| days(year, *m, 1) - first <= left)
        .unwrap_or(1);
    let day = left - (days(year, month, 1) - first) + 1;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_284_623_445, "2010-09-16T07:50:45Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(seconds), text);
            let (date, time) = text.trim_end_matches('Z').split_once('T').expect("both");
            let n: Vec<&str> = date.split('-').chain(time.split(':')).collect();
            let xml = format!(
                "<r><UTCDateTime><Time><Hour>{}</Hour><Minute>{}</Minute><Second>{}</Second></Time>\
                 <Date><Year>{}</Year><Month>{}</Month><Day>{}</Day></Date></UTCDateTime></r>",
                n[3], n[4], n[5], n[0], n[1], n[2]
            );
            let response = Element::parse(xml.as_bytes()).expect("it is XML");
            assert_eq!(utc(&response), Some(seconds), "{text}");
        }
    }

    #[test]
    fn no_time_where_there_is_none() {
        for xml in [
            "<r/>",
            "<r><UTCDateTime/></r>",
            "<r><UTCDateTime><Time><Hour>x</Hour></Time></UTCDateTime></r>",
        ] {
            assert_eq!(
                utc(&Element::parse(xml.as_bytes()).expect("it is XML")),
                None
            );
        }
    }
}
