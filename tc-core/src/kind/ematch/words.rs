//! Expressions as words: `cmp(u8 at 9 eq 6) and not (meta(...) or u32(...))`.

use super::args::{Arg, ArgError, Args};
use super::lexer::{Lexer, Token};
use super::registry::by_name;
use super::tree::{Ematches, Relation, Term};
use super::wire::too_deep;
use super::{AnyEmatch, MAX_DEPTH};
use crate::kind::words::{WordError, Words, WordsContext};

const USAGE: &str = "\
Usage: EXPR
where: EXPR  := TERM [ { and | or } EXPR ]
       TERM  := [ not ] { MATCH | '(' EXPR ')' }
       MATCH := module '(' ARGS ')'
       ARGS := ARG1 ARG2 ...

Example: a(x y) and not (b(x) or c(x y z))
";

impl Ematches {
    /// Reads an expression, in one word or several, up to a word that does not continue it.
    ///
    /// Parentheses more than [`MAX_DEPTH`] inside each other are an error. The error texts end with `tc`'s
    /// line `Illegal "ematch"`, and mark the place: `>>...<<`.
    pub fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Self, WordError> {
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        let mut lexer = Lexer::new(words);
        let parsed = parse(&mut lexer);
        let taken = lexer.taken();
        let tree = parsed.map_err(|error| match error {
            SyntaxError::Deep => illegal(&format!("{}\n", too_deep())),
            SyntaxError::At(line) => {
                let line = if line.is_empty() { String::new() } else { format!("{line}\n") };
                illegal(&format!("{line}Parse error: syntax error\n{}{USAGE}", marked_words(taken)))
            }
        })?;
        tree.read(taken, context)
    }
}

/// A group under construction, or a whole expression, with ematches that are not read yet.
#[derive(Default)]
struct Group {
    terms: Vec<(Relation, Unread)>,
    /// Of the term to come.
    inverted: bool,
    relation: Option<Relation>,
}

struct Unread {
    inverted: bool,
    content: Content,
}

enum Content {
    Ematch(Arg, Vec<Arg>),
    Group(Group),
}

enum SyntaxError {
    /// A line for the user, or nothing.
    At(&'static str),
    Deep,
}

fn parse(lexer: &mut Lexer<'_, '_>) -> Result<Group, SyntaxError> {
    let at = SyntaxError::At;
    // The groups that are open, the innermost last; the expression itself is the first.
    let mut open = vec![Group::default()];
    loop {
        // A term.
        let depth = open.len() - 1;
        let group = &mut open[depth];
        match lexer.token().map_err(at)?.ok_or(at(""))? {
            Token::Not if !group.inverted => {
                group.inverted = true;
                continue;
            }
            Token::Open if depth == MAX_DEPTH => return Err(SyntaxError::Deep),
            Token::Open => {
                open.push(Group::default());
                continue;
            }
            Token::Arg(name) => {
                let args = parse_args(lexer)?;
                group.add(Content::Ematch(name, args));
            }
            _ => return Err(at("")),
        }
        // The rest of the group.
        loop {
            let whole = open.len() == 1;
            let token = if whole { lexer.token_after_expression() } else { lexer.token() };
            match token.map_err(at)? {
                Some(Token::And) => open.last_mut().ok_or(at(""))?.relation = Some(Relation::And),
                Some(Token::Or) => open.last_mut().ok_or(at(""))?.relation = Some(Relation::Or),
                Some(Token::Close) if !whole => {
                    let inner = open.pop().ok_or(at(""))?;
                    open.last_mut().ok_or(at(""))?.add(Content::Group(inner));
                    continue;
                }
                None if whole => return open.pop().ok_or(at("")),
                _ => return Err(at("")),
            }
            break;
        }
    }
}

fn parse_args(lexer: &mut Lexer<'_, '_>) -> Result<Vec<Arg>, SyntaxError> {
    let at = SyntaxError::At;
    if lexer.token().map_err(at)? != Some(Token::Open) {
        return Err(at(""));
    }
    let mut args = Vec::new();
    loop {
        match lexer.token().map_err(at)? {
            Some(Token::Arg(arg)) => args.push(arg),
            Some(Token::Close) if !args.is_empty() => return Ok(args),
            _ => return Err(at("")),
        }
    }
}

impl Group {
    fn add(&mut self, content: Content) {
        let relation = self.relation.take().unwrap_or(Relation::And);
        self.terms.push((relation, Unread { inverted: std::mem::take(&mut self.inverted), content }));
    }

    /// Reads the arguments of the ematches. The recursion is as deep as the expression: [`MAX_DEPTH`].
    fn read(self, taken: &[&str], context: &WordsContext<'_>) -> Result<Ematches, WordError> {
        let mut tree = Ematches::default();
        for (relation, Unread { inverted, content }) in self.terms {
            let term = match content {
                Content::Ematch(name, args) => Term::from(read(&name, &args, taken, context)?),
                Content::Group(group) => Term::from(group.read(taken, context)?),
            };
            tree.push(relation, term.inverted_if(inverted));
        }
        Ok(tree)
    }
}

fn read(
    name: &Arg,
    args: &[Arg],
    taken: &[&str],
    context: &WordsContext<'_>,
) -> Result<AnyEmatch, WordError> {
    let Some(ops) = by_name(&name.bytes) else {
        return Err(illegal(&format!("Unknown ematch \"{}\"\n", name.shown())));
    };
    let read = (ops.parse)(&mut Args::new(args), context);
    read.map(AnyEmatch::of).map_err(|error| {
        let ArgError { text, marked, is_list } = error;
        if is_list {
            return illegal(&text);
        }
        let mark = |(at, arg): (usize, &Arg)| match marked == Some(at) {
            true => format!(">>{}<<", arg.shown()),
            false => arg.shown(),
        };
        let shown: Vec<_> = args.iter().enumerate().map(mark).collect();
        let (words, name, usage) = (marked_words(taken), ops.name, ops.usage);
        illegal(&format!("{text}\n{words}... {name}({})...\n{usage}", shown.join(" ")))
    })
}

/// The words that were read, the last one marked.
fn marked_words(taken: &[&str]) -> String {
    let mut line = String::from("... ");
    if let Some((last, before)) = taken.split_last() {
        before.iter().for_each(|word| line += &format!("{word} "));
        line += &format!(">>{last}<< ");
    }
    line + "...\n"
}

fn illegal(text: &str) -> WordError {
    WordError::Kind(format!("{text}Illegal \"ematch\""))
}
