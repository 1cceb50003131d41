//! Captures in the format of libpcap.

/// The frames of a capture, at most `count`.
pub(super) fn frames(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>, String> {
    let header = bytes.get(..HEADER).ok_or("the file is shorter than the header of a capture")?;
    let number: fn([u8; 4]) -> u32 = match word(header, 0) {
        Some(magic) if is_magic(u32::from_le_bytes(magic)) => u32::from_le_bytes,
        Some(magic) if is_magic(u32::from_be_bytes(magic)) => u32::from_be_bytes,
        Some(PCAPNG) => return Err("pcapng is not read; \"editcap -F pcap\" converts it".into()),
        _ => return Err("this is no capture".into()),
    };
    match word(header, 20).map(number).map(|link| link & 0x0fff_ffff) {
        Some(ETHERNET) => {}
        link => return Err(format!("the link type {} is not Ethernet", link.unwrap_or_default())),
    }
    let (mut rest, mut frames) = (&bytes[HEADER..], Vec::new());
    while frames.len() < count && !rest.is_empty() {
        let cut = || format!("packet {} is cut", frames.len() + 1);
        let length = word(rest, 8).map(number).ok_or_else(cut)? as usize;
        let end = length.checked_add(RECORD).ok_or_else(cut)?;
        let frame = rest.get(RECORD..end).ok_or_else(cut)?;
        frames.push(frame);
        rest = &rest[end..];
    }
    Ok(frames)
}

fn word(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

/// With times in microseconds or in nanoseconds.
const fn is_magic(number: u32) -> bool {
    matches!(number, 0xa1b2_c3d4 | 0xa1b2_3c4d)
}

const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const ETHERNET: u32 = 1;
/// The size of the file's header.
const HEADER: usize = 24;
/// The size of a record's header.
const RECORD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(number: fn(u32) -> [u8; 4], link: u32, frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = number(0xa1b2_c3d4).to_vec();
        bytes.extend([0; 16]);
        bytes.extend(number(link));
        for frame in frames {
            bytes.extend([0; 8]);
            bytes.extend(number(frame.len() as u32));
            bytes.extend(number(frame.len() as u32));
            bytes.extend(*frame);
        }
        bytes
    }

    #[test]
    fn frames_of_both_byte_orders_are_read() {
        for number in [u32::to_le_bytes, u32::to_be_bytes] {
            let bytes = capture(number, 1, &[b"one", b"three", b"x"]);
            assert_eq!(frames(&bytes, 2), Ok(vec![&b"one"[..], b"three"]));
            assert_eq!(frames(&bytes, 9).map(|frames| frames.len()), Ok(3));
            let cut = frames(&bytes[..bytes.len() - 1], 9);
            assert_eq!(cut, Err("packet 3 is cut".into()));
        }
    }

    #[test]
    fn other_files_are_refused() {
        let bytes = capture(u32::to_le_bytes, 113, &[]);
        assert_eq!(frames(&bytes, 9), Err("the link type 113 is not Ethernet".into()));
        for bytes in [&b""[..], b"short", &[0; 24], &[0x0a, 0x0d, 0x0d, 0x0a].repeat(6)] {
            assert!(frames(bytes, 9).is_err());
        }
    }
}
