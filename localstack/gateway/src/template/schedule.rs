//! `rate(...)` and `cron(...)` of EventBridge.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>. Cron has six
//! fields (minutes, hours, day of month, month, day of week, year); one of the two days is `?`. `L`, `W` and `#` are
//! refused rather than misread.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use super::model::ScheduleExpression;

/// A text that is neither `rate(...)` nor `cron(...)` as EventBridge takes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a schedule: {reason}")]
pub struct ParseScheduleError {
    text: String,
    reason: String,
}

/// A parsed cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: Option<u64>,
    months: u64,
    weekdays: Option<u64>,
    years: Vec<bool>,
}

const FIRST_YEAR: i32 = 1970;
const LAST_YEAR: i32 = 2199;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) fn parse(text: &str) -> Result<ScheduleExpression, ParseScheduleError> {
    let wrong = |reason: &str| ParseScheduleError { text: text.to_owned(), reason: reason.to_owned() };
    let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(rate) = argument("rate") {
        let (count, unit) = rate.split_once(' ').ok_or_else(|| wrong("a rate is a number and a unit"))?;
        let count: u32 = count.parse().map_err(|_| wrong("the number of a rate is whole"))?;
        let seconds = match (count, unit) {
            (0, _) => return Err(wrong("the number of a rate is at least 1")),
            (1, "minute") | (2.., "minutes") => 60,
            (1, "hour") | (2.., "hours") => 3_600,
            (1, "day") | (2.., "days") => 86_400,
            _ => return Err(wrong("the unit is minute(s), hour(s) or day(s), singular for 1")),
        };
        return Ok(ScheduleExpression::Rate(Duration::from_secs(u64::from(count) * seconds)));
    }
    let cron = argument("cron").ok_or_else(|| wrong("it is rate(...) or cron(...)"))?;
    Cron::parse(cron).map(|cron| ScheduleExpression::Cron(Box::new(cron))).map_err(|reason| wrong(&reason))
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields.as_slice() else {
            return Err("cron has six fields".to_owned());
        };
        if (*days == "?") == (*weekdays == "?") {
            return Err("exactly one of day of month and day of week is ?".to_owned());
        }
        let day = |field: &str, low, high, names| match field {
            "?" => Ok(None),
            _ => bits(field, low, high, names).map(Some),
        };
        Ok(Self {
            minutes: bits(minutes, 0, 59, &[])?,
            hours: bits(hours, 0, 23, &[])?,
            days: day(days, 1, 31, &[])?,
            months: bits(months, 1, 12, &MONTHS)?,
            weekdays: day(weekdays, 1, 7, &WEEKDAYS)?,
            years: {
                let mut set = vec![false; usize::try_from(LAST_YEAR - FIRST_YEAR + 1).unwrap_or_default()];
                expand(years, FIRST_YEAR.unsigned_abs(), LAST_YEAR.unsigned_abs(), &[], |year| {
                    set[(year - FIRST_YEAR.unsigned_abs()) as usize] = true;
                })?;
                set
            },
        })
    }

    /// The first time after `after`, UTC; `None` when there is none before the year 2200.
    pub(super) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = after.timestamp().div_euclid(60).checked_add(1)?;
        let from = DateTime::from_timestamp(start * 60, 0)?;
        let mut day = from.date_naive();
        let mut minute_of_day = u32::try_from(start.rem_euclid(1_440)).ok()?;
        while day.year() <= LAST_YEAR {
            if self.on(day)
                && let Some(minute) = (minute_of_day..1_440).find(|m| self.at(*m))
            {
                return Some(day.and_hms_opt(minute / 60, minute % 60, 0)?.and_utc());
            }
            day = day.succ_opt()?;
            minute_of_day = 0;
        }
        None
    }

    fn on(&self, day: NaiveDate) -> bool {
        let year = usize::try_from(day.year() - FIRST_YEAR).ok();
        year.and_then(|y| self.years.get(y).copied()).unwrap_or_default()
            && has(self.months, day.month())
            && self.days.is_none_or(|set| has(set, day.day()))
            && self.weekdays.is_none_or(|set| has(set, day.weekday().number_from_sunday()))
    }

    fn at(&self, minute_of_day: u32) -> bool {
        has(self.hours, minute_of_day / 60) && has(self.minutes, minute_of_day % 60)
    }
}

fn has(set: u64, bit: u32) -> bool {
    set >> bit & 1 == 1
}

fn bits(field: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, String> {
    let mut set = 0;
    expand(field, low, high, names, |n| set |= 1_u64 << n)?;
    Ok(set)
}

fn expand(field: &str, low: u32, high: u32, names: &[&str], mut add: impl FnMut(u32)) -> Result<(), String> {
    let number = |text: &str| -> Result<u32, String> {
        let position = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let n = match position {
            Some(at) => u32::try_from(at).unwrap_or_default() + 1,
            None => text.parse().map_err(|_| format!("{text:?} is not a number"))?,
        };
        if (low..=high).contains(&n) { Ok(n) } else { Err(format!("{n} is not between {low} and {high}")) }
    };
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|s| *s > 0).ok_or("a step is above 0")?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None if range == "*" => (low, high),
            None => {
                let first = number(range)?;
                (first, if step.is_some() { high } else { first })
            }
        };
        (first..=last).step_by(step.unwrap_or(1)).for_each(&mut add);
    }
    Ok(())
}
