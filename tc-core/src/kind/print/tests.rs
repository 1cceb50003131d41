use super::*;

fn describe(out: &mut Printer) {
    out.item("rate", "rate ", Rate(125), " ");
    out.flag("ecn", "ecn ");
    out.array("map", |out| {
        for n in [1u8, 2] {
            out.item("", " ", n, "");
        }
    });
    out.object("inner", |out| out.item("name", " name ", "a\"b", ""));
    out.newline();
}

#[test]
fn one_description_makes_text_and_json() {
    let mut text = Printer::new(Form::Text, Style::default());
    text.object("", describe);
    assert_eq!(text.as_str(), "rate 1Kbit ecn  1 2 name a\"b\n");
    let mut json = Printer::new(Form::Json, Style::default());
    json.array("", |out| {
        out.object("", describe);
        out.object("", |_| {});
    });
    assert_eq!(json.as_str(), r#"[{"rate":125,"ecn":true,"map":[1,2],"inner":{"name":"a\"b"}},{}]"#);
}

#[test]
fn formatted_words_are_escaped_in_json() {
    let mut out = Printer::new(Form::Json, Style::default());
    out.object("", |out| out.item("a", "", Formatted(format_args!("{}:\"{}\"\n", 1, "x")), ""));
    assert_eq!(out.as_str(), r#"{"a":"1:\"x\"\n"}"#);
}

#[test]
fn pretty_json_is_laid_out_as_iproute2_does() {
    let mut out = Printer::new(Form::PrettyJson, Style::default());
    out.array("", |out| {
        out.object("", |out| {
            out.json("a", 1);
            out.array("b", |out| [1, 2].into_iter().for_each(|n| out.json("", n)));
            out.object("c", |_| {});
            out.array("d", |_| {});
        });
        out.object("", |out| out.object("e", |out| out.json("f", 1)));
    });
    let expected = [
        "[ {",
        "        \"a\": 1,",
        "        \"b\": [ 1,2 ],",
        "        \"c\": {},",
        "        \"d\": [ ]",
        "    },{",
        "        \"e\": {",
        "            \"f\": 1",
        "        }",
        "    } ]",
    ];
    assert_eq!(out.as_str(), expected.join("\n"));
}

#[test]
fn pretty_json_reads_back_as_the_same_value() {
    let print = |form| {
        let mut out = Printer::new(form, Style::default());
        out.array("", |out| out.object("", describe));
        serde_json::from_slice::<serde_json::Value>(out.bytes()).unwrap()
    };
    assert_eq!(print(Form::Json), print(Form::PrettyJson));
}

#[test]
fn output_is_closed_after_a_failure() {
    let mut out = Printer::new(Form::Json, Style::default());
    out.begin_array("");
    let depth = out.depth();
    out.begin_object("");
    out.begin_array("half");
    out.close_to(depth);
    out.end_array();
    assert_eq!(out.as_str(), r#"[{"half":[]}]"#);
}

#[test]
fn a_device_name_is_coloured_in_text_alone() {
    let style = Style { color: Some(Color::Light), oneline: true, ..Style::default() };
    let mut out = Printer::new(Form::Text, style);
    out.device("dev", "dev ", "eth0", " ");
    out.newline();
    assert_eq!(out.as_str(), "dev \x1b[36meth0 \x1b[0m\\");
}
