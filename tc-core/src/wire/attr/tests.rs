use super::*;
use crate::wire::error::EncodeError;
use bytes::BytesMut;
use proptest::prelude::*;

#[test]
fn attributes_are_padded_with_zeros() {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    out.attr_str(1, "plug");
    out.attr_u8(2, 1);
    out.finish().unwrap();
    let head = |length: u16, kind: u16| [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    let expected = [&head(9, 1)[..], b"plug\0\0\0\0", &head(5, 2), b"\x01\0\0\0"].concat();
    assert_eq!(buffer, expected);
}

#[test]
fn a_nest_over_64_kib_is_an_error_and_not_a_wrong_length() {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    {
        let mut nest = out.nest(2);
        for _ in 0..2 {
            nest.attr(1, &[0; 40_000]);
        }
    }
    assert_eq!(out.finish(), Err(EncodeError::TooLong { attribute: 2 }));
    let mut out = AttrWriter::new(&mut buffer);
    out.attr(9, &[0; 65_532]);
    assert_eq!(out.finish(), Err(EncodeError::TooLong { attribute: 9 }));
}

#[test]
fn text_with_a_nul_inside_is_an_error_and_not_a_shorter_text() {
    for text in ["\0", "lo\0x"] {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        out.nest(2).attr_str(8, text);
        assert_eq!(out.finish(), Err(EncodeError::NulInside { attribute: 8 }), "{text:?}");
    }
}

#[test]
fn a_cancelled_nest_leaves_nothing() {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    let mut nest = out.nest(1);
    nest.put_u32(1);
    nest.cancel();
    out.finish().unwrap();
    assert!(buffer.is_empty());
}

#[test]
fn a_length_that_leads_outside_ends_the_walk_with_one_error() {
    for bytes in [&[3u8, 0, 1, 0][..], &[9, 0, 1, 0, 0, 0, 0, 0]] {
        let walk: Vec<_> = Attrs::new(bytes).collect();
        assert_eq!(walk, [Err(DecodeError::Malformed { what: "attribute length" })]);
    }
    assert_eq!(Attrs::new(&[1, 2]).count(), 0, "less than a header is padding");
}

proptest! {
    #[test]
    fn any_bytes_walk_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for attr in Attrs::new(&bytes).flatten() {
            let _ = (attr.u8(), attr.u64(), attr.str(), attr.attrs().count());
        }
    }

    #[test]
    fn what_is_written_is_read(attrs in proptest::collection::vec((0u16..100, proptest::collection::vec(any::<u8>(), 0..40)), 0..10)) {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        for (kind, payload) in &attrs {
            out.attr(*kind, payload);
        }
        out.finish().unwrap();
        let read: Vec<_> = Attrs::new(&buffer).map(|a| a.map(|a| (a.kind, a.payload.to_vec()))).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, attrs);
    }
}
