//! Numbers with units: any text is an error or a value; what is printed of a value reads back as it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tc_core::Handle;
use tc_core::units;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = (units::parse_u64(text), units::parse_u32(text), units::parse_u16(text), units::parse_u8(text));
    let _ = (units::parse_i32(text), units::parse_percent(text), units::parse_rate32(text));
    let _ = (units::split_number(text), units::parse_decimal::<u32>(text), units::parse_hex::<u32>(text));
    if let Ok(rate) = units::parse_rate(text) {
        // A rate is a whole number of bytes a second.
        assert_eq!(units::parse_rate(&format!("{rate}bps")), Ok(rate), "{text}");
    }
    if let Ok(bytes) = units::parse_size(text) {
        assert_eq!(units::parse_size(&format!("{bytes}b")), Ok(bytes), "{text}");
    }
    if let Ok(us) = units::parse_time_us(text) {
        assert_eq!(units::parse_time_us(&format!("{us}us")), Ok(us), "{text}");
    }
    if let Ok(ns) = units::parse_time_ns(text)
        && ns.unsigned_abs() < 1 << 53
    {
        assert_eq!(units::parse_time_ns(&format!("{ns}ns")), Ok(ns), "{text}");
    }
    let handles = [Handle::parse_qdisc(text).map_err(drop), text.parse().map_err(drop)];
    for handle in handles.into_iter().flatten().filter(|handle| !handle.is_unspec()) {
        let shown = handle.to_string();
        assert_eq!(shown.parse().map_err(drop), Ok(handle), "{text} is shown as {shown}");
    }
});
