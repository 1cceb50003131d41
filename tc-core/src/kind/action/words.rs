//! Actions as words: `action KIND ... [action KIND ...]`.

use super::print::HW_STATS;
use super::{Action, ActionOptions, Actions, Bitfield32, Control};
use crate::kind::OptionWords;
use crate::kind::words::{Environment, WordError, Words, WordsContext, is_plain, is_prefix};
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

impl Actions {
    /// Reads actions up to a word that cannot belong to one: `classid`,
    /// `flowid`, or a verb of `tc actions`. The first word `action` may have
    /// been read already.
    ///
    /// A control action alone (`drop`) stands for `gact drop`.
    pub fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Self, WordError> {
        let mut actions = Self::new();
        let mut announced = false;
        if words.is_empty() {
            return Err(illegal(""));
        }
        while let Some(word) = words.peek() {
            match word {
                "action" => {
                    words.next();
                    announced = true;
                }
                "flowid" | "classid" => break,
                "help" => return Err(illegal("")),
                word if VERBS.iter().any(|verb| is_prefix(word, verb)) => break,
                _ => {
                    actions.push(Action::parse_words(words, context)?);
                    announced = false;
                }
            }
        }
        if announced {
            let rest = words.rest();
            return Err(bad_value("bad action empty 1\n", rest));
        }
        Ok(actions)
    }

    /// Describes the actions in words; see [`Syntax::to_words`](crate::Syntax::to_words).
    pub fn to_words(&self, out: &mut OptionWords<'_>) {
        for (place, action) in self.iter().enumerate() {
            out.group(&format!("action {place}"), |out| action.to_words(out));
        }
    }

    /// The actions as the kernel reports them; see
    /// [`Kind::as_dumped`](crate::Kind::as_dumped).
    #[must_use]
    pub fn as_dumped(&self, environment: &dyn Environment) -> Self {
        let dumped = |action: &Action| {
            let mut dumped = action.clone();
            if let ActionOptions::Known(options, words) = &action.options {
                dumped.options = ActionOptions::Known((**options).as_dumped(environment), *words);
            }
            dumped
        };
        self.iter().map(dumped).collect()
    }

    /// The actions as the kernel reports them in a filter with these `TCA_CLS_FLAGS_*`.
    ///
    /// Kernel: since Linux 5.17 they take over `skip_hw` and `skip_sw` (seen on 6.1).
    #[must_use]
    pub fn as_dumped_in(&self, environment: &dyn Environment, filter_flags: u32) -> Self {
        let mut dumped = self.as_dumped(environment);
        let flag = |of_filter: u32, of_action: u32| if filter_flags & of_filter != 0 { of_action } else { 0 };
        let skipped = flag(TCA_CLS_FLAGS_SKIP_HW, TCA_ACT_FLAGS_SKIP_HW)
            | flag(TCA_CLS_FLAGS_SKIP_SW, TCA_ACT_FLAGS_SKIP_SW);
        for (_, action) in dumped.list.iter_mut().filter(|_| skipped != 0) {
            let flags = action.flags.get_or_insert_default();
            (flags.value, flags.selector) = (flags.value | skipped, flags.selector | skipped);
        }
        dumped
    }
}

impl Action {
    /// Reads one action, its kind's word at the cursor.
    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Self, WordError> {
        let start = words.rest();
        let registry = context.environment.registry();
        let registry = registry.map_err(|error| WordError::Kind(error.to_string()))?;
        let named = words.peek().filter(|word| !Control::is_word(word));
        let named = named.and_then(|kind| registry.get(TcType::Action, kind));
        // As in tc, a word that names no kind is gact's to read.
        let Some(ops) = named.or_else(|| registry.get(TcType::Action, "gact")) else {
            let unknown = match start {
                [kind, option, ..] => {
                    format!("Unknown action \"{kind}\", hence option \"{option}\" is unparsable\n")
                }
                rest => format!("Unknown action \"{}\"\n", rest.concat()),
            };
            return Err(bad_value(&(unknown + "bad action parsing\n"), start));
        };
        if named.is_some() {
            words.next();
        }
        let options = ops.parse_words(words, context).map_err(|error| match error {
            WordError::Kind(text) => bad_value(&format!("{text}\nbad action parsing\n"), start),
            WordError::KindUsage(text) => WordError::Usage(format!("{text}\n{}", ops.usage())),
            WordError::Help => WordError::Usage(ops.usage().to_owned()),
            other => other,
        })?;
        let known = |options| ActionOptions::Known(options, ops.to_static());
        let mut action = Self::of(ops.kind(), options.map_or(ActionOptions::Absent, known));
        action.parse_common(words)?;
        Ok(action)
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let kind = self.kind.to_string();
        if !is_plain(&kind) {
            return out.cannot_say(&format!("an action of the kind {kind:?}"));
        }
        out.text("kind", format!("action {kind}"));
        match &self.options {
            ActionOptions::Known(..) => match self.options.words() {
                Some((options, words)) => words.to_words(options, out),
                None => out.cannot_say(&format!("options of the action {}", self.kind)),
            },
            ActionOptions::Absent => {}
            ActionOptions::Raw(_) => out.cannot_say(&format!("options of the action {}", self.kind)),
        }
        let cookie: String = self.cookie.iter().map(|byte| format!("{byte:02x}")).collect();
        out.text("cookie", if cookie.is_empty() { cookie } else { format!("cookie {cookie}") });
        let hw_stats = match self.hw_stats {
            None => String::new(),
            Some(wanted) => match HW_STATS.iter().find(|(_, bits)| *bits == wanted.value) {
                Some((name, _)) => format!("hw_stats {name}"),
                None => {
                    out.cannot_say(&format!("hw_stats {:#x}", wanted.value));
                    String::new()
                }
            },
        };
        out.text("hw_stats", hw_stats);
        let flags = self.flags.map_or(0, |flags| flags.value);
        for (key, flag) in [
            ("no_percpu", TCA_ACT_FLAGS_NO_PERCPU_STATS),
            ("skip_sw", TCA_ACT_FLAGS_SKIP_SW),
            ("skip_hw", TCA_ACT_FLAGS_SKIP_HW),
        ] {
            out.flag(key, flags & flag != 0);
        }
    }

    /// The words after the options of any kind, in `tc`'s order.
    fn parse_common(&mut self, words: &mut Words<'_>) -> Result<(), WordError> {
        if words.peek() == Some("cookie") {
            words.next();
            self.cookie = parse_cookie(words.value()?)?;
        }
        if words.peek().is_some_and(|word| is_prefix(word, "hw_stats")) {
            words.next();
            let word = words.value()?;
            let (_, bits) = HW_STATS
                .into_iter()
                .find(|(name, _)| is_prefix(word, name))
                .ok_or_else(|| WordError::invalid("value is invalid\n", word))?;
            self.hw_stats = Some(Bitfield32::set(bits));
        }
        let mut flags = 0;
        if words.peek() == Some("no_percpu") {
            words.next();
            flags |= TCA_ACT_FLAGS_NO_PERCPU_STATS;
        }
        for _ in 0..2 {
            match words.peek() {
                Some("skip_sw") => flags |= TCA_ACT_FLAGS_SKIP_SW,
                Some("skip_hw") => flags |= TCA_ACT_FLAGS_SKIP_HW,
                _ => break,
            }
            words.next();
        }
        self.flags = (flags != 0).then(|| Bitfield32::set(flags));
        Ok(())
    }
}

/// The verbs of `tc actions`. One line can have several.
const VERBS: [&str; 5] = ["change", "replace", "delete", "get", "add"];

fn parse_cookie(word: &str) -> Result<Vec<u8>, WordError> {
    if word.len() > 2 * TC_COOKIE_MAX_SIZE {
        let text = format!("{} Max allowed size {}", word.len(), 2 * TC_COOKIE_MAX_SIZE);
        return Err(WordError::invalid(text, word));
    }
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        }
        _ => None,
    };
    let cookie = word.as_bytes().chunks(2).map(byte).collect::<Option<_>>();
    cookie.ok_or_else(|| WordError::invalid("cookie must be a hex string\n", word))
}

/// The lines that `tc` writes after an error in the action at `rest`.
fn bad_value(text: &str, rest: &[&str]) -> WordError {
    let word = rest.first().copied().unwrap_or("(null)");
    illegal(&format!("{text}parse_action: bad value ({}:{word})!\n", rest.len()))
}

fn illegal(text: &str) -> WordError {
    WordError::Kind(format!("{text}Illegal \"action\""))
}
