use bytes::BytesMut;
use tc_core::ematch::Ematches;
use tc_core::print::{Form, Printer, Style};
use tc_core::words::{Environment, Words, WordsContext};
use tc_core::{AttrWriter, Attrs, EncodeError, OptionWords, Verb};

use super::canid::{CanRule, Canid};
use super::cmp::{Align, Cmp};
use super::ipset::{Direction, Ipset};
use super::meta::{Field, FieldId, Meta, Object};
use super::nbyte::Nbyte;
use super::text::Text;
use super::u32::U32;
use super::{Layer, Operand};

/// A machine with the netfilter set `bulk`.
#[derive(Debug)]
struct Sets;

impl Environment for Sets {
    fn ipset_index(&self, name: &str) -> Result<u16, String> {
        match name {
            "bulk" => Ok(3),
            "denied" => Err("Operation not permitted".into()),
            _ => Err(String::new()),
        }
    }
}

pub(crate) fn parse(words: &str) -> Result<Ematches, String> {
    let list = [words];
    let mut words = Words::new(&list);
    let context = WordsContext { environment: &Sets, ..WordsContext::new(Verb::Add) };
    Ematches::parse_words(&mut words, &context).map_err(|error| error.to_string())
}

/// The attribute of an expression, in a buffer that is dirty.
pub(crate) fn encoded(expression: &Ematches) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = BytesMut::from(&[0xa5; 4096][..]);
    buffer.clear();
    let mut out = AttrWriter::new(&mut buffer);
    expression.encode(2, &mut out)?;
    out.finish()?;
    Ok(buffer.to_vec())
}

fn decoded(bytes: &[u8]) -> Ematches {
    Ematches::decode(&Attrs::new(bytes).next().unwrap().unwrap()).unwrap()
}

/// The data of the only ematch, in hexadecimal.
fn data(expression: &Ematches) -> String {
    let bytes = encoded(expression).unwrap();
    let list = Attrs::new(&bytes).next().unwrap().unwrap().attrs().find(2).unwrap().unwrap();
    let term = list.attrs().next().unwrap().unwrap();
    term.payload.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn printed(expression: &Ematches) -> String {
    let mut out = Printer::new(Form::Text, Style::default());
    expression.print(&mut out);
    out.as_str().trim().to_owned()
}

#[test]
fn words_make_the_bytes_of_tc() {
    // The bytes of tc 6.1: struct tcf_ematch_hdr and the data.
    for (words, bytes, text) in [
        (
            "cmp(u8 at 9 layer 1 eq 6)",
            "0000010000000000060000000000000009000101",
            "cmp(u8 at 9 layer 1 eq 6)",
        ),
        (
            "cmp(u16 at 3 layer transport mask 0xff00 trans gt 20)",
            "00000100000000001400000000ff000003001212",
            "cmp(u16 at 3 layer 2 mask 0xff00 trans gt 20)",
        ),
        (
            "u32(u16 0x0050 0xffff at 20)",
            "0000030000000000ffff0000005000001400000000000000",
            "u32(00500000/ffff0000 at 20)",
        ),
        (
            "u32(u16 0x1122 0xffff at 2)",
            "00000300000000000000ffff000011220000000000000000",
            "u32(00001122/0000ffff at 0)",
        ),
        (
            "u32(u8 0x11 0xff at nexthdr+5)",
            "000003000000000000ff00000011000004000000ffffffff",
            "u32(00110000/00ff0000 at nexthdr+4)",
        ),
        (
            "u32(u8 0xaa 0xf0 at -14)",
            "00000300000000000000f0000000a000f0ffffff00000000",
            "u32(0000a000/0000f000 at -16)",
        ),
        (
            "nbyte(\"ababa\" at 12 layer 1)",
            "00000200000000000c0005106162616261000000",
            "nbyte(61 62 61 62 61 \"ababa\" at 12 layer 1)",
        ),
        (
            r#"nbyte("\101\x42\n\"c" at 0 layer l)"#,
            "00000200000000000000050041420a2263000000",
            "nbyte(41 42 0a 22 63 \"AB.\"c\" at 0 layer 0)",
        ),
        (
            "nbyte(abc at 0 layer t)",
            "00000200000000000000032061626300",
            "nbyte(61 62 63 \"abc\" at 0 layer 2)",
        ),
        (
            "meta(nf_mark gt 24)",
            "00000400000000000c0001000c1000010010000008000200000000000800030018000000",
            "meta(nf_mark gt 24)",
        ),
        (
            "meta(random mask 0xff lt 5)",
            "00000400000000000c000100011000020010000008000200ff0000000800030005000000",
            "meta(random mask 0x000000ff lt 5)",
        ),
        (
            "meta(5 eq 6)",
            "00000400000000000c000100001000000010000008000200050000000800030006000000",
            "meta(5 eq 6)",
        ),
        (
            "canid(sff 0x123 eff 0x1000:0xff00)",
            "000007000000000023010000ff0700800010008000ff0080",
            "canid(sff 0x123 eff 0x1000:0xFF00)",
        ),
        ("canid(sff 0xaabb:0x00ff)", "0000070000000000bbaa0000ff000080", "canid(sff 0x2BB:0xFF)"),
    ] {
        let expression = parse(words).unwrap();
        assert_eq!(data(&expression), bytes, "{words}");
        assert_eq!(printed(&expression), text, "{words}");
        let dumped = decoded(&encoded(&expression).unwrap());
        assert_eq!(dumped, expression, "{words}");
        let mut said = OptionWords::new();
        dumped.to_words(&mut said);
        assert!(said.unsayable().is_empty(), "{words}");
        let again = parse(&dumped.to_string()).unwrap();
        assert_eq!(again.to_string(), dumped.to_string(), "{words}");
    }
}

/// tc 6.1 leaves the type of the field a number, and the kernel refuses the comparison.
#[test]
fn a_text_makes_its_field_a_text() {
    for (words, bytes) in [
        ("meta(dev eq \"lo\")", "00000400000000000c00010005000000000000000600030".to_owned() + "06c6f0000"),
        (
            "meta(\"ppp\" eq dev shift 1)",
            "00000400000000000c000100000000000500010007000200".to_owned() + "70707000",
        ),
    ] {
        let expression = parse(words).unwrap();
        assert_eq!(data(&expression), bytes, "{words}");
        assert_eq!(expression.to_string(), words);
    }
    assert_eq!(printed(&parse("meta(dev eq \"lo\")").unwrap()), "meta(dev eq lo)");
    let wrong = Meta::new(Field::NF_MARK, Operand::Eq, "a");
    assert!(matches!(encoded(&Ematches::new(wrong)), Err(EncodeError::Invalid(_))));
    for words in ["meta(nf_mark eq \"a\")", "meta(\"a\" eq nf_mark)", "meta(5 eq \"a\")"] {
        let error = parse(words).unwrap_err();
        assert!(error.starts_with("lvalue and rvalue are not compatible."), "{error}");
    }
    // Two fields as texts, as other programs can send them.
    let both = Meta { is_text: true, ..Meta::new(Field::DEV, Operand::Eq, Field::SK_BIND_IF) };
    let expression = Ematches::new(both);
    assert_eq!(decoded(&encoded(&expression).unwrap()), expression);
    let mut said = OptionWords::new();
    expression.to_words(&mut said);
    assert_eq!(said.unsayable(), ["the ematch meta"]);
}

#[test]
fn wrong_arguments_have_tcs_text_and_mark() {
    for (words, first, marked) in [
        ("cmp(u7 at 9 eq 1)", "cmp: invalid alignment", "cmp(>>u7<< at 9 eq 1)"),
        (
            "cmp(u16 at 3 layer 5 gt 20)",
            "cmp: illegal layer, must be in 0..2",
            "cmp(u16 at 3 layer >>5<< gt 20)",
        ),
        ("cmp(u16 at 3 layer x gt 20)", "cmp: invalid layer", "cmp(u16 at 3 layer >>x<< gt 20)"),
        ("cmp(u16 at 3 gt -1)", "cmp: invalid value", "cmp(u16 at 3 gt >>-1<<)"),
        ("cmp(u8 gt 1)", "cmp: offset and value required", "cmp(u8 gt 1)"),
        ("cmp(u8 at)", "cmp: missing argument", "cmp(u8 >>at<<)"),
        ("cmp(u8 at 65536 eq 1)", "cmp: invalid offset, must be numeric", "cmp(u8 at >>65536<< eq 1)"),
        ("cmp(u8 at 1 bogus)", "nbyte: unknown parameter", "cmp(u8 at 1 >>bogus<<)"),
        ("nbyte(\"\" at 0)", "nbyte: needle length is 0", "nbyte(>><< at 0)"),
        ("nbyte(a layer 1)", "nbyte: offset required", "nbyte(a layer 1)"),
        ("nbyte(a at 1 2)", "nbyte: unknown parameter", "nbyte(a at 1 >>2<<)"),
        ("u32(u8 0x1122 0x0f at 0)", "Illegal key (>0xFF)", "u32(u8 0x1122 0x0f at >>0<<)"),
        ("u32(u16 1 0x10000 at 0)", "Illegal mask (>0xFFFF)", "u32(u16 1 0x10000 at >>0<<)"),
        ("u32(u8 0x77 0xff at)", "u32: missing offset", "u32(u8 0x77 0xff at)"),
        ("u32(u8 0x77 0xff 0)", "u32: missing \"at\"", "u32(u8 0x77 0xff >>0<<)"),
        ("u32(u8 at 12)", "u32: invalid key, must be numeric", "u32(u8 >>at<< 12)"),
        ("u32(u8 1 mask at 0)", "u32: invalid mask, must be numeric", "u32(u8 1 >>mask<< at 0)"),
        ("u32(u8)", "u32: missing key", "u32(u8)"),
        ("u32(u8 1)", "u32: missing mask", "u32(u8 1)"),
        (
            "u32(u32 1 1 at 2)",
            "u32: invalid offset alignment, must be aligned to 4.",
            "u32(u32 1 1 at >>2<<)",
        ),
        (
            "u32(u16 1 1 at 3)",
            "u32: invalid offset alignment, must be aligned to 2.",
            "u32(u16 1 1 at >>3<<)",
        ),
        ("u32(u8 1 1 at 0 0)", "u32: unexpected trailer", "u32(u8 1 1 at 0 >>0<<)"),
        ("meta(nope eq 1)", "meta: unknown meta id\n", "meta(>>nope<< eq 1)"),
        ("meta(dev)", "meta: missing operand", "meta(dev)"),
        ("meta(dev ne 1)", "meta: invalid operand", "meta(dev >>ne<< 1)"),
        ("meta(dev eq)", "meta: missing rvalue", "meta(dev eq)"),
        ("meta(dev eq 1 2)", "meta: unexpected trailer", "meta(dev eq 1 >>2<<)"),
        ("meta(dev shift 256 eq 1)", "meta: invalid shift, must be numeric", "meta(dev shift >>256<< eq 1)"),
        ("meta(dev mask 1 eq \"lo\")", "meta: a mask is for numbers alone", "meta(dev mask 1 eq lo)"),
        ("canid(xff 1)", "canid: invalid key", "canid(>>xff<< 1)"),
        ("canid(sff)", "canid: missing argument", "canid(sff)"),
        ("canid(sff y)", "canid: Improperly formed CAN ID & mask\n", "canid(sff >>y<<)"),
        ("canid(sff 80000001)", "canid: Improperly formed CAN ID & mask\n", "canid(sff >>80000001<<)"),
        ("ipset(foo src)", "ipset: unknown set name 'foo'", "ipset(>>foo<< src)"),
        ("ipset(bulk)", "ipset: missing set flags", "ipset(bulk)"),
        ("ipset(bulk src x)", "ipset: unknown parameter", "ipset(bulk src >>x<<)"),
    ] {
        let error = parse(words).unwrap_err();
        let expected = format!("{first}\n... >>{words}<< ...\n... {marked}...\nUsage: ");
        assert!(error.starts_with(&expected), "{words}:\n{error}\n{expected}");
        assert!(error.ends_with("\nIllegal \"ematch\""), "{error}");
    }
    let denied = parse("ipset(denied src)").unwrap_err();
    assert!(denied.starts_with("Operation not permitted\nipset: unknown set name 'denied'\n"), "{denied}");
    let side = parse("ipset(bulk up)").unwrap_err();
    assert!(
        side.starts_with("You must specify") && side.contains("\nipset: error parsing set flags\n"),
        "{side}"
    );
    let list = parse("meta(list)").unwrap_err();
    assert!(
        list.contains("\n  dev              INT,VAR\n") && list.ends_with("Illegal \"ematch\""),
        "{list}"
    );
    assert!(parse("text(a)").unwrap_err().starts_with("Unknown ematch \"text\""));
    assert!(parse(&format!("canid({})", "sff 1 ".repeat(401))).unwrap_err().starts_with("canid: Too many"));
    assert!(parse(&format!("canid({})", "sff 1 ".repeat(400))).is_ok());
    assert!(
        parse(&format!("nbyte({} at 0)", "a".repeat(4096)))
            .unwrap_err()
            .starts_with("nbyte: needle is longer")
    );
}

/// tc loses the offset and the flag.
#[test]
fn a_blank_after_nexthdr_changes_nothing() {
    assert_eq!(parse("u32(u16 1 1 at nexthdr+ 2)"), parse("u32(u16 1 1 at nexthdr+2)"));
}

#[test]
fn sets_are_known_by_name() {
    let expression = parse("ipset(bulk src,dst)").unwrap();
    let typed = Ipset::new(3, [Direction::Source, Direction::Destination]);
    assert_eq!(expression, Ematches::new(typed));
    assert_eq!(data(&expression), "000008000000000003000202");
    assert_eq!(decoded(&encoded(&expression).unwrap()), expression);
    assert_eq!(printed(&expression), "ipset([unknown set 3] src,dst)");
    for count in [0, 7] {
        let wrong = Ipset::new(0, vec![Direction::Source; count]);
        assert!(matches!(encoded(&Ematches::new(wrong)), Err(EncodeError::Invalid(_))), "{count}");
    }
}

#[test]
fn text_has_no_words_and_a_typed_form() {
    let text = Text::new("kmp", "GET ").from(Layer::Network, 20).to(Layer::Transport, 100);
    let expression = Ematches::new(text);
    assert_eq!(
        data(&expression),
        "00000500000000006b6d70000000000000000000000000001400640004002100".to_owned() + "47455420"
    );
    assert_eq!(decoded(&encoded(&expression).unwrap()), expression);
    assert_eq!(printed(&expression), "text(kmp 47 45 54 20 \"GET \" from 20 layer 1 to 100 layer 2)");
    for wrong in [Text::new("an algorithm of 16 bytes", "x"), Text::new("bm", vec![0; 65536])] {
        assert!(matches!(encoded(&Ematches::new(wrong)), Err(EncodeError::Invalid(_))));
    }
}

#[test]
fn reported_parameters_follow_the_kernel() {
    let rules = [CanRule::standard(1), CanRule::extended(2), CanRule::standard(3), CanRule::extended(4)];
    let dumped = Ematches::new(Canid::new(rules)).as_dumped();
    assert_eq!(dumped.to_string(), "canid(eff 0x2 eff 0x4 sff 0x1 sff 0x3)");
    // The kernel ignores a mask of 0.
    let cmp = Cmp::new(Align::U32, 0, Operand::Lt, u32::MAX).mask(0);
    let meta = Meta::new(Field::VLAN.mask(0), Operand::Eq, Field::NF_MARK.shift(3));
    let asked = Ematches::new(cmp).or(meta);
    assert_eq!(decoded(&encoded(&asked).unwrap()), asked.as_dumped());
    assert_eq!(printed(&asked), "cmp(u32 at 0 layer 1 lt -1)\n  OR meta(vlan eq nf_mark shift 3)");
    assert_eq!(asked.to_string(), "cmp(u32 at 0 layer 1 lt 4294967295) or meta(vlan eq nf_mark shift 3)");
}

/// The kernel reads 11 bits of a standard identifier, and dumps all.
#[test]
fn identifiers_of_can_keep_their_bits() {
    let expression = parse("canid(sff 0x1231:0xff00 sff 7)").unwrap();
    assert_eq!(printed(&expression), "canid(sff 0x231:0x700 sff 0x7)");
    assert_eq!(parse(&expression.to_string()), Ok(expression));
}

#[test]
fn values_without_words_are_named() {
    let unsayable = |expression: &Ematches| {
        let mut said = OptionWords::new();
        expression.to_words(&mut said);
        said.unsayable().to_vec()
    };
    let both_forms = CanRule { mask: 0x7ff, ..CanRule::standard(1) };
    assert_eq!(unsayable(&Ematches::new(Canid::new([both_forms]))), ["the ematch canid"]);
    assert_eq!(unsayable(&Ematches::new(U32::new(1, 1, 2))), ["the ematch u32"]);
    let unknown = Field::new(FieldId(36));
    let meta = Ematches::new(Meta::new(unknown, Operand::Eq, Object::Number(1)));
    assert_eq!(unsayable(&meta), ["the ematch meta"]);
    assert_eq!(printed(&meta), "meta([unknown meta id 36] eq 1)");
    assert_eq!(unsayable(&Ematches::new(Nbyte::new(Layer::Link, 0, *b"AND\xff"))), [""; 0]);
}

#[test]
fn data_that_cannot_be_read_stays() {
    for (what, words, at, byte) in [
        ("an alignment", "cmp(u8 at 9 eq 6)", 8 + 10, 3),
        ("a layer", "cmp(u8 at 9 eq 6)", 8 + 11, 3),
        ("an operand", "cmp(u8 at 9 eq 6)", 8 + 11, 0x31),
        ("the length of a text", "nbyte(abc at 0)", 8 + 2, 9),
        ("a mask of an offset", "u32(u32 0 0 at 0)", 8 + 12, 1),
        ("a type", "meta(nf_mark eq 24)", 8 + 5, 0),
        ("dimensions", "ipset(bulk src)", 8 + 2, 7),
    ] {
        let mut bytes = encoded(&parse(words).unwrap()).unwrap();
        // Headers of the tree, of its header, of the list and of the term come first.
        bytes[4 + 8 + 4 + 4 + at] = byte;
        let read = decoded(&bytes);
        let Some((_, tc_core::ematch::Node::Ematch(ematch), _)) = read.terms().next() else {
            panic!("{what}")
        };
        assert!(ematch.raw().is_some(), "{what}: {read:?}");
        assert_eq!(encoded(&read).as_deref(), Ok(&bytes[..]), "{what}");
    }
}
