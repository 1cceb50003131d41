//! The output of expressions.

use std::fmt;

use super::tree::{Ematches, Item, Link};
use super::{NoNames, Relation};
use crate::kind::OptionWords;
use crate::kind::print::Printer;
use crate::wire::device::DeviceNames;

impl Ematches {
    /// Prints the expression as `tc` does, on separate lines, or nothing if it is empty. In JSON, for
    /// which `tc` has no valid form, it is one string in exact words under the key `ematch`.
    pub fn print(&self, out: &mut Printer) {
        if self.is_empty() {
            return;
        }
        let names = out.names().unwrap_or(&NoNames);
        if out.is_json() {
            let words = self.words(names).0;
            out.json("ematch", words);
        } else {
            // As in tc, line ends also where one line was asked for.
            let text = self.text(names);
            out.text(&text);
        }
    }

    /// Describes the expression in words, `match EXPRESSION`; see
    /// [`Syntax::to_words`](crate::Syntax::to_words).
    pub fn to_words(&self, out: &mut OptionWords<'_>) {
        if self.is_empty() {
            return out.text("match", "");
        }
        let (words, inexpressible) = self.words(out.names().unwrap_or(&NoNames));
        inexpressible.iter().for_each(|what| out.cannot_say(what));
        // A word of a batch that begins with a quote loses it.
        let quote = if words.contains('"') { "'" } else { "" };
        out.text("match", format!("match {quote}{words}{quote}"));
    }

    /// The text of `tc`: a line for each term, groups indented.
    fn text(&self, names: &dyn DeviceNames) -> String {
        let mut text = String::from("\n  ");
        self.walk(|step| match step {
            Step::Begin { link, depth } => {
                if link.inverted {
                    text.push_str("NOT ");
                }
                match &link.item {
                    Item::Group(_) => {
                        text.push_str("(\n");
                        indent(depth + 2, &mut text);
                    }
                    Item::Ematch(ematch) => {
                        ematch.print(names, &mut text);
                        text.push('\n');
                        if link.next.is_some() {
                            indent(depth + 1, &mut text);
                            text.push_str(relation(link, "AND ", "OR "));
                        }
                    }
                }
            }
            Step::End { link, depth } => {
                indent(depth + 1, &mut text);
                text.push_str(") ");
                text.push_str(relation(link, "AND ", "OR "));
            }
        });
        text
    }

    /// The expression in exact words on one line, and its inexpressible parts.
    fn words(&self, names: &dyn DeviceNames) -> (String, Vec<String>) {
        let (mut words, mut inexpressible) = (String::new(), Vec::new());
        self.walk(|step| match step {
            Step::Begin { link, .. } => {
                if link.inverted {
                    words.push_str("not ");
                }
                match &link.item {
                    Item::Group(_) => words.push('('),
                    Item::Ematch(ematch) => {
                        match ematch.to_words(names) {
                            Ok(text) => words.push_str(&text),
                            Err(what) => {
                                ematch.print(names, &mut words);
                                inexpressible.push(what);
                            }
                        }
                        words.push_str(relation(link, " and ", " or "));
                    }
                }
            }
            Step::End { link, .. } => {
                words.push(')');
                words.push_str(relation(link, " and ", " or "));
            }
        });
        (words, inexpressible)
    }

    /// Visits all terms in their order; groups at their begin and at their end.
    fn walk<'a>(&'a self, mut visit: impl FnMut(Step<'a>)) {
        // The sequences that are open, the innermost last, each with the terms that are left.
        let Some(first) = self.sequences.first() else { return };
        let mut open = vec![(0, first.iter())];
        let mut groups: Vec<&Link> = Vec::new();
        while let Some((at, links)) = open.last_mut() {
            match links.next() {
                Some(link) => {
                    visit(Step::Begin { link, depth: groups.len() });
                    if let Item::Group(group) = link.item {
                        groups.push(link);
                        let at = *at + group;
                        open.push((at, self.sequences[at].iter()));
                    }
                }
                None => {
                    open.pop();
                    if let Some(link) = groups.pop() {
                        visit(Step::End { link, depth: groups.len() });
                    }
                }
            }
        }
    }
}

/// The expression in exact words, names of other objects as their numbers.
impl fmt::Display for Ematches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&NoNames).0)
    }
}

enum Step<'a> {
    Begin {
        link: &'a Link,
        depth: usize,
    },
    /// Of a group.
    End {
        link: &'a Link,
        depth: usize,
    },
}

const fn relation(link: &Link, and: &'static str, or: &'static str) -> &'static str {
    match link.next {
        None => "",
        Some(Relation::And) => and,
        Some(Relation::Or) => or,
    }
}

fn indent(depth: usize, text: &mut String) {
    (0..depth).for_each(|_| text.push_str("  "));
}
