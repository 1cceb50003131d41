use super::*;

#[test]
fn rates_read_as_tc_reads_them() {
    for (text, bytes) in [
        ("1000", 125),
        ("1kbit", 125),
        ("1Kibit", 128),
        ("1.5mbit", 187_500),
        ("10Gbit", 1_250_000_000),
        ("100gbit", 12_500_000_000),
        ("1bps", 1),
        ("1KiBps", 1024),
        ("1e3kbit", 125_000),
        ("7", 0),
    ] {
        assert_eq!(parse_rate(text), Ok(bytes), "{text}");
    }
    for text in ["", "fast", "1 mbit", "1mb", "-1kbit", "inf", "nan", "1e400", "1kbitx", "."] {
        assert!(parse_rate(text).is_err(), "{text:?} is no rate");
    }
    assert_eq!(parse_rate32("34359738360"), Ok(u32::MAX));
    assert!(parse_rate32("34359738368").is_err());
}

#[test]
fn sizes_read_as_tc_reads_them() {
    for (text, bytes) in [
        ("1600", 1600),
        ("32kb", 32768),
        ("1M", 1 << 20),
        ("1kbit", 128),
        ("0.5k", 512),
        ("4294967295", u32::MAX),
        ("1gb", 1 << 30),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "4294967296", "4gb", "-1", "1t", "32 kb", "kb", "1e20"] {
        assert!(parse_size(text).is_err(), "{text:?} is no size");
    }
}

#[test]
fn times_read_as_tc_reads_them() {
    for (text, us) in [("5ms", 5000), ("1.5s", 1_500_000), ("20", 20), ("20usec", 20), ("2SECS", 2_000_000)] {
        assert_eq!(parse_time_us(text), Ok(us), "{text}");
    }
    assert!(parse_time_us("1ns").is_err() && parse_time_us("5000s").is_err() && parse_time_us("-1").is_err());
    assert_eq!(parse_time_ns("-1.5us"), Ok(-1500));
    assert_eq!(parse_time_ns("7"), Ok(7));
}

#[test]
fn whole_numbers_read_in_three_bases() {
    assert_eq!(parse_u32("10"), Ok(10));
    assert_eq!(parse_u32("0x1F"), Ok(31));
    assert_eq!(parse_u32("010"), Ok(8));
    assert_eq!(parse_u32("0"), Ok(0));
    assert_eq!(parse_i32("-0x10"), Ok(-16));
    assert_eq!(parse_i32("-2147483648"), Ok(i32::MIN));
    for text in ["", "-1", "4294967296", "1x", "0x", "08", " 1", "+-1", "0x+1"] {
        assert!(parse_u32(text).is_err(), "{text:?} is no number");
    }
    assert!(parse_i32("--1").is_err() && parse_i32("2147483648").is_err());
}

#[test]
fn rates_print_as_tc_prints_them() {
    for (bits, text) in [
        (20_000u64, "20Kbit"),
        (1_500_000, "1500Kbit"),
        (1_234_568, "1234Kbit"),
        (999_992, "999992bit"),
        (1_000_000_000, "1Gbit"),
        (10_000_000_000_000, "10Tbit"),
        (8, "8bit"),
        (0, "0bit"),
        (1000, "1Kbit"),
    ] {
        assert_eq!(PrintRate { bytes: bits / 8, iec: false }.to_string(), text);
    }
    assert_eq!(PrintRate { bytes: 128, iec: true }.to_string(), "1Kibit");
}

#[test]
fn sizes_print_as_tc_prints_them() {
    for (bytes, text) in [
        (1600, "1600b"),
        (1039, "1Kb"),
        (1040, "1040b"),
        (65535, "64Kb"),
        (1 << 20, "1Mb"),
        (1 << 30, "1024Mb"),
        (0, "0b"),
    ] {
        assert_eq!(PrintSize(bytes).to_string(), text);
    }
}

#[test]
fn times_print_as_tc_prints_them() {
    for (us, text) in [
        (200, "200us"),
        (5000, "5ms"),
        (1_500_000, "1.5s"),
        (600_000_000, "600s"),
        (12_345, "12.3ms"),
        (4_000_000_000, "4e+03s"),
    ] {
        assert_eq!(PrintTime(us).to_string(), text);
    }
    assert_eq!(PrintTimeNs(300_000).to_string(), "300us");
}

#[test]
fn numbers_print_as_c_prints_them() {
    for (number, precision, text) in [
        (0.0, 6, "0"),
        (0.1, 6, "0.1"),
        (100.0, 6, "100"),
        (1e6, 6, "1e+06"),
        (999_999.5, 6, "1e+06"),
        (0.0001, 6, "0.0001"),
        (0.00001, 6, "1e-05"),
        (-2.5, 6, "-2.5"),
        (99.96, 3, "100"),
        (1.0 / 3.0, 6, "0.333333"),
    ] {
        assert_eq!(PrintG(number, precision).to_string(), text);
    }
}

#[test]
fn a_burst_survives_the_way_through_ticks() {
    assert_eq!(transmit_ticks(125_000, 1600), 200_000);
    assert_eq!(transmit_bytes(125_000, 200_000), 1600);
    assert_eq!(transmit_ticks(0, 1600), 0, "a zero rate is no division by zero");
}

#[test]
fn numbers_over_32_bits_are_cut_or_reported() {
    assert_eq!(transmit_ticks(1, 1600), 0xd21d_ba00, "25,000,000,000 ticks");
    assert_eq!(checked_transmit_ticks(1, 1600), None);
    assert_eq!(checked_transmit_ticks(0, 1600), None);
    assert_eq!(checked_transmit_ticks(1, 274), Some(transmit_ticks(1, 274)));
    assert_eq!(checked_transmit_ticks(1, 275), None);
    for (number, cut) in [(-1.0, u32::MAX), (4_294_967_297.5, 1), (f64::NAN, 0), (1e19, 0)] {
        assert_eq!(cut_u32(number), cut, "{number}");
    }
}

#[test]
fn whole_numbers_read_in_one_base() {
    assert_eq!(parse_decimal::<u16>("010"), Ok(10));
    assert!(parse_decimal::<u16>("65536").is_err() && parse_decimal::<u32>("0x10").is_err());
    assert_eq!((parse_hex::<u32>("0x20"), parse_hex::<u32>("fffe")), (Ok(0x20), Ok(0xfffe)));
    assert!(parse_hex::<u32>("").is_err() && parse_hex::<u32>("0xg").is_err());
}
