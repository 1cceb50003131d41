//! `fw`: a filter by the mark that a firewall put on the packet.
//!
//! UAPI: attributes `TCA_FW_*` of `linux/pkt_cls.h`. The mark is the filter's handle.
//!
//! Kernel, `net/sched/cls_fw.c`:
//! - all filters of a priority have one mask, which the first of them sets;
//! - without options a filter takes every mark for a class, and dumps of its qdisc end with an error.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::{Formatted, Printer};
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace,
    FilterSyntax, Handle, Kind, OptionWords, object,
};

use super::{class_of, indev_of, police_or_actions};
use crate::action::police::Police;

tc_core::register!(Fw);

/// The options of a fw filter.
///
/// ```
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::filter::fw::Fw;
///
/// // Packets with the mark 7 go to the class 1:10.
/// let fw = Fw::default().class(Handle::class(1, 0x10));
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(5).protocol(ETH_P_IP);
/// let filter = filter.handle(Handle::from_raw(7)).options(&fw);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Fw {
    /// The bits of the mark that count; `None` means all, or those of the other
    /// filters of the priority.
    pub mask: Option<u32>,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
    /// The device that packets came in from.
    pub indev: Option<String>,
}

impl Kind for Fw {
    type Object = object::Filter;
    const KIND: &'static str = "fw";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.fixed(&["mask"]);

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(MASK, self.mask);
        out.attr_u32_if(CLASSID, self.class.map(Handle::raw));
        police_or_actions(self.police.as_ref(), &self.actions).map_err(EncodeError::Invalid)?;
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        if let Some(indev) = &self.indev {
            out.attr_str(INDEV, indev);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ MASK as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        Ok(Self {
            mask: attr(MASK).map(|attr| attr.u32()).transpose()?,
            class: attr(CLASSID).map(|attr| attr.u32().map(Handle::from_raw)).transpose()?,
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
            indev: attr(INDEV).map(|attr| attr.str().map(str::to_owned)).transpose()?,
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            // Kernel: a mask of all bits is not dumped.
            mask: self.mask.filter(|mask| *mask != u32::MAX),
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped(environment),
            ..self.clone()
        }
    }

    fn target_class(&self) -> Option<Handle> {
        self.class
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(self.police.as_ref(), &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for Fw {
    const USAGE: &'static str = "\
Usage: ... fw [ classid CLASSID ] [ indev DEV ] [ action ACTION_SPEC ]
\tCLASSID := Push matching packets to the class identified by CLASSID with format X:Y
\t\tCLASSID is parsed as hexadecimal input.
\tDEV := specify device for incoming device classification.
\tACTION_SPEC := Apply an action on matching packets.
\tNOTE: handle is represented as HANDLE[/FWMASK].
\t\tFWMASK is 0xffffffff by default.
";

    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError> {
        let (handle, mask) = place.handle_word.map_or(Ok((Handle::UNSPEC, None)), mark_and_mask)?;
        if words.is_empty() {
            return Ok((None, handle));
        }
        let mut fw = Self { mask, ..Self::default() };
        while let Some(word) = words.next() {
            match word {
                word if is_prefix(word, "classid") || is_prefix(word, "flowid") => {
                    fw.class = Some(class_of(words)?);
                }
                word if is_prefix(word, "police") => fw.police = Some(Police::parse_in_filter(words)?),
                word if is_prefix(word, "action") => {
                    if words.is_empty() {
                        return Err(WordError::Incomplete);
                    }
                    let in_fw = |error| match error {
                        WordError::Kind(text) => {
                            WordError::Kind(text.replace("Illegal \"action\"", "Illegal fw \"action\""))
                        }
                        other => other,
                    };
                    fw.actions = Actions::parse_words(words, context).map_err(in_fw)?;
                }
                "indev" => fw.indev = Some(indev_of(words)?),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        police_or_actions(fw.police.as_ref(), &fw.actions).map_err(WordError::Kind)?;
        Ok((Some(fw), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        let mark = place.handle.raw();
        let mask = self.mask.filter(|mask| *mask != u32::MAX);
        if mark != 0 || self.mask.is_some() {
            out.json("handle", mark);
            out.text_item("handle ", Formatted(format_args!("{mark:#x}")), "");
            if let Some(mask) = mask {
                out.json("mask", mask);
                out.text_item("/", Formatted(format_args!("{mask:#x}")), "");
            }
            out.text(" ");
        }
        if let Some(class) = self.class {
            out.item("classid", "classid ", class, " ");
        }
        if let Some(police) = &self.police {
            tc_core::Syntax::print(police, out);
        }
        if let Some(indev) = &self.indev {
            out.item("input_dev", "input dev ", indev.as_str(), " ");
        }
        if !self.actions.is_empty() {
            out.newline();
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        out.text("classid", self.class.map(|class| format!("classid {class}")).unwrap_or_default());
        // Kernel: a change without a device keeps it.
        out.say_name("indev", self.indev.as_deref());
        // Its words are in the handle.
        match self.mask {
            Some(mask) => out.silent("mask", format_args!("{mask:#x}")),
            None => out.text("mask", ""),
        }
        match &self.police {
            Some(police) => police.to_words_in_filter(out),
            None => self.actions.to_words(out),
        }
    }

    fn handle_word(&self, place: &FilterPlace<'_>) -> String {
        let mask = self.mask.map(|mask| format!("/{mask:#x}")).unwrap_or_default();
        Self::write_handle(place.handle) + &mask
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        mark_and_mask(text).map(|(handle, _)| handle)
    }
}

/// Reads a mark and the mask after a slash, if there is one.
fn mark_and_mask(text: &str) -> Result<(Handle, Option<u32>), WordError> {
    let illegal = |what: &str| WordError::Kind(format!("Illegal \"handle\"{what}"));
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    let mark = parse_u32(mark).map_err(|_| illegal(""))?;
    let mask = mask.map(|mask| parse_u32(mask).map_err(|_| illegal(" mask"))).transpose()?;
    Ok((Handle::from_raw(mark), mask))
}

const CLASSID: u16 = 1;
const POLICE: u16 = 2;
const INDEV: u16 = 3;
const ACT: u16 = 4;
const MASK: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Devices, message};
    use tc_core::{Request, Verb};

    fn read(words: &str, handle: &str) -> Result<(Option<Fw>, Handle), WordError> {
        let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let mut place = FilterPlace::default();
        place.handle_word = Some(handle);
        Fw::parse_filter(&mut Words::new(&words), &context, &place)
    }

    #[test]
    fn mask_is_part_of_the_handle() {
        let (fw, handle) = read("classid 1:10", "0x10/0xff").unwrap();
        let fw = fw.unwrap();
        assert_eq!((fw.mask, handle), (Some(0xff), Handle::from_raw(0x10)));
        let bytes = message(&Request::filter(1).handle(handle).options(&fw), Verb::Add);
        assert_eq!(Fw::decode(&bytes[48..]), Ok(fw.clone()));
        let mut place = FilterPlace::default();
        place.handle = handle;
        assert_eq!(fw.handle_word(&place), "0x10/0xff");
        assert_eq!(read("", "10"), Ok((None, Handle::from_raw(10))));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, handle, text) in [
            ("classid 1:1", "x", "Illegal \"handle\""),
            ("classid 1:1", "1/x", "Illegal \"handle\" mask"),
            ("classid x", "1", "Illegal \"classid\""),
            ("indev", "1", "Illegal indev"),
            ("indev \0", "1", "Illegal indev \"\\0\": a device name has no NUL"),
            ("bogus", "1", "What is \"bogus\"?"),
            ("action", "1", "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(read(words, handle).unwrap_err().to_string(), text, "{words}");
        }
        let both = read("police mtu 1500 drop action drop", "1").unwrap_err().to_string();
        assert!(both.contains("\"police\" and \"action\" are mutually exclusive"), "{both}");
    }
}
