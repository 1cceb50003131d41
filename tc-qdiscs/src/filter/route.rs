//! `route`: a filter by the realms of the packet's route.
//!
//! UAPI: attributes `TCA_ROUTE4_*` of `linux/pkt_cls.h`. Realms are numbers that routes have, from 0 to 255.
//!
//! A handle has the filter's keys: the low byte is the realm of the destination (0x8000 for none), the high
//! half the realm of the source, or the device's index plus 0x8000 (0xffff for neither); seven bits between
//! are the filter's own, its order.
//!
//! Kernel, `net/sched/cls_route.c`:
//! - only routed packets on their way out match;
//! - a handle that contradicts the options is refused; without one the order is 0;
//! - a change to the same keys is refused (EEXIST, seen on Linux 6.1), and with other keys the filter gets
//!   another handle.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::{Formatted, Hex0x, Printer};
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace,
    FilterSyntax, Handle, Kind, OptionWords, object,
};

use super::{class_of, police_or_actions};
use crate::action::police::Police;

tc_core::register!(Route);

/// The options of a route filter.
///
/// ```
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::filter::route::Route;
///
/// // Packets from the realm 2 to the realm 10 go to the class 1:10.
/// let route = Route::default().from(2).to(10).class(Handle::class(1, 0x10));
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(100).protocol(ETH_P_IP);
/// let filter = filter.handle(route.handle(0)).options(&route);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Route {
    /// The realm of the destination.
    pub to: Option<u8>,
    /// The realm of the source. The kernel refuses it beside `from_dev`.
    pub from: Option<u8>,
    /// The index of the device that packets came in from, at most 0x7fff.
    pub from_dev: Option<i32>,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
}

impl Route {
    /// The handle of the filter, with this order from 0 to 127.
    pub const fn handle(&self, order: u8) -> Handle {
        let to = match self.to {
            Some(to) => to as u32,
            None => NO_REALM,
        };
        let from = match (self.from, self.from_dev) {
            (Some(from), _) => from as u32,
            (None, Some(ifindex)) => OF_DEVICE | (ifindex as u32 & (OF_DEVICE - 1)),
            (None, None) => 0xffff,
        };
        Handle::from_raw(from << 16 | (order as u32 & 0x7f) << 8 | to)
    }
}

impl Kind for Route {
    type Object = object::Filter;
    const KIND: &'static str = "route";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    /// The attributes come in one order; `tc` writes them in the order of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        police_or_actions(self.police.as_ref(), &self.actions)
            .map_err(|error| EncodeError::Invalid(format!("route: {error}")))?;
        out.attr_u32_if(FROM, self.from.map(u32::from));
        if let Some(ifindex) = self.from_dev {
            out.attr_i32(IIF, ifindex);
        }
        out.attr_u32_if(TO, self.to.map(u32::from));
        out.attr_u32_if(CLASSID, self.class.map(Handle::raw));
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ ACT as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let realm = |kind: u16| {
            let realm = attr(kind).map(|attr| attr.u32()).transpose()?;
            let narrow = |realm| u8::try_from(realm).map_err(|_| DecodeError::Malformed { what: "realm" });
            realm.map(narrow).transpose()
        };
        Ok(Self {
            to: realm(TO)?,
            from: realm(FROM)?,
            from_dev: attr(IIF).map(|attr| attr.i32()).transpose()?,
            class: attr(CLASSID).map(|attr| attr.u32().map(Handle::from_raw)).transpose()?,
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            class: self.class.filter(|class| !class.is_unspec()),
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

impl FilterSyntax for Route {
    const USAGE: &'static str = "\
Usage: ... route [ from REALM | fromif TAG ] [ to REALM ]
                [ classid CLASSID ] [ action ACTION_SPEC ]
       ACTION_SPEC := ... look at individual actions
       CLASSID := X:Y

NOTE: CLASSID is parsed as hexadecimal input.
";

    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError> {
        let handle = Self::handle_in(place)?;
        if words.is_empty() {
            return Ok((None, handle));
        }
        let (mut route, mut order) = (Self::default(), 0);
        while let Some(word) = words.next() {
            let illegal = |name: &str| WordError::Kind(format!("Illegal \"{name}\""));
            match word {
                word if is_prefix(word, "to") => {
                    route.to = Some(realm(words.value()?, context).ok_or_else(|| illegal("to"))?);
                }
                word if is_prefix(word, "from") => {
                    route.from = Some(realm(words.value()?, context).ok_or_else(|| illegal("from"))?);
                }
                word if is_prefix(word, "fromif") => {
                    let ifindex = context.environment.ifindex(words.value()?).ok();
                    let ifindex = ifindex.filter(|ifindex| (1..=0x7fff).contains(ifindex));
                    route.from_dev = Some(ifindex.ok_or_else(|| illegal("fromif"))?);
                }
                word if is_prefix(word, "classid") || word == "flowid" => {
                    route.class = Some(class_of(words)?);
                }
                word if is_prefix(word, "police") => route.police = Some(Police::parse_in_filter(words)?),
                word if is_prefix(word, "action") => {
                    if words.is_empty() {
                        return Err(WordError::Incomplete);
                    }
                    route.actions = Actions::parse_words(words, context)?;
                }
                word if is_prefix(word, "order") => {
                    let number = words.parse(parse_u32, |_| "Illegal \"order\"".into())?;
                    let number = u8::try_from(number).ok().filter(|order| *order < 128);
                    order = number.ok_or_else(|| illegal("order"))?;
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        police_or_actions(route.police.as_ref(), &route.actions).map_err(WordError::Kind)?;
        if route.from.is_some() && route.from_dev.is_some() {
            return Err(WordError::Kind("\"from\" and \"fromif\" are mutually exclusive".into()));
        }
        let handle = if handle.is_unspec() { route.handle(order) } else { handle };
        Ok((Some(route), handle))
    }

    /// The JSON is that of later versions of `tc`, but for the keys of the realms: both are `name` there.
    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        let handle = place.handle.raw();
        if handle != 0 {
            out.json("fh", Hex0x(handle.into()));
            out.text_item("fh ", Formatted(format_args!("{handle:#010x}")), " ");
        }
        if order_of(place) != 0 {
            out.item("order", "order ", order_of(place), " ");
        }
        out.item_if("flowid", "flowid ", self.class, " ");
        for (key, before, realm) in [("to", "to ", self.to), ("from", "from ", self.from)] {
            if let Some(realm) = realm {
                let name = out.realm_name(realm);
                out.item(key, before, name, " ");
            }
        }
        if let Some(ifindex) = self.from_dev {
            let name = out.device_name(ifindex);
            out.item("fromif", "fromif ", name, "");
        }
        if let Some(police) = &self.police {
            tc_core::Syntax::print(police, out);
        }
        if !self.actions.is_empty() {
            self.actions.print(out);
        }
    }

    fn to_words(&self, place: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        out.text("from", self.from.map(|realm| format!("from {realm}")).unwrap_or_default());
        let from_dev = self.from_dev.map(|ifindex| format!("fromif {}", out.device_name(ifindex)));
        out.text("fromif", from_dev.unwrap_or_default());
        out.text("to", self.to.map(|realm| format!("to {realm}")).unwrap_or_default());
        let order = order_of(place);
        out.not_dumped("order", if order == 0 { String::new() } else { format!("order {order}") });
        out.text("classid", self.class.map(|class| format!("classid {class}")).unwrap_or_default());
        match &self.police {
            Some(police) => police.to_words_in_filter(out),
            None => self.actions.to_words(out),
        }
    }

    /// None: the options have it, and with the index of a device it holds on this machine alone.
    fn handle_word(&self, _: &FilterPlace<'_>) -> String {
        String::new()
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        let illegal = |_| WordError::Kind("Illegal \"handle\"".into());
        parse_u32(text).map(Handle::from_raw).map_err(illegal)
    }
}

/// The part of the handle that is the filter's own.
const fn order_of(place: &FilterPlace<'_>) -> u32 {
    place.handle.raw() >> 8 & 0x7f
}

/// Reads the name or the number of a realm.
fn realm(word: &str, context: &WordsContext<'_>) -> Option<u8> {
    let by_number = || u8::try_from(parse_u32(word).ok()?).ok();
    context.environment.realm(word).or_else(by_number)
}

const NO_REALM: u32 = 0x8000;
const OF_DEVICE: u32 = 0x8000;

const CLASSID: u16 = 1;
const TO: u16 = 2;
const FROM: u16 = 3;
const IIF: u16 = 4;
const POLICE: u16 = 5;
const ACT: u16 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Devices, message};
    use tc_core::print::{Form, Style};
    use tc_core::{Request, Verb};

    fn read(words: &str, handle: Option<&str>) -> Result<(Option<Route>, Handle), WordError> {
        let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let mut place = FilterPlace::default();
        place.handle_word = handle;
        Route::parse_filter(&mut Words::new(&words), &context, &place)
    }

    #[test]
    fn words_make_options_and_handle() {
        let class = Handle::class(1, 0x10);
        for (words, route, handle) in [
            ("from 2 to 10 classid 1:10", Route::default().from(2).to(10).class(class), 0x0002_000a),
            (
                "fromif lo to 10 order 3 flowid 1:10",
                Route::default().from_dev(1).to(10).class(class),
                0x8001_030a,
            ),
            ("to 11", Route::default().to(11), 0xffff_000b),
            ("f 1", Route::default().from(1), 0x0001_8000),
            ("classid 1:10", Route::default().class(class), 0xffff_8000),
        ] {
            assert_eq!(read(words, None), Ok((Some(route.clone()), Handle::from_raw(handle))), "{words}");
            let bytes = message(&Request::filter(1).options(&route), Verb::Add);
            assert_eq!(Route::decode(&bytes[52..]), Ok(route), "{words}");
        }
        assert_eq!(read("", Some("0x10")), Ok((None, Handle::from_raw(16))));
        let given = Handle::from_raw(0xffff_050b);
        assert_eq!(read("to 11", Some("0xffff050b")), Ok((Some(Route::default().to(11)), given)));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("to 256", "Illegal \"to\""),
            ("to nowhere", "Illegal \"to\""),
            ("from -1", "Illegal \"from\""),
            ("fromif nope", "Illegal \"fromif\""),
            ("order x", "Illegal \"order\""),
            ("order 128", "Illegal \"order\""),
            ("classid x", "Illegal \"classid\""),
            ("to", "Command line is not complete. Try option \"help\""),
            ("action", "Command line is not complete. Try option \"help\""),
            ("bogus", "What is \"bogus\"?"),
            ("from 1 fromif lo", "\"from\" and \"fromif\" are mutually exclusive"),
        ] {
            assert_eq!(read(words, None).unwrap_err().to_string(), text, "{words}");
        }
        assert_eq!(read("", Some("x")).unwrap_err().to_string(), "Illegal \"handle\"");
    }

    #[test]
    fn realms_have_a_key_each_in_json() {
        let route = Route::default().from(2).to(10).class(Handle::class(1, 1));
        let mut place = FilterPlace::default();
        place.handle = route.handle(3);
        let mut out = Printer::new(Form::Json, Style::default());
        out.object("", |out| route.print(&place, out));
        let json = r#"{"fh":"0x2030a","order":3,"flowid":"1:1","to":"10","from":"2"}"#;
        assert_eq!(out.as_str(), json);
        let mut said = OptionWords::new();
        route.to_words(&place, &mut said);
        assert_eq!(said.lines(), ["from 2 to 10 order 3 classid 1:1"]);
    }
}
