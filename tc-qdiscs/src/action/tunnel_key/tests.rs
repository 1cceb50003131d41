use super::*;
use tc_core::Verb;
use tc_core::words::Usual;

fn parse(words: &str) -> Result<(TunnelKey, usize), WordError> {
    let list: Vec<_> = words.split_whitespace().collect();
    let mut words = Words::new(&list);
    let key = TunnelKey::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
    Ok((key.unwrap(), words.rest().len()))
}

fn set() -> TunnelKey {
    TunnelKey::set(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
}

#[test]
fn words_are_read_and_the_rest_stays() {
    let v6 = TunnelKey::set("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
    let data = vec![0, 0x80, 0, 0x22];
    let geneve = TunnelOptions::Geneve(vec![
        GeneveOption::new(0x102, 0x80, data.clone()),
        GeneveOption::new(0x103, 1, data),
    ]);
    let both = "set src_ip 10.0.0.1 dst_ip 10.0.0.2";
    for (words, key, left) in [
        ("unset action ok", TunnelKey::unset(), 2),
        ("u drop index 5", TunnelKey::unset().control(Control::Drop).index(5), 0),
        ("index 5", TunnelKey::at_index(5), 0),
        ("set src_ip fe80::1 dst_ip fe80::2 nocsum", v6.no_csum(true), 0),
        (
            &format!("{both} id 7 dst_port 4789 tos 10 ttl ff"),
            set().key_id(7).dst_port(4789).tos(10).ttl(255),
            0,
        ),
        (&format!("{both} nofrag nocsum csum"), set().no_frag(true), 0),
        (&format!("{both} vxlan_opts 0x101"), set().options(TunnelOptions::Vxlan { gbp: 257 }), 0),
        (&format!("{both} erspan_opts 1:9"), set().options(TunnelOptions::Erspan(Erspan::v1(9))), 0),
        (&format!("{both} erspan_opts 2::1:5"), set().options(TunnelOptions::Erspan(Erspan::v2(1, 5))), 0),
        (&format!("{both} geneve_opts 0102:80:00800022,103:1:00800022"), set().options(geneve), 0),
    ] {
        assert_eq!(parse(words), Ok((key.clone(), left)), "{words}");
        let mut told = OptionWords::new();
        key.to_words(&mut told);
        let again = parse(&told.lines().join(" ")).unwrap().0;
        assert_eq!(again.as_dumped(&Usual), key.as_dumped(&Usual), "{told:?}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    let first = |words: &str| {
        let text = parse(words).unwrap_err().to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    for (words, text) in [
        ("", "Command line is not complete. Try option \"help\""),
        ("set src_ip", "Command line is not complete. Try option \"help\""),
        ("set set", "unexpected \"set\" - action already specified"),
        ("set src_ip 10.0.0.1", "set needs tunnel_key parameters"),
        ("set src_ip x", "Error: any valid address is expected rather than \"x\"."),
        ("set id 0x7", "Illegal \"id\""),
        ("set dst_port 65536", "Illegal \"dst port\""),
        ("set tos 256", "Illegal \"tos\""),
        ("set ttl x", "Illegal \"ttl\""),
        ("set vxlan_opts x", "Illegal \"vxlan_opts\""),
        ("set erspan_opts 1:2:3:4:5", "Illegal \"erspan_opts\""),
        ("set geneve_opts 0102:80:008", "Illegal \"geneve_opts\""),
        ("set geneve_opts 0102:80", "Illegal \"geneve_opts\""),
        ("unset index x", "tunnel_key: Illegal \"index\""),
    ] {
        assert_eq!(first(words), text, "{words}");
    }
    assert_eq!(parse("help"), Err(WordError::Help));
}

#[test]
fn zeros_are_not_dumped() {
    let asked = set().tos(0).ttl(0).dst_port(0).options(TunnelOptions::Vxlan { gbp: u32::MAX });
    let options = TunnelOptions::Vxlan { gbp: 0x48_ffff };
    assert_eq!(asked.as_dumped(&Usual), TunnelKey { options, ..set() });
    let unset = TunnelKey { no_csum: true, ttl: Some(3), ..TunnelKey::unset() };
    assert_eq!(unset.as_dumped(&Usual), TunnelKey::unset());
}
