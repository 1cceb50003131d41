//! The people's side of a kind: `tc`'s words and `tc`'s output.

use crate::kind::filter::{FilterPlace, parse_filter_handle};
use crate::kind::object::{Action, Class, Filter, ObjectType, Qdisc};
use crate::kind::print::Printer;
use crate::kind::words::{WordError, Words, WordsContext};
use crate::kind::{Kind, OptionWords};
use crate::wire::error::DecodeError;
use crate::wire::handle::Handle;

/// The words and the output of a qdisc, class or action kind.
///
/// Gains provided methods only; see [`Kind`](Kind#stability).
pub trait Syntax: Kind {
    /// The text for `tc qdisc add KIND help`, with a newline at the end.
    const USAGE: &'static str;

    /// Reads options from words as `tc` does, with `tc`'s error texts. `None`
    /// means that the message carries no options.
    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError>;

    /// Prints the options as `tc` does.
    fn print(&self, out: &mut Printer);

    /// Describes dumped options in words that make the kernel keep them.
    /// [`Syntax::parse_words`] reads these words; `tc`'s output is rounded and
    /// does not serve.
    ///
    /// Options missing from the dump are *unspecified*
    /// ([`OptionWords::leave_open`]); options without `tc` syntax are
    /// *inexpressible* ([`OptionWords::cannot_say`]).
    fn to_words(&self, out: &mut OptionWords<'_>);

    /// Prints the kind's own counters (`TCA_STATS_APP`) as `tc` does; returns
    /// whether it printed anything.
    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let _ = (payload, out);
        Ok(false)
    }
}

/// The words and the output of a filter kind, which can depend on the filter's
/// place.
///
/// Gains provided methods only; see [`Kind`](Kind#stability).
pub trait FilterSyntax: Kind<Object = Filter> {
    /// The text for `tc filter add KIND help`, with a newline at the end.
    const USAGE: &'static str;

    /// Reads options and handle from words as `tc` does, with `tc`'s error
    /// texts. `None` means that the message carries no options.
    ///
    /// The words after the kind's name are in `words`, the word after `handle`
    /// is in `place`. Most kinds take the handle from
    /// [`FilterSyntax::handle_in`].
    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError>;

    /// Prints the options as `tc` does. They begin with the handle.
    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer);

    /// Describes dumped options in words, as [`Syntax::to_words`] does. The
    /// handle is not part of them: see [`FilterSyntax::write_handle`].
    fn to_words(&self, place: &FilterPlace<'_>, out: &mut OptionWords<'_>);

    /// Reads a handle, which each classifier writes in its own way; by default
    /// as a number.
    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        parse_filter_handle(text)
    }

    /// Writes a handle in a form that [`FilterSyntax::parse_handle`] reads.
    fn write_handle(handle: Handle) -> String {
        format!("{:#x}", handle.raw())
    }

    /// The word after `handle` for a filter with these options, which can be part of it. Empty if the
    /// options determine the handle.
    fn handle_word(&self, place: &FilterPlace<'_>) -> String {
        Self::write_handle(place.handle)
    }

    /// Whether the kernel makes and removes this object along with others, so that no
    /// words can add it.
    fn is_implicit(&self, place: &FilterPlace<'_>) -> bool {
        let _ = place;
        false
    }

    /// The handle that the words give: unspecified without the word `handle`.
    fn handle_in(place: &FilterPlace<'_>) -> Result<Handle, WordError> {
        place.handle_word.map_or(Ok(Handle::UNSPEC), Self::parse_handle)
    }
}

/// The syntax of the kind `K`, whichever trait has it: implemented by the types
/// of objects.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{K}` has no words: it implements neither `Syntax` nor, for a filter, `FilterSyntax`",
    label = "a kind with words is needed here"
)]
pub trait SyntaxOf<K: Kind>: ObjectType {
    const USAGE: &'static str;

    fn parse(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<K>, Handle), WordError>;

    fn print(options: &K, place: &FilterPlace<'_>, out: &mut Printer);

    fn to_words(options: &K, place: &FilterPlace<'_>, out: &mut OptionWords<'_>);

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError>;

    fn parse_handle(text: &str) -> Result<Handle, WordError>;

    fn write_handle(handle: Handle) -> String;

    fn handle_word(options: &K, place: &FilterPlace<'_>) -> String;

    fn is_implicit(options: &K, place: &FilterPlace<'_>) -> bool;
}

macro_rules! syntax_without_place {
    ($($object:ty),+) => {$(
        impl<K: Syntax<Object = $object>> SyntaxOf<K> for $object {
            const USAGE: &'static str = K::USAGE;

            fn parse(
                words: &mut Words<'_>,
                context: &WordsContext<'_>,
                place: &FilterPlace<'_>,
            ) -> Result<(Option<K>, Handle), WordError> {
                Ok((K::parse_words(words, context)?, place.handle))
            }

            fn print(options: &K, _: &FilterPlace<'_>, out: &mut Printer) {
                options.print(out);
            }

            fn to_words(options: &K, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
                options.to_words(out);
            }

            fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
                K::print_xstats(payload, out)
            }

            fn parse_handle(text: &str) -> Result<Handle, WordError> {
                parse_filter_handle(text)
            }

            fn write_handle(handle: Handle) -> String {
                handle.to_string()
            }

            fn handle_word(_: &K, place: &FilterPlace<'_>) -> String {
                place.handle.to_string()
            }

            fn is_implicit(_: &K, _: &FilterPlace<'_>) -> bool {
                false
            }
        }
    )+};
}

syntax_without_place!(Qdisc, Class, Action);

impl<K: FilterSyntax> SyntaxOf<K> for Filter {
    const USAGE: &'static str = K::USAGE;

    fn parse(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<K>, Handle), WordError> {
        K::parse_filter(words, context, place)
    }

    fn print(options: &K, place: &FilterPlace<'_>, out: &mut Printer) {
        options.print(place, out);
    }

    fn to_words(options: &K, place: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        options.to_words(place, out);
    }

    fn print_xstats(_: &[u8], _: &mut Printer) -> Result<bool, DecodeError> {
        Ok(false)
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        K::parse_handle(text)
    }

    fn write_handle(handle: Handle) -> String {
        K::write_handle(handle)
    }

    fn handle_word(options: &K, place: &FilterPlace<'_>) -> String {
        options.handle_word(place)
    }

    fn is_implicit(options: &K, place: &FilterPlace<'_>) -> bool {
        options.is_implicit(place)
    }
}
