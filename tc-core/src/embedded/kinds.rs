//! The kinds of an embedded kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::classifier::Classifier;
use super::discipline::Discipline;
use super::fifo::{Queueless, Stored};

/// The root of a device that needs no queue.
pub(super) const NO_QUEUE: &str = "noqueue";
/// The root of a device with several queues.
pub(super) const MULTI: &str = "mq";
/// The default child of a class.
pub(super) const LEAF: &str = "pfifo";
/// The root of other devices, unless the builder sets another.
pub(super) const DEFAULT: &str = "pfifo_fast";

pub(super) type Factory = Box<dyn Fn() -> Box<dyn Discipline> + Send + Sync>;

pub(super) struct Kinds {
    makers: BTreeMap<String, Factory>,
    filters: BTreeSet<String>,
    actions: BTreeSet<String>,
    default: String,
    classifier: Option<Box<dyn Classifier>>,
    last_filter: AtomicU64,
}

impl Default for Kinds {
    fn default() -> Self {
        Self {
            makers: BTreeMap::new(),
            filters: BTreeSet::new(),
            actions: BTreeSet::new(),
            default: DEFAULT.to_owned(),
            classifier: None,
            last_filter: AtomicU64::new(0),
        }
    }
}

impl Kinds {
    pub(super) fn register(&mut self, kind: &str, factory: Factory) {
        self.makers.insert(kind.to_owned(), factory);
    }

    pub(super) fn register_filter(&mut self, kind: &str) {
        self.filters.insert(kind.to_owned());
    }

    pub(super) fn has_filter(&self, kind: &str) -> bool {
        self.filters.contains(kind)
    }

    pub(super) fn register_action(&mut self, kind: &str) {
        self.actions.insert(kind.to_owned());
    }

    pub(super) fn has_action(&self, kind: &str) -> bool {
        self.actions.contains(kind)
    }

    pub(super) fn set_classifier(&mut self, classifier: Box<dyn Classifier>) {
        self.classifier = Some(classifier);
    }

    pub(super) fn classifier(&self) -> Option<&dyn Classifier> {
        self.classifier.as_deref()
    }

    /// The number of a new filter.
    pub(super) fn next_filter(&self) -> u64 {
        self.last_filter.fetch_add(1, Ordering::Relaxed)
    }

    /// Filters are gone.
    pub(super) fn forget(&self, filters: &[super::filter::Filter]) {
        if let Some(classifier) = self.classifier() {
            filters.iter().for_each(|filter| classifier.forget(filter.number));
        }
    }

    pub(super) fn set_default(&mut self, kind: &str) {
        self.default = kind.to_owned();
    }

    pub(super) fn default_kind(&self) -> &str {
        &self.default
    }

    /// A new value of this kind; `None` if the kernel has no such module.
    pub(super) fn make(&self, kind: &str) -> Option<Box<dyn Discipline>> {
        self.makers.get(kind).map(|make| make())
    }

    /// A new value of a kind that is always built in.
    pub(super) fn make_default(&self, kind: &str) -> Box<dyn Discipline> {
        self.make(kind).unwrap_or_else(|| match kind {
            NO_QUEUE => Box::new(Queueless),
            MULTI => Box::new(super::multi::Multi::default()),
            _ => Box::new(Stored::new()),
        })
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}
