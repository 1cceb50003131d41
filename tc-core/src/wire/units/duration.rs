//! Times in fields of 32 bits.

use std::time::Duration;

use crate::wire::error::EncodeError;

/// A time in whole microseconds, rounded up: no time but 0 becomes 0.
///
/// Fails, with the name of the field, above 4294.967295 s.
///
/// ```
/// use std::time::Duration;
/// use tc_core::units::micros;
///
/// assert_eq!(micros("target", Duration::from_millis(5)), Ok(5000));
/// assert_eq!(micros("target", Duration::from_nanos(1)), Ok(1));
/// let error = micros("target", Duration::from_secs(5000)).unwrap_err();
/// assert_eq!(error.to_string(), "target: 5000s is above 4294.967295s");
/// ```
pub fn micros(field: &str, time: Duration) -> Result<u32, EncodeError> {
    units(field, time, Duration::from_micros(1))
}

/// A time in whole milliseconds, rounded up; fails above 4294967.295 s.
pub fn millis(field: &str, time: Duration) -> Result<u32, EncodeError> {
    units(field, time, Duration::from_millis(1))
}

/// A time in nanoseconds; fails above 4.294967295 s.
pub fn nanos(field: &str, time: Duration) -> Result<u32, EncodeError> {
    units(field, time, Duration::from_nanos(1))
}

fn units(field: &str, time: Duration, unit: Duration) -> Result<u32, EncodeError> {
    let units = time.as_nanos().div_ceil(unit.as_nanos());
    u32::try_from(units)
        .map_err(|_| EncodeError::Invalid(format!("{field}: {time:?} is above {:?}", unit * u32::MAX)))
}
