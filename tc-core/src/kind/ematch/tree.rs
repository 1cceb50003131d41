//! Expressions of ematches.

use std::ops::Not;

use super::{AnyEmatch, Ematch, RawEmatch};

/// An expression of ematches; an empty one matches every packet.
///
/// Terms are combined strictly from the left to the right: neither `and` nor `or` takes precedence. A
/// packet that fails a term before `and`, or matches a term before `or`, has its result without the terms
/// after it.
///
/// ```
/// use tc_core::ematch::{Ematches, RawEmatch};
///
/// let one = RawEmatch::new(200, &b"\x01\0\0\0"[..]);
/// let other = RawEmatch::new(201, &b"\x02\0\0\0"[..]);
/// // one and not (other or one)
/// let group = Ematches::new(other).or(one.clone());
/// let expression = Ematches::new(one).and(!group);
/// assert_eq!(expression.terms().len(), 2);
/// ```
///
/// Groups are held in one flat list: an expression of any depth is compared, cloned and dropped
/// without recursion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ematches {
    /// The expression, and after it the groups in it: those of a term directly before those of the
    /// next term, as on the wire.
    pub(super) sequences: Vec<Vec<Link>>,
}

/// A term in its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) inverted: bool,
    pub(super) item: Item,
    pub(super) next: Option<Relation>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Ematch(AnyEmatch),
    /// The distance of its sequence from that of the term.
    Group(usize),
}

/// The relation of a term to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both match.
    And,
    /// One of them matches.
    Or,
}

/// A term of an expression: an ematch or a group, either of them inverted at will.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    inverted: bool,
    content: Content,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Ematch(AnyEmatch),
    Group(Ematches),
}

impl Ematches {
    /// An expression of one term. An empty group makes an empty expression.
    pub fn new(term: impl Into<Term>) -> Self {
        Self::default().and(term)
    }

    /// Appends a term that must match too. An empty group is left out.
    #[must_use]
    pub fn and(mut self, term: impl Into<Term>) -> Self {
        self.push(Relation::And, term.into());
        self
    }

    /// Appends a term that can match instead. An empty group is left out.
    #[must_use]
    pub fn or(mut self, term: impl Into<Term>) -> Self {
        self.push(Relation::Or, term.into());
        self
    }

    /// Whether there is no term.
    pub const fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// The terms in their order.
    pub fn terms(&self) -> Terms<'_> {
        Sequence { of: self, at: 0 }.terms()
    }

    /// How many groups are inside each other.
    pub fn depth(&self) -> usize {
        let mut depths = vec![0; self.sequences.len()];
        for (at, links) in self.sequences.iter().enumerate() {
            for link in links {
                if let Item::Group(group) = link.item {
                    depths[at + group] = depths[at] + 1;
                }
            }
        }
        depths.into_iter().max().unwrap_or_default()
    }

    /// The expression as the kernel reports it after accepting this one.
    #[must_use]
    pub fn as_dumped(&self) -> Self {
        let mut dumped = self.clone();
        for link in dumped.sequences.iter_mut().flatten() {
            if let Item::Ematch(ematch) = &mut link.item {
                *ematch = ematch.as_dumped();
            }
        }
        dumped
    }

    pub(super) fn push(&mut self, relation: Relation, term: Term) {
        let Term { inverted, content } = term;
        if self.sequences.is_empty() {
            self.sequences.push(Vec::new());
        }
        let item = match content {
            Content::Ematch(ematch) => Item::Ematch(ematch),
            Content::Group(group) => {
                let first = self.sequences.len();
                self.sequences.extend(group.sequences);
                if first == self.sequences.len() {
                    if self.sequences[0].is_empty() {
                        self.sequences.clear();
                    }
                    return;
                }
                Item::Group(first)
            }
        };
        let links = &mut self.sequences[0];
        if let Some(last) = links.last_mut() {
            last.next = Some(relation);
        }
        links.push(Link { inverted, item, next: None });
    }
}

impl Term {
    pub(super) fn inverted_if(self, inverted: bool) -> Self {
        if inverted { !self } else { self }
    }
}

/// Inverts the term.
impl Not for Term {
    type Output = Self;

    fn not(self) -> Self {
        Self { inverted: !self.inverted, ..self }
    }
}

/// The expression as an inverted group.
impl Not for Ematches {
    type Output = Term;

    fn not(self) -> Term {
        !Term::from(self)
    }
}

impl From<AnyEmatch> for Term {
    fn from(ematch: AnyEmatch) -> Self {
        Self { inverted: false, content: Content::Ematch(ematch) }
    }
}

impl From<RawEmatch> for Term {
    fn from(ematch: RawEmatch) -> Self {
        AnyEmatch::from(ematch).into()
    }
}

impl<E: Ematch> From<E> for Term {
    fn from(ematch: E) -> Self {
        AnyEmatch::from(ematch).into()
    }
}

/// The expression as a group in parentheses.
impl From<Ematches> for Term {
    fn from(group: Ematches) -> Self {
        Self { inverted: false, content: Content::Group(group) }
    }
}

/// The terms of an expression or of a group in it.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    of: &'a Ematches,
    at: usize,
}

impl<'a> Sequence<'a> {
    /// The terms in their order.
    pub fn terms(self) -> Terms<'a> {
        let links = self.of.sequences.get(self.at).map(Vec::as_slice).unwrap_or_default();
        Terms { of: self, links: links.iter() }
    }
}

/// A term that is read.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// An ematch.
    Ematch(&'a AnyEmatch),
    /// A group.
    Group(Sequence<'a>),
}

/// Terms in their order: whether each is inverted, the term, and its relation to the next one.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    of: Sequence<'a>,
    links: std::slice::Iter<'a, Link>,
}

impl<'a> Iterator for Terms<'a> {
    type Item = (bool, Node<'a>, Option<Relation>);

    fn next(&mut self) -> Option<Self::Item> {
        let link = self.links.next()?;
        let node = match &link.item {
            Item::Ematch(ematch) => Node::Ematch(ematch),
            Item::Group(after) => Node::Group(Sequence { at: self.of.at + after, ..self.of }),
        };
        Some((link.inverted, node, link.next))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.links.size_hint()
    }
}

impl ExactSizeIterator for Terms<'_> {}
