use super::*;
use crate::kind::words::Environment;
use crate::wire::verb::Verb;
use bytes::BytesMut;

#[test]
#[cfg_attr(target_endian = "big", ignore = "its bytes are of a little-endian machine")]
fn the_struct_reads_back_and_keeps_a_wide_rate_beside_it() {
    let mut spec = RateSpec { overhead: 4, mpu: 64, ..RateSpec::new(Rate::bytes_per_second(5_000_000_000)) };
    spec.set_cells(1600, None);
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    spec.encode(&mut out);
    out.finish().unwrap();
    assert_eq!(&buffer[..], [3, 1, 4, 0, 0xff, 0xff, 64, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(RateSpec::decode(&mut Reader::new(&buffer), spec.wide_rate()), Ok(spec));
}

#[test]
fn atm_counts_whole_cells() {
    assert_eq!(LinkLayer::Atm.size_on_wire(1, 0), 53);
    assert_eq!(LinkLayer::Atm.size_on_wire(49, 0), 106);
    assert_eq!(LinkLayer::Ethernet.size_on_wire(1, 64), 64);
}

#[test]
#[cfg_attr(target_endian = "big", ignore = "its bytes are of a little-endian machine")]
fn a_table_counts_with_the_rate_in_the_struct() {
    let table = |rate| {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        RateSpec { cell_log: 3, ..RateSpec::new(Rate::bytes_per_second(rate)) }.encode_table(2, &mut out);
        out.finish().unwrap();
        buffer
    };
    assert_eq!(table(5_000_000_000), table(u32::MAX.into()));
    // 8 and 16 bytes at 125,000 a second: 64 and 128 us.
    assert_eq!(table(125_000)[..12], [4, 4, 2, 0, 0xe8, 3, 0, 0, 0xd0, 7, 0, 0]);
}

#[test]
fn sizes_have_a_cell_behind_a_slash() {
    assert_eq!(parse_size_and_cell("32kb"), Ok((32768, None)));
    assert_eq!(parse_size_and_cell("1600/8"), Ok((1600, Some(3))));
    assert_eq!(parse_size_and_cell("1600/0x10"), Ok((1600, Some(4))));
    // tc drops the text after the slash, except if only the power is wrong.
    for (word, shown) in [("x", "x"), ("x/8", "x"), ("9/x", "9"), ("9/7", "9/7"), ("9/0", "9/0")] {
        assert_eq!(parse_size_and_cell(word), Err(shown));
    }
}

#[derive(Debug)]
struct Gigabit;

impl Environment for Gigabit {
    fn link_speed_mbit(&self, dev: &str) -> Result<u64, String> {
        if dev == "eth0" { Ok(1000) } else { Err("Failed to parse".into()) }
    }
}

#[test]
fn a_rate_can_be_a_share_of_the_links() {
    let read = |word, dev| {
        let context = WordsContext { verb: Verb::Add, dev, environment: &Gigabit };
        parse_rate_of_link(word, &context)
    };
    for (word, rate) in [("1mbit", 125_000), ("50%", 62_500_000), ("33.3%x", 41_625_000), ("%", 0)] {
        assert_eq!(read(word, Some("eth0")), Ok(Rate::bytes_per_second(rate)), "{word}");
    }
    assert_eq!(read("fast", Some("eth0")), Err(String::new()));
    assert_eq!(read("5%", Some("lo")), Err("Failed to parse\n".into()));
    let range = "Invalid rate specified; should be between [0,100]% but is 150%\n";
    assert_eq!(read("150%", Some("eth0")), Err(range.into()));
    for word in ["-5%", "5%0", "x%", "5%%"] {
        let malformed = "Specified rate value could not be read or is malformed\n";
        assert_eq!(read(word, Some("eth0")), Err(malformed.into()), "{word}");
    }
    let no_device = "No device specified; specify device to rate limit by percentage\n";
    assert_eq!(read("5%", None), Err(no_device.into()));
}

const MBIT: u64 = 1_000_000;

#[test]
fn burst_is_rounded_up_and_never_to_no_ticks() {
    for gbit in [1, 10, 13, 100, 1600] {
        let rate = Rate::bits_per_second(gbit * 1000 * MBIT);
        assert_ne!(Burst::bytes(1600).time(rate), Some(0), "{gbit} Gbit/s");
        assert_eq!(Burst::bytes(1).time(rate), Some(1), "{gbit} Gbit/s");
        assert_eq!(Burst::bytes(0).time(rate), Some(0));
    }
    let fast = Rate::bits_per_second(100_000 * MBIT);
    assert_eq!(Burst::bytes(8 << 30).time(fast), Some(10_737_419), "8 GiB");
    assert_eq!(Burst::bytes(1000).time(Rate::bytes_per_second(1)), None, "1000 seconds");
    assert_eq!(Burst::bytes(1).time(Rate::ZERO), None);
}

#[test]
fn burst_reads_back_where_a_tick_is_no_longer_than_a_byte() {
    for mbit in [1, 3, 10, 100, 124] {
        let rate = Rate::bits_per_second(mbit * MBIT);
        for bytes in [1, 2, 64, 1514, 1600, 15_360, 123_457] {
            let read = Burst::from_time(Burst::bytes(bytes).time(rate).unwrap(), rate);
            assert_eq!(read.as_bytes(), bytes, "{mbit} Mbit/s");
        }
    }
    for gbit in [1, 10, 100] {
        let rate = Rate::bits_per_second(gbit * 1000 * MBIT);
        for bytes in [1600, 16_384, 1 << 20] {
            let read = Burst::from_time(Burst::bytes(bytes).time(rate).unwrap(), rate);
            assert!(read.as_bytes().abs_diff(bytes) < 8 * gbit, "{read:?} of {bytes}");
        }
    }
}

#[test]
fn burst_keeps_its_ticks_until_the_rate_changes() {
    let [fast, slow] = [100, 1].map(|mbit| Rate::bits_per_second(mbit * MBIT));
    for ticks in [0, 1, 15, 16, 2000, u32::MAX] {
        assert_eq!(Burst::from_time(ticks, fast).time(fast), Some(ticks));
        let spec = RateSpec::new(fast);
        assert_eq!(
            Burst::from_kernel_time(ticks, &spec, None).kernel_time(&spec).map(|(ticks, _)| ticks),
            Some(ticks)
        );
    }
    let read = Burst::from_time(2000, fast);
    assert_eq!((read.time(slow), read.as_bytes()), (Some(200_000), 1600));
    let framed = RateSpec { overhead: 24, ..RateSpec::new(fast) };
    let read = Burst::from_kernel_time(framed.kernel_ticks(1600) as u32, &framed, None);
    assert_eq!(read.kernel_time(&RateSpec::new(slow)), Some((200_000, Some(1600))));
}

#[test]
fn kernel_time_has_room_for_the_packets_that_fitted() {
    let spec = RateSpec::new(Rate::bits_per_second(10_000 * MBIT));
    for bytes in [1, 100, 1500, 1514, 1600, 9014] {
        let dumped = spec.kernel_ticks(bytes) as u32;
        let (ticks, sent) = Burst::from_kernel_time(dumped, &spec, None).kernel_time(&spec).unwrap();
        assert_eq!((ticks, spec.kernel_ticks(sent.unwrap()) as u32), (dumped, dumped));
        assert!(sent.unwrap() >= bytes, "{sent:?} of {bytes}");
    }
    assert_eq!(Burst::bytes(1 << 32).kernel_time(&spec), None, "32 bits of bytes");
}
