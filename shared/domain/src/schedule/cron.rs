//! Cron expressions: five fields, as crontab(5) of Vixie's cron describes them.
//!
//! | field | values | names |
//! |---|---|---|
//! | minute | 0-59 | |
//! | hour | 0-23 | |
//! | day of month | 1-31, `L`: the last one | |
//! | month | 1-12 | `JAN`-`DEC` |
//! | day of week | 0-7, 0 and 7 are Sunday | `SUN`-`SAT` |
//!
//! A field is a list, with commas, of `*`, `n`, `a-b`, each of them with `/step` if wanted (`n/step` goes on to the field's end).
//! When both days are restricted (neither begins with `*`), a day that fits either fits.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// The longest expression, in characters.
pub const LONGEST: usize = 200;
/// How many days a search goes on: February 29th stays away for eight years at most (1896 to 1904), or twice as long should the
/// clocks go forward over the time that is wanted.
const HORIZON: u64 = 20 * 366;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    last_day: bool,
    months: u64,
    weekdays: u64,
    /// Does one of the two days suffice?
    either_day: bool,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    /// Six or seven fields.
    #[error(
        "has {0} fields: it must have five, minute hour day-of-month month day-of-week; seconds and years are not supported, the \
         finest step is a minute"
    )]
    Seconds(usize),
    /// Another number of fields.
    #[error("has {0} fields: it must have five, minute hour day-of-month month day-of-week")]
    Fields(usize),
    /// A field that makes no sense.
    #[error(
        "{field}: {text:?} is none of *, a number or name from {low} to {high}, a range, or one of these with a step of at least 1"
    )]
    Field {
        /// Which.
        field: &'static str,
        /// The part of the list that is wrong.
        text: String,
        /// The least value.
        low: u32,
        /// The greatest value.
        high: u32,
    },
    /// No date that it fits.
    #[error("no year has such a day")]
    Impossible,
    /// Too long.
    #[error("must have at most {LONGEST} characters")]
    TooLong,
}

impl InvalidCron {
    /// A stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Seconds(_) => "seconds_not_supported",
            Self::Fields(_) | Self::Field { .. } => "invalid_cron",
            Self::Impossible => "never_due",
            Self::TooLong => "too_long",
        }
    }
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", low: 0, high: 59, names: &[] };
const HOUR: Field = Field { name: "hour", low: 0, high: 23, names: &[] };
const DAY: Field = Field { name: "day of month", low: 1, high: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    low: 1,
    high: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Field =
    Field { name: "day of week", low: 0, high: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Field {
    /// The values of a list, as bits.
    fn parse(&self, text: &str) -> Result<u64, InvalidCron> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part).ok_or_else(|| self.wrong(part))?))
    }

    fn wrong(&self, part: &str) -> InvalidCron {
        InvalidCron::Field { field: self.name, text: part.to_owned(), low: self.low, high: self.high }
    }

    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (self.low, self.high),
            (_, Some((from, to))) => self.range(self.value(from)?, self.value(to)?)?,
            _ => {
                let from = self.value(range)?;
                (from, if step.is_some() { self.high } else { from })
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        Some((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    /// `SAT-SUN` ends with a Sunday as well as `6-7` does.
    fn range(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let to = if self.high == 7 && to == 0 && from > 0 { 7 } else { to };
        (from <= to).then_some((from, to))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named {
            Some(at) => Some(self.low + u32::try_from(at).ok()?),
            None => number(text).filter(|n| (self.low..=self.high).contains(n)),
        }
    }
}

/// Digits only: `u32` would take a sign.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl FromStr for Cron {
    type Err = InvalidCron;
    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        if text.chars().count() > LONGEST {
            return Err(InvalidCron::TooLong);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let n = fields.len();
            return Err(if matches!(n, 6 | 7) { InvalidCron::Seconds(n) } else { InvalidCron::Fields(n) });
        };
        let days: Vec<&str> = day.split(',').filter(|part| !part.eq_ignore_ascii_case("L")).collect();
        let last_day = days.len() < day.split(',').count();
        let weekdays = WEEKDAY.parse(weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: if days.is_empty() { 0 } else { DAY.parse(&days.join(","))? },
            last_day,
            months: MONTH.parse(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if cron.is_possible() { Ok(cron) } else { Err(InvalidCron::Impossible) }
    }
}

impl Cron {
    /// Is there a month that has such a day? Every date falls on every day of the week sooner or later.
    fn is_possible(&self) -> bool {
        const LONGEST_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let fits = |(month, length): (u32, u32)| has(self.months, month) && (1..=length).any(|day| has(self.days, day));
        self.either_day || self.last_day || (1..).zip(LONGEST_MONTHS).any(fits)
    }

    fn fits_day(&self, date: NaiveDate) -> bool {
        if !has(self.months, date.month()) {
            return false;
        }
        let last = || self.last_day && date.succ_opt().is_none_or(|next| next.day() == 1);
        let day = has(self.days, date.day()) || last();
        let weekday = has(self.weekdays, date.weekday().num_days_from_sunday());
        if self.either_day { day || weekday } else { day && weekday }
    }

    /// The first local time that fits after `local`; `None` when the next twenty years have none.
    pub fn next_local(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let today = self.fits_day(local.date()).then(|| self.next_time(Some(local.time()))).flatten();
        if let Some(time) = today {
            return Some(local.date().and_time(time));
        }
        let first = self.next_time(None)?;
        let mut dates = (1..=HORIZON).map_while(|n| local.date().checked_add_days(Days::new(n)));
        dates.find(|date| self.fits_day(*date)).map(|date| date.and_time(first))
    }

    /// The first time of a day, or the first after this one.
    fn next_time(&self, after: Option<NaiveTime>) -> Option<NaiveTime> {
        let (hour, minute) = after.map_or((0, 0), |time| (time.hour(), time.minute() + 1));
        let in_hour = |minutes: u64| (minutes != 0).then(|| minutes.trailing_zeros());
        let rest = if minute > 59 { 0 } else { self.minutes >> minute << minute };
        if let Some(minute) = in_hour(rest).filter(|_| has(self.hours, hour)) {
            return NaiveTime::from_hms_opt(hour, minute, 0);
        }
        // Past the hour in question, or at the start of the day when it does not fit.
        let later = self.hours >> (hour + 1) << (hour + 1);
        NaiveTime::from_hms_opt(in_hour(later)?, in_hour(self.minutes)?, 0)
    }
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
