//! tc-cli under the name `tc`: the additional commands and options are not there.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use tests::lab::tc_cli;

/// A link to tc-cli with the name `tc`, alone in a folder.
struct AsTc(PathBuf);

impl AsTc {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tc-cli-as-tc-{}-{test}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        symlink(tc_cli(), folder.join("tc")).unwrap();
        Self(folder)
    }

    fn run(&self, words: &str) -> Output {
        Command::new(self.0.join("tc")).args(words.split_whitespace()).output().unwrap()
    }
}

impl Drop for AsTc {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn commands_of_tc_cli_alone_are_unknown_to_tc() {
    let tc = AsTc::new("commands");
    for name in ["kinds", "export", "diff", "apply", "completions", "man", "plug"] {
        let ended = tc.run(name);
        assert_eq!(ended.status.code(), Some(255), "{name}");
        assert_eq!(
            String::from_utf8(ended.stderr).unwrap(),
            format!("Object \"{name}\" is unknown, try \"tc help\".\n")
        );
    }
}

#[test]
fn options_of_tc_cli_alone_are_unknown_to_tc() {
    let tc = AsTc::new("options");
    for (words, text) in [
        ("--dry-run qdisc show", "Option \"--dry-run\" is unknown, try \"tc -help\".\n"),
        ("--pipelined -b -", "Option \"--pipelined\" is unknown, try \"tc -help\".\n"),
        ("qdisc show --as-tc", "What is \"--as-tc\"? Try \"tc qdisc help\".\n"),
    ] {
        let ended = tc.run(words);
        assert_eq!(ended.status.code(), Some(255), "{words}");
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), text, "{words}");
    }
}

#[test]
fn usage_text_of_tc_has_only_what_tc_has() {
    let tc = AsTc::new("usage");
    for words in ["", "help", "-help"] {
        let ended = tc.run(words);
        assert_eq!(ended.status.code(), Some(0));
        let text = String::from_utf8(ended.stderr).unwrap();
        assert!(text.starts_with("Usage:\ttc [ OPTIONS ] OBJECT { COMMAND | help }\n"), "{text}");
        assert!(text.contains("action | monitor | exec }\n"), "{text}");
        assert!(text.ends_with("-br[ief] }\n"), "{text}");
        assert!(!text.contains("tc-cli"), "{text}");
    }
}
