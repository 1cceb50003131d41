//! Classes as a tree, as `tc -g class show` draws it.

use tc_core::message::Entry;
use tc_core::print::{Formatted, Printer};
use tc_core::{Handle, OwnedEntry};

use super::{Show, Shown};

/// The deepest tree that is drawn; the kernel's kinds allow less.
const DEEPEST: usize = 64;

/// Draws all classes of a list.
pub(crate) fn draw(show: &Show<'_>, classes: &[OwnedEntry], shown: &mut Shown<'_>) {
    // Classes that were listed first are drawn last, as in tc.
    let classes: Vec<_> = classes.iter().rev().filter_map(|class| class.entry().ok()).collect();
    let roots = below(&classes, Handle::ROOT);
    let mut graph = Graph { show, classes: &classes, bars: Vec::new() };
    graph.siblings(&roots, shown);
}

struct Graph<'g> {
    show: &'g Show<'g>,
    classes: &'g [Entry<'g>],
    /// For each class above the current one: whether another follows it.
    bars: Vec<bool>,
}

/// The classes below a parent.
fn below<'g>(classes: &'g [Entry<'g>], parent: Handle) -> Vec<&'g Entry<'g>> {
    classes.iter().filter(|class| class.header.parent == parent).collect()
}

impl Graph<'_> {
    /// Draws these and their descendants. Returns the depth of the last one.
    fn siblings(&mut self, siblings: &[&Entry<'_>], shown: &mut Shown<'_>) -> usize {
        let mut depth = 0;
        for (at, class) in siblings.iter().enumerate() {
            let more = at + 1 < siblings.len();
            let mut children = below(self.classes, class.header.handle);
            // Each level turns the order round.
            children.reverse();
            if self.bars.len() >= DEEPEST {
                children.clear();
            }
            self.class(class, more, !children.is_empty(), shown);
            self.bars.push(more);
            depth = 1 + self.siblings(&children, shown);
            self.bars.pop();
            if !more {
                self.indent(shown.out);
                for _ in 1..depth {
                    shown.out.text(BLANK);
                }
                shown.out.text("\n");
            }
        }
        depth
    }

    fn class(&self, class: &Entry<'_>, more: bool, children: bool, shown: &mut Shown<'_>) {
        let id = self.show.names.of(class.header.handle).to_string();
        self.indent(shown.out);
        shown.out.text_item("+---(", id.as_str(), ")");
        let Ok(kind) = class.kind() else { return shown.out.text(" [unknown qdisc kind] \n") };
        shown.out.text_item(" ", kind, " ");
        self.show.class_options(kind, class, shown);
        if shown.out.style().stats {
            if let Ok(Some(counters)) = class.stats() {
                let mut prefix = self.indentation();
                prefix += follow(more, children);
                // Under the kind's options.
                prefix += &" ".repeat((kind.len() + id.len()).saturating_sub(2));
                shown.out.text("\n");
                counters.print(&prefix, shown.out);
            }
            if more || children {
                shown.out.text("\n");
                self.indent(shown.out);
                shown.out.text(follow(more, children));
            }
        }
        shown.out.text("\n");
    }

    fn indentation(&self) -> String {
        self.bars.iter().map(|more| if *more { BAR } else { BLANK }).collect()
    }

    fn indent(&self, out: &mut Printer) {
        out.text_item("", Formatted(format_args!("{}", self.indentation())), "");
    }
}

const BAR: &str = "|    ";
const BLANK: &str = "     ";

/// The text below a class's corner in its further lines.
const fn follow(more: bool, children: bool) -> &'static str {
    match (more, children) {
        (true, true) => "|    |",
        (true, false) => "|     ",
        (false, true) => "     |",
        (false, false) => "      ",
    }
}
