//! The kinds of a program, by type and name.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::kind::object::ObjectType;
use crate::kind::{KindWithWords, TcOps, ops_of, shared_ops_of};
use crate::wire::verb::TcType;

/// Where a kind comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The crate that registers it.
    pub package: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// The file and line of its registration.
    pub location: &'static str,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.package, self.version, self.location)
    }
}

/// A kind that registers itself: what [`register!`](crate::register) submits.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registration {
    // Copies: calling all operations at the start would load the pages of all kinds.
    pub tc_type: TcType,
    pub kind: &'static str,
    pub ops: &'static dyn TcOps,
    pub origin: Origin,
}

impl Registration {
    pub const fn new<K: KindWithWords>(
        package: &'static str,
        version: &'static str,
        location: &'static str,
    ) -> Self {
        let origin = Origin { package, version, location };
        Self { tc_type: K::Object::TYPE, kind: K::KIND, ops: ops_of::<K>(), origin }
    }
}

inventory::collect!(Registration);

/// Registers kinds: every registry of a program that links the crate has them
/// (libnl's `rtnl_tc_register`, without the call).
///
/// A kind implements [`Kind`](crate::Kind), and [`Syntax`](crate::Syntax) or, for
/// a filter, [`FilterSyntax`](crate::FilterSyntax).
///
/// A binary that never names the crate does not link it: an application needs
/// `use my_kinds as _;`.
///
/// ```
/// use tc_core::print::Printer;
/// use tc_core::words::{WordError, Words, WordsContext};
/// use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader};
/// use tc_core::{Registry, Syntax, TcType, object};
///
/// /// `skbprio`: drops the lowest priority when full.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Skbprio {
///     /// Most packets in the queue.
///     limit: u32,
/// }
///
/// tc_core::register!(Skbprio);
///
/// impl Kind for Skbprio {
///     type Object = object::Qdisc;
///     const KIND: &'static str = "skbprio";
///
///     fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
///         out.put_u32(self.limit);
///         Ok(Fill::Written)
///     }
///
///     fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
///         Ok(Self { limit: Reader::new(payload).u32()? })
///     }
/// }
///
/// impl Syntax for Skbprio {
///     const USAGE: &'static str = "Usage: ... <skbprio> [ limit NUMBER ]\n";
///
///     fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
///         let mut limit = 64;
///         while let Some(word) = words.next() {
///             match word {
///                 "limit" => limit = words.parse(tc_core::units::parse_u32, |_| "Illegal \"limit\"".into())?,
///                 "help" => return Err(WordError::Help),
///                 word => return Err(WordError::what_is(word)),
///             }
///         }
///         Ok(Some(Self { limit }))
///     }
///
///     fn print(&self, out: &mut Printer) {
///         out.item("limit", "limit ", self.limit, " ");
///     }
///
///     fn to_words(&self, out: &mut OptionWords<'_>) {
///         out.say("limit", self.limit);
///     }
/// }
///
/// let registry = Registry::of_program()?;
/// assert_eq!(registry.get(TcType::Qdisc, "skbprio").unwrap().kind(), "skbprio");
/// # Ok::<(), tc_core::RegistryError>(())
/// ```
#[macro_export]
macro_rules! register {
    ($($kind:ty),+ $(,)?) => {$(
        $crate::inventory::submit! {
            $crate::Registration::new::<$kind>(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
                concat!(file!(), ":", line!()),
            )
        }
    )+};
}

/// Makes the kinds of this package give way to kinds of the same name from other packages.
///
/// A library of kinds says it once, so that a kind that is new in it does not break the programs that bring
/// their own. Two other packages with one name are an error, which the application resolves with
/// [`Registry::of_program_preferring`] and [`Registry::set_global`].
///
/// ```
/// tc_core::give_way!();
/// ```
#[macro_export]
macro_rules! give_way {
    () => {
        $crate::inventory::submit! { $crate::GivesWay::new(env!("CARGO_PKG_NAME")) }
    };
}

/// A package whose kinds give way: see [`give_way!`].
#[doc(hidden)]
#[derive(Debug)]
pub struct GivesWay {
    package: &'static str,
}

impl GivesWay {
    #[doc(hidden)]
    pub const fn new(package: &'static str) -> Self {
        Self { package }
    }
}

inventory::collect!(GivesWay);

/// The kinds that requests and dump entries are handed to, sorted by type and
/// name.
///
/// [`Registry::of_program`] has all kinds that registered themselves.
/// [`Registry::empty`] starts without kinds, for tests and plug-ins.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Vec<Registered>,
}

/// One kind in a registry.
#[derive(Clone, Debug)]
pub struct Registered {
    // The sort key, copied: every object of a list is looked up.
    tc_type: TcType,
    kind: &'static str,
    ops: Ops,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Ops {
    Linked(&'static dyn TcOps),
    AtRunTime(Arc<dyn TcOps>),
}

impl Registered {
    /// The kind's operations.
    pub fn ops(&self) -> &dyn TcOps {
        match &self.ops {
            Ops::Linked(ops) => *ops,
            Ops::AtRunTime(ops) => &**ops,
        }
    }

    /// Where it comes from.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    fn key(&self) -> (TcType, &str) {
        (self.tc_type, self.kind)
    }
}

impl Registry {
    /// A registry without kinds.
    pub const fn empty() -> Self {
        Self { entries: Vec::new() }
    }

    /// A registry of all kinds that registered themselves in this program.
    ///
    /// Fails if two packages bring the same kind and neither [gives way](give_way!).
    pub fn of_program() -> Result<Self, RegistryError> {
        Self::of_program_preferring(&[])
    }

    /// [`Registry::of_program`], where the kinds of these packages win over those of others; an earlier
    /// package wins over a later one.
    pub fn of_program_preferring(packages: &[&str]) -> Result<Self, RegistryError> {
        let gives_way =
            |package| inventory::iter::<GivesWay>.into_iter().any(|other| other.package == package);
        // The least wins.
        let rank = |origin: &Origin| match packages.iter().position(|package| *package == origin.package) {
            Some(at) => (0, at),
            None => (if gives_way(origin.package) { 2 } else { 1 }, 0),
        };
        let mut registry = Self::empty();
        for Registration { tc_type, kind, ops, origin } in inventory::iter::<Registration> {
            let new = Registered { tc_type: *tc_type, kind, ops: Ops::Linked(*ops), origin: origin.clone() };
            match registry.position(*tc_type, kind) {
                Ok(at) if rank(origin) < rank(&registry.entries[at].origin) => registry.entries[at] = new,
                Ok(at) if rank(origin) > rank(&registry.entries[at].origin) => {}
                _ => registry.insert(new)?,
            }
        }
        if let Some((name, first, second)) = crate::kind::ematch::duplicate() {
            let (first, second) = (first.clone(), second.clone());
            return Err(RegistryError::DuplicateEmatch { name, first, second });
        }
        Ok(registry)
    }

    /// The registry of the program: the one that was [set](Self::set_global), or
    /// [`Registry::of_program`], made once.
    pub fn global() -> Result<&'static Self, RegistryError> {
        GLOBAL.get_or_init(Self::of_program).as_ref().map_err(Clone::clone)
    }

    /// Sets the registry of the program, before its first use. Options of actions inside filters, the
    /// contract and tc-cli use it.
    ///
    /// Fails if the program has used or set its registry already.
    pub fn set_global(registry: Self) -> Result<(), RegistryError> {
        GLOBAL.set(Ok(registry)).map_err(|_| RegistryError::GlobalInUse)
    }

    /// The types and names of all kinds that registered themselves in this program. A name can come twice.
    pub fn names_of_program() -> impl Iterator<Item = (TcType, &'static str)> {
        inventory::iter::<Registration>
            .into_iter()
            .map(|registration| (registration.tc_type, registration.kind))
    }

    /// Adds a kind at run time.
    pub fn register<K: KindWithWords>(&mut self, origin: Origin) -> Result<(), RegistryError> {
        self.register_ops(shared_ops_of::<K>(), origin)
    }

    /// Adds a kind at run time by its operations.
    pub fn register_ops(&mut self, ops: Arc<dyn TcOps>, origin: Origin) -> Result<(), RegistryError> {
        let (tc_type, kind) = (ops.tc_type(), ops.kind());
        self.insert(Registered { tc_type, kind, ops: Ops::AtRunTime(ops), origin })
    }

    /// Takes out a kind that was added at run time, and returns it.
    pub fn unregister(&mut self, tc_type: TcType, kind: &str) -> Result<Arc<dyn TcOps>, RegistryError> {
        let missing = || RegistryError::NotRegistered { tc_type, kind: kind.to_owned() };
        let at = self.position(tc_type, kind).map_err(|_| missing())?;
        let Ops::AtRunTime(ops) = &self.entries[at].ops else {
            return Err(RegistryError::Linked {
                tc_type,
                kind: kind.to_owned(),
                origin: self.entries[at].origin.clone(),
            });
        };
        let ops = Arc::clone(ops);
        self.entries.remove(at);
        Ok(ops)
    }

    /// The operations of a kind.
    pub fn get(&self, tc_type: TcType, kind: &str) -> Option<&dyn TcOps> {
        self.entry(tc_type, kind).map(Registered::ops)
    }

    /// A kind and where it comes from.
    pub fn entry(&self, tc_type: TcType, kind: &str) -> Option<&Registered> {
        self.position(tc_type, kind).ok().map(|at| &self.entries[at])
    }

    /// All kinds, sorted by type and name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Registered> {
        self.entries.iter()
    }

    fn position(&self, tc_type: TcType, kind: &str) -> Result<usize, usize> {
        // Byte by byte: names differ in the first ones, and memcmp is a call each.
        let by_name = |entry: &Registered| entry.kind.bytes().cmp(kind.bytes());
        self.entries.binary_search_by(|entry| entry.tc_type.cmp(&tc_type).then_with(|| by_name(entry)))
    }

    fn insert(&mut self, entry: Registered) -> Result<(), RegistryError> {
        let (tc_type, kind) = entry.key();
        match self.position(tc_type, kind) {
            Ok(at) => Err(RegistryError::Duplicate {
                tc_type,
                kind: kind.to_owned(),
                first: self.entries[at].origin.clone(),
                second: entry.origin,
            }),
            Err(at) => {
                self.entries.insert(at, entry);
                Ok(())
            }
        }
    }
}

static GLOBAL: OnceLock<Result<Registry, RegistryError>> = OnceLock::new();

/// An error of a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two packages bring the same kind. Unlink one of them, or choose with
    /// [`Registry::of_program_preferring`].
    #[error("{tc_type} {kind} is registered twice: by {first} and by {second}")]
    Duplicate {
        /// The type of its objects.
        tc_type: TcType,
        /// Its name.
        kind: String,
        /// The first registration.
        first: Origin,
        /// The second registration.
        second: Origin,
    },
    /// The registry of the program is in use, and cannot be set any more.
    #[error("the registry of the program is in use already: set it before its first use")]
    GlobalInUse,
    /// Two crates bring an ematch with the same number or the same name. Unlink one of them.
    #[error("the ematch {name} is registered twice: by {first} and by {second}")]
    DuplicateEmatch {
        /// The name of the second one.
        name: &'static str,
        /// The first registration.
        first: Origin,
        /// The second registration.
        second: Origin,
    },
    /// There is no such kind.
    #[error("{tc_type} {kind} is not registered")]
    NotRegistered {
        /// The type of its objects.
        tc_type: TcType,
        /// Its name.
        kind: String,
    },
    /// A kind that is linked into the program cannot be taken out.
    #[error("{tc_type} {kind} is linked into the program by {origin} and cannot be taken out")]
    Linked {
        /// The type of its objects.
        tc_type: TcType,
        /// Its name.
        kind: String,
        /// The crate that links it.
        origin: Origin,
    },
}
