//! Kinds of numbers, and of truth. Accepted ones are finite and within their limits.

use super::error::ConfigError;
use super::key::Form;
use super::kinds::{Given, Kind};
use super::value::Value;
use crate::bytes::{parse_bytes, show_bytes};
use crate::duration::{parse_duration, show_duration};
use crate::share::{instead_of_number, parse_share, show_share};

/// The most replicas a service may have: a bound against slips of the finger, far above any host.
pub(crate) const REPLICAS_MAX: u32 = 100_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
/// The most cores one replica may be given: beyond any machine, and far from where sums overflow.
const CORES_MAX: f64 = 10_000.0;

pub(crate) const FLAG: Kind<bool> = Kind::of(Form::Flag, flag);
pub(crate) const CORES: Kind<f64> = Kind::of(Form::Cores, cores);

fn flag(given: Given<'_>) -> Result<bool, ConfigError> {
    match given.node.value {
        Value::Flag(flag) => Ok(flag),
        _ => Err(given.not_like("true or false", "true")),
    }
}

fn cores(given: Given<'_>) -> Result<f64, ConfigError> {
    let cores = match &given.node.value {
        Value::Real(number) => *number,
        #[expect(clippy::cast_precision_loss, reason = "whole numbers this large are refused")]
        Value::Whole(number) => *number as f64,
        _ => f64::NAN,
    };
    if cores.is_nan() {
        Err(given.not_like("a number of cores", "0.5"))
    } else if cores <= 0.0 {
        Err(given.out_of_range("above 0"))
    } else {
        within(given, cores, 0.0, CORES_MAX, |limit| limit.to_string())
    }
}

pub(crate) const fn count(from: u32, to: u32) -> Kind<u32> {
    Kind::of(Form::Whole { from, to }, whole)
}

fn whole(given: Given<'_>) -> Result<u32, ConfigError> {
    let Form::Whole { from, to } = given.key.form else { return Err(given.of_another_form()) };
    let number = match &given.node.value {
        Value::Whole(number) => *number,
        Value::Text(text) if text.parse::<u32>().is_ok() => {
            return Err(given.not_like("a whole number", text));
        }
        _ => return Err(given.not_like("a whole number", &from.max(2).to_string())),
    };
    within(given, number, i64::from(from), i64::from(to), |limit| limit.to_string())?;
    u32::try_from(number).map_err(|_| given.out_of_range(&format!("at most {to}")))
}

/// A time in milliseconds.
pub(crate) const fn duration(from_ms: u64, to_ms: u64) -> Kind<u64> {
    Kind::of(Form::Duration { from_ms, to_ms }, time)
}

fn time(given: Given<'_>) -> Result<u64, ConfigError> {
    let Form::Duration { from_ms, to_ms } = given.key.form else {
        return Err(given.of_another_form());
    };
    match &given.node.value {
        Value::Text(text) => {
            let ms =
                parse_duration(text).map_err(|error| given.not_a("a duration", error.hint()))?;
            within(given, ms, from_ms, to_ms, show_duration)
        }
        Value::Whole(number) => {
            let hint = format!("write \"{number}s\" for seconds; units: ms, s, m, h, d");
            Err(given.not_a("a duration", (*number >= 0).then_some(hint)))
        }
        _ => Err(given.not_like("a duration", "\"30s\"")),
    }
}

pub(crate) const fn bytes(from: u64, to: u64) -> Kind<u64> {
    Kind::of(Form::Bytes { from, to }, amount)
}

fn amount(given: Given<'_>) -> Result<u64, ConfigError> {
    let Form::Bytes { from, to } = given.key.form else { return Err(given.of_another_form()) };
    let wanted = "an amount of memory";
    let text = match &given.node.value {
        Value::Text(text) => text.clone(),
        Value::Whole(number) => number.to_string(),
        _ => return Err(given.not_like(wanted, "\"256MiB\"")),
    };
    let bytes = parse_bytes(&text).map_err(|error| given.not_a(wanted, error.hint()))?;
    within(given, bytes, from, to, show_bytes)
}

pub(crate) const fn share(to: f64) -> Kind<f64> {
    Kind::of(Form::Share { above_zero: false, to }, fraction)
}

pub(crate) const fn share_above_zero(to: f64) -> Kind<f64> {
    Kind::of(Form::Share { above_zero: true, to }, fraction)
}

fn fraction(given: Given<'_>) -> Result<f64, ConfigError> {
    let Form::Share { above_zero, to } = given.key.form else {
        return Err(given.of_another_form());
    };
    let share = match &given.node.value {
        Value::Text(text) => {
            parse_share(text).map_err(|error| given.not_a("a share", error.hint()))?
        }
        #[expect(clippy::cast_precision_loss, reason = "only for the words of a hint")]
        Value::Whole(number) => {
            return Err(given.not_a("a share", instead_of_number(*number as f64)));
        }
        Value::Real(number) => return Err(given.not_a("a share", instead_of_number(*number))),
        _ => return Err(given.not_like("a share", "\"30%\"")),
    };
    if above_zero && share <= 0.0 {
        return Err(given.out_of_range("above 0%"));
    }
    within(given, share, 0.0, to, show_share)
}

/// That `value` is between the limits, which `show` shows.
fn within<T: PartialOrd>(
    given: Given<'_>,
    value: T,
    from: T,
    to: T,
    show: impl Fn(T) -> String,
) -> Result<T, ConfigError> {
    if value < from {
        Err(given.out_of_range(&format!("at least {}", show(from))))
    } else if value > to {
        Err(given.out_of_range(&format!("at most {}", show(to))))
    } else {
        Ok(value)
    }
}
