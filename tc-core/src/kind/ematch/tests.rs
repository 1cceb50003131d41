use bytes::BytesMut;

use super::tree::Item;
use super::*;
use crate::kind::OptionWords;
use crate::kind::print::{Form, Printer, Style};
use crate::kind::words::{WordError, Words};
use crate::wire::attr::{Attr, Attrs, Reader};
use crate::wire::verb::Verb;

/// An ematch with one number, or a text.
#[derive(Clone, Debug, PartialEq)]
struct Test(Vec<u8>);

crate::register_ematch!(Test);

impl Ematch for Test {
    const KIND: u16 = 250;
    const NAME: &'static str = "test";
    const USAGE: &'static str = "Usage: test(TEXT)\n";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        out.put_u32(self.0.len() as u32);
        out.put(&self.0);
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let length = reader.u32()? as usize;
        reader.bytes(length).map(|bytes| Self(bytes.to_vec()))
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        let text = args.bytes().map(<[u8]>::to_vec).ok_or_else(|| args.lacking("test: missing text"))?;
        if text == b"wrong" {
            return Err(args.wrong("test: wrong text"));
        }
        args.end("test: unexpected trailer")?;
        Ok(Self(text))
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        out.push_str(&String::from_utf8_lossy(&self.0));
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        match self.0.iter().all(u8::is_ascii_alphanumeric) {
            true => Some(String::from_utf8_lossy(&self.0).into_owned()),
            false => Some(quote(&self.0)),
        }
    }
}

fn parse(words: &[&str]) -> Result<(Ematches, usize), String> {
    let mut words = Words::new(words);
    let tree = Ematches::parse_words(&mut words, &WordsContext::new(Verb::Add));
    tree.map(|tree| (tree, words.rest().len())).map_err(|error| error.to_string())
}

fn encoded(tree: &Ematches) -> Result<BytesMut, EncodeError> {
    let mut buffer = BytesMut::from(&[0xa5; 4096][..]);
    buffer.clear();
    let mut out = AttrWriter::new(&mut buffer);
    tree.encode(2, &mut out)?;
    out.finish()?;
    Ok(buffer)
}

fn decoded(bytes: &[u8]) -> Result<Ematches, DecodeError> {
    match Attrs::new(bytes).next() {
        Some(attr) => Ematches::decode(&attr?),
        None => Ok(Ematches::default()),
    }
}

fn printed(tree: &Ematches, form: Form) -> String {
    let mut out = Printer::new(form, Style::default());
    out.object("", |out| tree.print(out));
    out.as_str().to_owned()
}

/// The kind, the flags and the reference of each term.
fn terms(bytes: &[u8]) -> Vec<(u16, u16, u32)> {
    let tree = Attrs::new(bytes).next().unwrap().unwrap();
    let list = tree.attrs().find(2).unwrap().unwrap();
    let term = |attr: Attr<'_>| {
        let mut reader = attr.reader();
        reader.skip(2).unwrap();
        let (kind, flags) = (reader.u16().unwrap(), reader.u16().unwrap());
        reader.skip(2).unwrap();
        (kind, flags, if kind == 0 { reader.u32().unwrap() } else { 0 })
    };
    list.attrs().map(|attr| term(attr.unwrap())).collect()
}

#[test]
fn groups_follow_the_terms_as_in_tc() {
    // tc 6.1 sends the same order: not (A or B) and (C and (D)).
    let (tree, _) = parse(&["not (test(a) or test(b)) AND (test(c) and (test(d)))"]).unwrap();
    let bytes = encoded(&tree).unwrap();
    let list = [(0, 5, 2), (0, 0, 4), (250, 2, 0), (250, 0, 0), (250, 1, 0), (0, 0, 6), (250, 0, 0)];
    assert_eq!(terms(&bytes), list);
    assert_eq!(decoded(&bytes), Ok(tree));
}

#[test]
fn expressions_are_printed_as_tc_prints_them() {
    for (words, text) in [
        ("test(a)", "\n  test(a)\n"),
        ("not test(a) and test(b)", "\n  NOT test(a)\n  AND test(b)\n"),
        (
            "test(a) and not (test(b) or test(c))",
            "\n  test(a)\n  AND NOT (\n    test(b)\n    OR test(c)\n  ) ",
        ),
        ("(test(a) and test(b)) or test(c)", "\n  (\n    test(a)\n    AND test(b)\n  ) OR test(c)\n"),
        ("((test(a)))", "\n  (\n    (\n      test(a)\n    )   ) "),
    ] {
        let (tree, _) = parse(&[words]).unwrap();
        assert_eq!(printed(&tree, Form::Text), text, "{words}");
        assert_eq!(tree.to_string(), words, "{words}");
        let json: serde_json::Value = serde_json::from_str(&printed(&tree, Form::Json)).unwrap();
        assert_eq!(json, serde_json::json!({"ematch": words}));
    }
}

#[test]
fn words_are_read_up_to_the_first_that_does_not_continue() {
    let same = parse(&["test(a) and not (test(b) or test(c))"]).unwrap().0;
    for (words, left) in [
        (&["test(a)", "and", "not", "(", "test(b)", "or", "test(c)", ")"][..], 0),
        (&["test(a) AND", "", "NoT", "(test(b) or", "test(c))", "classid", "1:1"], 2),
        (&["test", "(", "a", ")", "and not (test(b)", "or test(c))", ")"], 1),
        (&["test(a)and not(test(b)or test(c))", "not", "x"], 2),
    ] {
        assert_eq!(parse(words), Ok((same.clone(), left)), "{words:?}");
    }
}

#[test]
fn text_in_quotes_has_the_escapes_of_c() {
    for (words, text) in [
        (&[r#"test("a b")"#][..], &b"a b"[..]),
        (&[r#"test("a"#, r#"b")"#], b"a b"),
        (&[r#"test("\101\x42\n\"c\q\\")"#], b"AB\n\"cq\\"),
        (&[r#"test("\t\r\v\b\f\a\0\xfff")"#], b"\t\r\x0b\x08\x0c\x07\0\xfff"),
        (&[r#"test("and")"#], b"and"),
        (&["test(a\"b\")"], b"a\"b\""),
        (&["test(gr\u{fc}n)"], "gr\u{fc}n".as_bytes()),
        (&["test(\u{10ffe9})"], b"\xe9"),
    ] {
        let (tree, _) = parse(words).unwrap();
        assert_eq!(tree, Ematches::new(Test(text.to_vec())), "{words:?}");
    }
    let all: Vec<u8> = (0..=255).collect();
    let tree = Ematches::new(Test(all));
    let words = tree.to_string();
    assert!(!words[6..].contains([' ', '#', '\'']), "{words}");
    assert_eq!(parse(&[&words]), Ok((tree, 0)));
}

#[test]
fn the_place_of_an_error_is_marked() {
    let usage = "Usage: EXPR\n\
                 where: EXPR  := TERM [ { and | or } EXPR ]\n\
                 \x20      TERM  := [ not ] { MATCH | '(' EXPR ')' }\n\
                 \x20      MATCH := module '(' ARGS ')'\n\
                 \x20      ARGS := ARG1 ARG2 ...\n\
                 \n\
                 Example: a(x y) and not (b(x) or c(x y z))\n";
    for (words, marked) in [
        (&["test(a"][..], ">>test(a<<"),
        (&["classid", "1:1"], "classid >>1:1<<"),
        (&["test(a)", "and", "classid", "1:1", "x"], "test(a) and classid >>1:1<<"),
        (&["test()"], ">>test()<<"),
        (&["test(a) x", "y"], ">>test(a) x<<"),
        (&["(test(a)", "y"], "(test(a) >>y<<"),
        (&["not not test(a)"], ">>not not test(a)<<"),
        (&[")"], ">>)<<"),
        (&["test(\"a)"], ">>test(\"a)<<"),
        (&[""], ">><<"),
        (&["test(not)"], ">>test(not)<<"),
    ] {
        let error = format!("Parse error: syntax error\n... {marked} ...\n{usage}Illegal \"ematch\"");
        assert_eq!(parse(words), Err(error), "{words:?}");
    }
    let octal = parse(&[r#"test("\0612")"#]).unwrap_err();
    assert!(octal.starts_with("error: invalid octale escape sequence\nParse error"), "{octal}");
    let large = parse(&[r#"test("\777")"#]).unwrap_err();
    assert!(large.starts_with("error: octal escape sequence out of range\nParse error"), "{large}");
    assert_eq!(parse(&["bla(x)"]), Err("Unknown ematch \"bla\"\nIllegal \"ematch\"".into()));
    assert_eq!(
        parse(&["test(a)", "and", "test(wrong x)", "drop"]),
        Err("test: wrong text\n... test(a) and >>test(wrong x)<< ...\n... test(>>wrong<< x)...\n\
             Usage: test(TEXT)\nIllegal \"ematch\""
            .into())
    );
    let mut none = Words::new(&[]);
    let none = Ematches::parse_words(&mut none, &WordsContext::new(Verb::Add));
    assert_eq!(none, Err(WordError::Incomplete));
}

/// No recursion: each of these would end a thread with a stack of two megabytes.
#[test]
fn expressions_of_any_depth_are_errors_and_no_overflow() {
    let nested = |depth: usize| format!("{}test(a){}", "(".repeat(depth), ")".repeat(depth));
    let (deepest, _) = parse(&[&nested(MAX_DEPTH)]).unwrap();
    assert_eq!(deepest.depth(), MAX_DEPTH);
    assert_eq!(decoded(&encoded(&deepest).unwrap()), Ok(deepest.clone()));
    assert_eq!(deepest.to_string(), nested(MAX_DEPTH));
    let text = format!(
        "an expression has at most {MAX_DEPTH} parentheses inside each other: the kernel's stack\n\
         Illegal \"ematch\""
    );
    for depth in [MAX_DEPTH + 1, 10_000, 200_000] {
        assert_eq!(parse(&[&nested(depth)]), Err(text.clone()));
    }
    let mut tree = Ematches::new(Test(b"a".to_vec()));
    for _ in 0..10_000 {
        tree = Ematches::new(!tree);
    }
    assert_eq!(tree.clone(), tree);
    assert!(matches!(encoded(&tree), Err(EncodeError::Invalid(_))));
    assert_eq!(tree.to_string().len(), 10_000 * "not ()".len() + "test(a)".len());
    assert!(format!("{tree:?}").len() > 10_000);
    // As the kernel could dump it: groups up to the end of the attribute.
    let count = 4_000u16;
    let mut wire = BytesMut::new();
    let mut out = AttrWriter::new(&mut wire);
    let mut nest = out.nest(2);
    nest.attr_u32(1, count.into());
    let mut list = nest.nest(2);
    for number in 1..=count {
        let mut term = list.nest(number);
        term.put_u64(0);
        match number == count {
            true => term.put(&[]),
            false => term.put_u32(number.into()),
        }
    }
    drop(list);
    drop(nest);
    out.finish().unwrap();
    // The last one is a group without a reference.
    assert!(decoded(&wire).is_err());
    let last = wire.len() - 8;
    wire[last + 2..last + 4].copy_from_slice(&77u16.to_ne_bytes());
    let tree = decoded(&wire).unwrap();
    assert_eq!(tree.depth(), usize::from(count) - 1);
    assert!(printed(&tree, Form::Text).contains("[unknown ematch 77]"));
    assert!(printed(&tree, Form::Json).contains("[unknown ematch 77]"));
}

#[test]
fn unknown_ematches_stay_as_bytes() {
    let simple = RawEmatch { simple: true, ..RawEmatch::new(77, &b"\x01\0\0\0"[..]) };
    let tree = Ematches::new(RawEmatch::new(99, &b"\x01\x02\x03\x04"[..])).or(!super::Term::from(simple));
    let bytes = encoded(&tree).unwrap();
    assert_eq!(terms(&bytes), [(99, 2, 0), (77, 12, 0)]);
    assert_eq!(decoded(&bytes), Ok(tree.clone()));
    assert_eq!(printed(&tree, Form::Text), "\n  [unknown ematch 99]\n  OR NOT [unknown ematch 77]\n");
    let mut words = OptionWords::new();
    tree.to_words(&mut words);
    assert_eq!(words.unsayable(), ["the ematch 99", "the ematch 77"]);
    // A number where the ematch has a struct: the kernel keeps it as a number.
    let data = RawEmatch::new(Test::KIND, &b"\x00\0\0\0"[..]);
    let simple = Ematches::new(RawEmatch { simple: true, ..data.clone() });
    assert_eq!(decoded(&encoded(&simple).unwrap()), Ok(simple));
    let read = decoded(&encoded(&Ematches::new(data)).unwrap());
    assert_eq!(read, Ok(Ematches::new(Test(Vec::new()))));
    // Data that an ematch cannot read.
    let short = Ematches::new(RawEmatch::new(Test::KIND, &b"\x09\0\0\0"[..]));
    assert_eq!(decoded(&encoded(&short).unwrap()), Ok(short));
    let group = Ematches::new(RawEmatch::new(0, &b"\x09\0\0\0"[..]));
    assert!(matches!(encoded(&group), Err(EncodeError::Invalid(_))));
}

/// A list of terms: kind, flags and reference.
fn list(of: &[(u16, u16, u32)]) -> BytesMut {
    let mut wire = BytesMut::new();
    let mut out = AttrWriter::new(&mut wire);
    let mut nest = out.nest(2);
    nest.attr_u32(1, of.len() as u32);
    let mut list = nest.nest(2);
    for ((kind, flags, reference), number) in of.iter().zip(1..) {
        let mut term = list.nest(number);
        [0, *kind, *flags, 0].into_iter().for_each(|field| term.put_u16(field));
        term.put_u32(*reference);
    }
    drop(list);
    drop(nest);
    out.finish().unwrap();
    wire
}

#[test]
fn impossible_references_are_errors() {
    for (terms, what) in [
        (&[(0, 0, 0)][..], "a group of itself"),
        (&[(0, 1, 1), (0, 0, 0)], "a group refers back"),
        (&[(0, 0, 2), (99, 0, 0), (0, 0, 1)], "a group refers back to a term of no group"),
        (&[(0, 0, 5)], "a group of nothing"),
        (&[(0, 1, 2), (0, 0, 2), (99, 0, 0)], "two groups have the same term"),
        (&[(0, 0, 1), (99, 1, 0)], "the last term continues"),
        (&[(99, 3, 0), (99, 0, 0)], "two relations"),
    ] {
        assert!(decoded(&list(terms)).is_err(), "{what}");
    }
    // A term of no group counts for nothing.
    let tree = decoded(&list(&[(99, 0, 0), (98, 0, 0)])).unwrap();
    assert_eq!(tree.terms().len(), 1);
    assert_eq!(decoded(&list(&[])), Ok(Ematches::default()));
}

#[test]
fn a_text_in_the_words_keeps_its_quotes_in_a_batch() {
    let said = |tree: &Ematches| {
        let mut words = OptionWords::new();
        tree.to_words(&mut words);
        words.lines().concat()
    };
    let tree = Ematches::new(Test(b"a".to_vec())).and(Test(b"'#\" ".to_vec()));
    assert_eq!(said(&tree), r#"match 'test(a) and test("\x27\x23\x22\x20")'"#);
    assert_eq!(said(&Ematches::new(Test(b"a".to_vec()))), "match test(a)");
    assert_eq!(said(&Ematches::default()), "");
}

#[test]
fn terms_of_a_tree_are_visited() {
    let (tree, _) = parse(&["test(a) and not (test(b) or test(c))"]).unwrap();
    let terms: Vec<_> = tree.terms().collect();
    let [(false, Node::Ematch(first), Some(Relation::And)), (true, Node::Group(group), None)] = terms[..]
    else {
        panic!("{terms:?}")
    };
    assert_eq!(first.downcast_ref::<Test>(), Some(&Test(b"a".to_vec())));
    assert_eq!((first.kind(), first.name(), first.raw()), (250, Some("test"), None));
    assert_eq!(group.terms().len(), 2);
}

#[test]
fn an_empty_group_is_left_out() {
    let empty = Ematches::new(Ematches::default());
    assert!(empty.is_empty());
    assert_eq!(empty.clone().and(!empty), Ematches::default());
    let one = Ematches::new(Test(b"a".to_vec()));
    assert_eq!(one.clone().or(Ematches::default()), one);
    assert_eq!(encoded(&Ematches::default()), Ok(BytesMut::new()));
    assert!(matches!(one.sequences[0][0].item, Item::Ematch(_)));
}
