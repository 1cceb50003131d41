//! Names of devices and namespaces: any bytes, alternative names, process ids.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so and stops")]

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use tc_core::{Connection, Handle, Request};
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::{Net, tc_cli};
use tests::need;

/// The exit code, standard output and standard error of a bash script in this thread's namespace.
fn sh(script: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let output = Command::new("bash")
        .args(["-c", script])
        .env("T", tc_cli())
        .env("N", std::ffi::OsStr::from_bytes(NAME))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    (output.status.code().unwrap(), output.stdout, output.stderr)
}

#[track_caller]
fn ok(script: &str) -> Vec<u8> {
    let (code, stdout, stderr) = sh(script);
    assert_eq!((code, stderr.as_bstr()), (0, String::new()), "{script}");
    stdout
}

trait AsBstr {
    fn as_bstr(&self) -> String;
}

impl AsBstr for Vec<u8> {
    fn as_bstr(&self) -> String {
        self.escape_ascii().to_string()
    }
}

/// Latin-1, and a character by which the program carries bytes in words.
const NAME: &[u8] = b"lat\xe9\xf4\x8f\xbf\xa9";

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn shown(rest: &str) -> Vec<u8> {
    [b"qdisc pfifo 1: dev ", NAME, b" root refcnt 2 ", rest.as_bytes(), b"\n"].concat()
}

#[test]
fn names_that_are_not_utf8_pass_through() {
    need!("netns", "ifb");
    let _net = Net::new();
    ok("ip link add \"$N\" type ifb && ip link set \"$N\" up");
    ok("$T qdisc add dev \"$N\" root handle 1: pfifo limit 7");
    assert_eq!(ok("$T qdisc show dev \"$N\"").as_bstr(), "qdisc pfifo 1: root refcnt 2 limit 7p\\n");
    assert!(contains(&ok("$T qdisc show"), &shown("limit 7p")), "{}", ok("$T qdisc show").as_bstr());
    let json = ok("$T -j qdisc show");
    assert!(contains(&json, &[b"\"dev\":\"", NAME, b"\""].concat()), "{}", json.as_bstr());

    // As a line of a batch, of both sorts.
    for options in ["", "--pipelined"] {
        ok(&format!(
            "printf 'qdisc change dev %s root handle 1: pfifo limit 8\\n' \"$N\" | $T {options} -b -"
        ));
        assert!(contains(&ok("$T qdisc show"), &shown("limit 8p")));
        let (code, _, stderr) = sh(&format!(
            "printf 'qdisc change dev x%s root handle 1: pfifo limit 9\\n' \"$N\" | $T {options} -b -"
        ));
        let text = [b"Cannot find device \"x", NAME, b"\"\nCommand failed -:1\n"].concat();
        assert_eq!((code, stderr.as_bstr()), (1, text.as_bstr()));
    }

    // Exported and back.
    let exported = ok("$T export dev \"$N\"");
    let line = [b"qdisc add dev ", NAME, b" root handle 1: pfifo limit 8"].concat();
    assert!(contains(&exported, &line), "{}", exported.as_bstr());
    ok("$T export | $T diff -");
    ok(
        "$T export > \"/tmp/$N.$$\" && $T qdisc del dev \"$N\" root && $T apply \"/tmp/$N.$$\" && rm \"/tmp/$N.$$\"",
    );
    assert!(contains(&ok("$T qdisc show"), &shown("limit 8p")));
    ok(
        "$T export > \"/tmp/$N.$$\" && $T qdisc del dev \"$N\" root && $T -b \"/tmp/$N.$$\" && rm \"/tmp/$N.$$\"",
    );
    assert!(contains(&ok("$T qdisc show"), &shown("limit 8p")));

    let dry = ok("$T --dry-run qdisc del dev \"$N\" root");
    assert!(contains(&dry, &[b"(", NAME, b")"].concat()), "{}", dry.as_bstr());
    let (code, _, stderr) = sh("$T -j qdisc show dev \"x$N\"");
    assert_eq!(code, 1);
    assert!(contains(&stderr, &[b"device \\\"x", NAME, b"\\\""].concat()), "{}", stderr.as_bstr());
}

#[test]
fn notices_when_the_name_is_not_utf8_then_show_its_bytes() {
    need!("netns", "ifb");
    let _net = Net::new();
    ok("ip link add \"$N\" type ifb && ip link set \"$N\" up");
    let heard = ok("heard=/tmp/heard.$$; $T monitor > $heard 2>/dev/null & m=$!
        for i in $(seq 1000); do
            $T qdisc add dev \"$N\" root handle 1: pfifo limit 7 && $T qdisc del dev \"$N\" root
            grep -q pfifo $heard && break
        done
        kill $m; cat $heard; rm $heard");
    assert!(contains(&heard, &[b"dev ", NAME].concat()), "{}", heard.as_bstr());
}

#[test]
fn libraries_when_names_are_not_utf8_then_find_them() {
    need!("netns", "ifb");
    let _net = Net::new();
    ok("ip link add \"$N\" type ifb && ip link set \"$N\" up");
    let mut tc = Connection::open().unwrap();
    let dev = tc.ifindex(std::ffi::OsStr::from_bytes(NAME)).unwrap();
    let link = tc.link_by_index(dev).unwrap();
    assert_eq!(link.raw_name.as_bytes(), NAME);
    assert_eq!(link.name, String::from_utf8_lossy(NAME));
    assert_eq!(tc.ifindex(link.raw_name).unwrap(), dev);
    let names = tc.device_names().unwrap();
    assert_eq!(names.device_name(dev).unwrap().as_bytes(), NAME);
    assert_eq!(names.ifindex(&tc_core::lossless::to_text(NAME)).unwrap(), dev);
    tc.add(&Request::qdisc(dev).parent(Handle::ROOT).options(&Pfifo::new(3))).unwrap();
    // The kernel would cut this name at its NUL.
    assert!(tc.ifindex("lo\0x").unwrap_err().is_not_found());
    assert_eq!(names.ifindex("lo\0x").unwrap_err().raw_os_error(), Some(19));
}

#[test]
fn alternative_names_when_up_to_127_bytes_then_found() {
    need!("netns", "ifb");
    let _net = Net::new();
    let mut tc = Connection::open().unwrap();
    tc.add_link("d0", "ifb").unwrap();
    for length in [5, 15, 16, 40, 127] {
        let name = format!("{:x<length$}", "alt");
        ok(&format!("ip link property add dev d0 altname {name}"));
        ok(&format!("$T qdisc replace dev {name} root handle {length:x}: pfifo limit 7"));
        let shown = ok(&format!("$T qdisc show dev {name}"));
        assert_eq!(shown.as_bstr(), format!("qdisc pfifo {length:x}: root refcnt 2 limit 7p\\n"));
        ok(&format!(
            "echo qdisc change dev {name} root handle {length:x}: pfifo limit 8 | $T --pipelined -b -"
        ));
        assert_eq!(tc.ifindex(&name).unwrap(), tc.ifindex("d0").unwrap());
    }
    // Neither is cut to a name that there is.
    for name in [
        "alt".to_owned() + &"x".repeat(14),
        "alt".to_owned() + &"x".repeat(125),
        "d0".to_owned() + &"x".repeat(300),
    ] {
        for words in ["qdisc show dev", "qdisc del root dev", "class show dev", "filter show dev"] {
            let (code, stdout, stderr) = sh(&format!("$T {words} {name}"));
            let text = format!("Cannot find device \\\"{name}\\\"\\n");
            assert_eq!((code, stdout.as_bstr(), stderr.as_bstr()), (1, String::new(), text), "{words}");
        }
        assert!(tc.ifindex(&name).unwrap_err().is_not_found());
    }
    let (code, _, stderr) = sh("printf 'qdisc del dev d0\\0x root\\n' | $T -b -");
    assert_eq!(code, 1);
    assert!(stderr.starts_with(b"Cannot find device \"d0\0x\""), "{}", stderr.as_bstr());
}

#[test]
fn namespaces_when_named_by_process_or_path_then_entered() {
    need!("netns", "ifb");
    let net = Net::aside();
    net.inside(|| Connection::open().unwrap().add_link("d0", "ifb")).unwrap();
    let path = net.path();
    let mut child = net.inside(|| Command::new("sleep").arg("1000").spawn()).unwrap();
    let shown = ["qdisc show dev lo", "qdisc show"].map(|words| {
        let of = |name: &str| sh(&format!("$T -n {name} {words}"));
        let all = [of(&path), of(&format!("/proc/{}/ns/net", child.id())), of(&child.id().to_string())];
        let within = net.run(tc_cli(), &words.split(' ').collect::<Vec<_>>());
        (all, within.stdout)
    });
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    for (all, within) in shown {
        for (code, stdout, stderr) in all {
            assert_eq!((code, stderr.as_bstr()), (0, String::new()), "{ended}");
            assert_eq!(stdout, within.as_bytes());
        }
    }
    for name in ["nosuch", "4294967295", "/nosuch"] {
        let (code, _, stderr) = sh(&format!("$T -n {name} qdisc show"));
        let text = format!("Cannot open network namespace \\\"{name}\\\": No such file or directory\\n");
        assert_eq!((code, stderr.as_bstr()), (255, text));
    }
}
