//! The object-safe face of kinds: [`Options`] for a value of a kind's type,
//! [`TcOps`] for a kind with words. Both follow from the typed traits.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::kind::action::Actions;
use crate::kind::filter::FilterPlace;
use crate::kind::object::ObjectType;
use crate::kind::print::Printer;
use crate::kind::syntax::SyntaxOf;
use crate::kind::words::{Environment, WordError, Words, WordsContext};
use crate::kind::{ChangeSemantics, Fill, FillContext, Kind, OptionWords};
use crate::wire::attr::AttrWriter;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::handle::Handle;
use crate::wire::verb::{TcType, Verb};

/// Options of some kind: any value whose type is a [`Kind`].
pub trait Options: Any + fmt::Debug + Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// The type of the kind's objects.
    fn tc_type(&self) -> TcType;
    /// A copy in a box.
    fn boxed(&self) -> Box<dyn Options>;
    /// Whether the other options are of this kind and equal.
    fn equals(&self, other: &dyn Options) -> bool;
    /// See [`Kind::encode`].
    fn fill(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError>;
    /// See [`Kind::READ_BEFORE_CHANGE`].
    fn reads_before_change(&self) -> bool;
    /// See [`Kind::second_request`].
    fn second_request(&self, verb: Verb) -> Option<Box<dyn Options>>;
    /// See [`Kind::as_dumped`].
    fn as_dumped(&self, environment: &dyn Environment) -> Box<dyn Options>;
    /// See [`Kind::as_request`].
    fn as_request(&self) -> Box<dyn Options>;
    /// See [`Kind::requests`].
    fn requests(&self) -> Vec<Box<dyn Options>>;
    /// See [`Kind::as_change`].
    fn as_change(&self) -> Box<dyn Options>;
    /// See [`Kind::filter_blocks`].
    fn filter_blocks(&self) -> Vec<u32>;
    /// See [`Kind::target_class`].
    fn target_class(&self) -> Option<Handle>;
    /// See [`Kind::held_actions`].
    fn held_actions(&self) -> Vec<(String, u32)>;
    /// See [`Kind::actions`].
    fn actions(&self) -> Option<&Actions>;
    /// See [`Kind::action_index`].
    fn action_index(&self) -> u32;
    /// See [`Kind::within_filter`].
    fn within_filter(&self, handle: Handle) -> Option<Handle>;
    /// See [`Kind::leads_to_filter`].
    fn leads_to_filter(&self) -> Option<Handle>;
    /// See [`Kind::stands_alone`].
    fn stands_alone(&self) -> Option<bool>;
    /// See [`Kind::template_protocol`].
    fn template_protocol(&self) -> Option<u16>;
}

impl<K: Kind> Options for K {
    fn kind(&self) -> &'static str {
        K::KIND
    }

    fn tc_type(&self) -> TcType {
        K::Object::TYPE
    }

    fn boxed(&self) -> Box<dyn Options> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Options) -> bool {
        other.downcast_ref::<K>() == Some(self)
    }

    fn fill(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        self.encode(context, out)
    }

    fn reads_before_change(&self) -> bool {
        K::READ_BEFORE_CHANGE
    }

    fn second_request(&self, verb: Verb) -> Option<Box<dyn Options>> {
        Kind::second_request(self, verb).map(|options| Box::new(options) as Box<dyn Options>)
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Box<dyn Options> {
        Box::new(Kind::as_dumped(self, environment))
    }

    fn as_request(&self) -> Box<dyn Options> {
        Box::new(Kind::as_request(self))
    }

    fn requests(&self) -> Vec<Box<dyn Options>> {
        let requests = Kind::requests(self).into_iter();
        requests.map(|options| Box::new(options) as Box<dyn Options>).collect()
    }

    fn as_change(&self) -> Box<dyn Options> {
        Box::new(Kind::as_change(self))
    }

    fn filter_blocks(&self) -> Vec<u32> {
        Kind::filter_blocks(self)
    }

    fn target_class(&self) -> Option<Handle> {
        Kind::target_class(self)
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        Kind::held_actions(self)
    }

    fn actions(&self) -> Option<&Actions> {
        Kind::actions(self)
    }

    fn action_index(&self) -> u32 {
        Kind::action_index(self)
    }

    fn within_filter(&self, handle: Handle) -> Option<Handle> {
        Kind::within_filter(self, handle)
    }

    fn leads_to_filter(&self) -> Option<Handle> {
        Kind::leads_to_filter(self)
    }

    fn stands_alone(&self) -> Option<bool> {
        Kind::stands_alone(self)
    }

    fn template_protocol(&self) -> Option<u16> {
        Kind::template_protocol(self)
    }
}

impl dyn Options {
    /// The options as a value of type `K`, if that is their type.
    pub fn downcast_ref<K: Kind>(&self) -> Option<&K> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The operations of a kind with words, which a registry holds: the role of
/// libnl's `struct rtnl_tc_ops`.
///
/// Every [`KindWithWords`] has them through [`ops_of`]; no kind implements this
/// trait by hand.
pub trait TcOps: Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// The type of the kind's objects.
    fn tc_type(&self) -> TcType;
    /// The text for `help`.
    fn usage(&self) -> &'static str;
    /// See [`Kind::READ_BEFORE_CHANGE`].
    fn reads_before_change(&self) -> bool;
    /// See [`Kind::CHANGE`].
    fn change_semantics(&self) -> &'static ChangeSemantics;
    /// See [`Kind::HOOKS`].
    fn hooks(&self) -> &'static [Handle] {
        &[]
    }

    /// Appends the payload of `TCA_OPTIONS`. Options of another kind are an
    /// error.
    fn msg_fill(
        &self,
        options: Option<&dyn Options>,
        context: &FillContext,
        out: &mut AttrWriter<'_>,
    ) -> Result<Fill, EncodeError>;
    /// Reads the payload of `TCA_OPTIONS`.
    fn msg_parse(&self, payload: &[u8]) -> Result<Box<dyn Options>, DecodeError>;

    /// Reads options from words; with those of a filter comes its handle.
    /// The place counts for filters alone.
    fn parse_words_at(
        &self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Box<dyn Options>>, Handle), WordError>;
    /// Prints the payload of `TCA_OPTIONS`; on an error nothing is printed. The
    /// place counts for filters alone.
    fn print_at(&self, payload: &[u8], place: &FilterPlace<'_>, out: &mut Printer)
    -> Result<(), DecodeError>;
    /// Prints options that were read before; returns false, and prints nothing,
    /// if they are of another kind.
    fn print_options(&self, options: &dyn Options, out: &mut Printer) -> bool;
    /// Describes options in words. Options of another kind are inexpressible.
    /// The place counts for filters alone.
    fn to_words_at(&self, options: &dyn Options, place: &FilterPlace<'_>, out: &mut OptionWords<'_>);
    /// Prints the payload of `TCA_STATS_APP`; returns whether it printed
    /// anything.
    fn print_xstats(&self, payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError>;
    /// Reads the handle of a filter.
    fn parse_handle(&self, text: &str) -> Result<Handle, WordError>;
    /// Writes the handle of a filter so that [`TcOps::parse_handle`] reads it.
    fn write_handle(&self, handle: Handle) -> String;
    /// The word after `handle` for a filter with these options, which can be part of it.
    fn handle_word_at(&self, options: &dyn Options, place: &FilterPlace<'_>) -> String;
    /// Whether the kernel makes and removes this filter along with others, so that no words can add it.
    fn is_implicit_at(&self, options: &dyn Options, place: &FilterPlace<'_>) -> bool;

    /// Reads options from words, for a filter without a known place.
    fn parse_words(
        &self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Option<Box<dyn Options>>, WordError> {
        self.parse_words_at(words, context, &FilterPlace::default()).map(|(options, _)| options)
    }
    /// Prints the payload of `TCA_OPTIONS`, for a filter without a known place.
    fn print(&self, payload: &[u8], out: &mut Printer) -> Result<(), DecodeError> {
        self.print_at(payload, &FilterPlace::default(), out)
    }
    /// Describes options in words, for a filter without a known place.
    fn to_words(&self, options: &dyn Options, out: &mut OptionWords<'_>) {
        self.to_words_at(options, &FilterPlace::default(), out);
    }
    /// These operations for the life of the program, if they are those of a
    /// type.
    fn to_static(&self) -> Option<&'static dyn TcOps> {
        None
    }
}

impl fmt::Debug for dyn TcOps + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcOps({} {})", self.tc_type(), self.kind())
    }
}

/// A kind that has words: it implements [`Syntax`](crate::Syntax) or
/// [`FilterSyntax`](crate::FilterSyntax), and has this trait by that.
pub trait KindWithWords: Kind {
    #[doc(hidden)]
    const OPS: &'static dyn TcOps;
    #[doc(hidden)]
    fn shared_ops() -> Arc<dyn TcOps>;
}

impl<K: Kind> KindWithWords for K
where
    K::Object: SyntaxOf<K>,
{
    const OPS: &'static dyn TcOps = &Adapter::<K>(PhantomData);

    fn shared_ops() -> Arc<dyn TcOps> {
        Arc::new(Adapter::<K>(PhantomData))
    }
}

/// The operations of a kind.
pub const fn ops_of<K: KindWithWords>() -> &'static dyn TcOps {
    K::OPS
}

/// The operations of a kind, for a registry that is filled at run time.
pub fn shared_ops_of<K: KindWithWords>() -> Arc<dyn TcOps> {
    K::shared_ops()
}

/// The one bridge between the typed traits and [`TcOps`].
struct Adapter<K>(PhantomData<fn() -> K>);

impl<K: Kind> TcOps for Adapter<K>
where
    K::Object: SyntaxOf<K>,
{
    fn kind(&self) -> &'static str {
        K::KIND
    }

    fn tc_type(&self) -> TcType {
        K::Object::TYPE
    }

    fn usage(&self) -> &'static str {
        K::Object::USAGE
    }

    fn reads_before_change(&self) -> bool {
        K::READ_BEFORE_CHANGE
    }

    fn change_semantics(&self) -> &'static ChangeSemantics {
        const { &K::CHANGE }
    }

    fn hooks(&self) -> &'static [Handle] {
        K::HOOKS
    }

    fn msg_fill(
        &self,
        options: Option<&dyn Options>,
        context: &FillContext,
        out: &mut AttrWriter<'_>,
    ) -> Result<Fill, EncodeError> {
        let Some(options) = options else { return Ok(Fill::Absent) };
        let wrong = || EncodeError::WrongKind { expected: K::KIND, found: options.kind() };
        options.downcast_ref::<K>().ok_or_else(wrong)?.encode(context, out)
    }

    fn msg_parse(&self, payload: &[u8]) -> Result<Box<dyn Options>, DecodeError> {
        Ok(Box::new(K::decode(payload)?))
    }

    fn parse_words_at(
        &self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Box<dyn Options>>, Handle), WordError> {
        let (options, handle): (Option<K>, _) = K::Object::parse(words, context, place)?;
        Ok((options.map(|options| Box::new(options) as Box<dyn Options>), handle))
    }

    fn print_at(
        &self,
        payload: &[u8],
        place: &FilterPlace<'_>,
        out: &mut Printer,
    ) -> Result<(), DecodeError> {
        K::Object::print(&K::decode(payload)?, place, out);
        Ok(())
    }

    fn print_options(&self, options: &dyn Options, out: &mut Printer) -> bool {
        let Some(options) = options.downcast_ref::<K>() else { return false };
        K::Object::print(options, &FilterPlace::default(), out);
        true
    }

    fn to_words_at(&self, options: &dyn Options, place: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        match options.downcast_ref::<K>() {
            Some(options) => K::Object::to_words(options, place, out),
            None => out.cannot_say(&format!("options of {} in words of {}", options.kind(), K::KIND)),
        }
    }

    fn print_xstats(&self, payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        K::Object::print_xstats(payload, out)
    }

    fn parse_handle(&self, text: &str) -> Result<Handle, WordError> {
        K::Object::parse_handle(text)
    }

    fn write_handle(&self, handle: Handle) -> String {
        K::Object::write_handle(handle)
    }

    fn handle_word_at(&self, options: &dyn Options, place: &FilterPlace<'_>) -> String {
        match options.downcast_ref::<K>() {
            Some(options) => K::Object::handle_word(options, place),
            None => K::Object::write_handle(place.handle),
        }
    }

    fn is_implicit_at(&self, options: &dyn Options, place: &FilterPlace<'_>) -> bool {
        options.downcast_ref::<K>().is_some_and(|options| K::Object::is_implicit(options, place))
    }

    fn to_static(&self) -> Option<&'static dyn TcOps> {
        Some(K::OPS)
    }
}
