//! The options of tunnel protocols.

use tc_core::print::Printer;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::{Attr, AttrWriter, DecodeError};

/// Options of one protocol (`TCA_TUNNEL_KEY_ENC_OPTS_*`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelOptions {
    /// No options.
    #[default]
    None,
    /// Options of geneve in their order.
    Geneve(Vec<GeneveOption>),
    /// The group based policy of vxlan.
    Vxlan {
        /// The group, and the flags of `VXLAN_GBP_*`. The kernel keeps the bits of 0x48ffff.
        gbp: u32,
    },
    /// The header of ERSPAN.
    Erspan(Erspan),
}

/// An option of geneve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GeneveOption {
    /// The class of the option's type.
    pub class: u16,
    /// The option's type.
    pub option_type: u8,
    /// The data: a multiple of 4 bytes, up to 124.
    pub data: Vec<u8>,
}

impl GeneveOption {
    /// An option.
    pub fn new(class: u16, option_type: u8, data: impl Into<Vec<u8>>) -> Self {
        Self { class, option_type, data: data.into() }
    }
}

/// The header of ERSPAN: version 1 has an index, version 2 direction and hardware id. Requests of
/// `tc` have all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erspan {
    /// The version, 1 or 2.
    pub version: u8,
    /// The port's index, of version 1.
    pub index: Option<u32>,
    /// The direction of the traffic, of version 2.
    pub direction: Option<u8>,
    /// The engine that made the header, of version 2.
    pub hwid: Option<u8>,
}

impl Erspan {
    /// Version 1.
    pub const fn v1(index: u32) -> Self {
        Self { version: 1, index: Some(index), direction: None, hwid: None }
    }

    /// Version 2.
    pub const fn v2(direction: u8, hwid: u8) -> Self {
        Self { version: 2, index: None, direction: Some(direction), hwid: Some(hwid) }
    }
}

impl TunnelOptions {
    pub(super) fn encode(&self, kind: u16, out: &mut AttrWriter<'_>) {
        match self {
            Self::None => {}
            Self::Geneve(options) => {
                let mut all = out.nest(kind);
                for option in options {
                    let mut one = all.nest(GENEVE);
                    one.attr_u16(GENEVE_CLASS, option.class.to_be());
                    one.attr_u8(GENEVE_TYPE, option.option_type);
                    one.attr(GENEVE_DATA, &option.data);
                }
            }
            Self::Vxlan { gbp } => {
                let mut all = out.nest(kind | NLA_F_NESTED);
                all.nest(VXLAN | NLA_F_NESTED).attr_u32(VXLAN_GBP, *gbp);
            }
            Self::Erspan(erspan) => {
                let mut all = out.nest(kind | NLA_F_NESTED);
                let mut one = all.nest(ERSPAN | NLA_F_NESTED);
                one.attr_u8(ERSPAN_VER, erspan.version);
                one.attr_u32_if(ERSPAN_INDEX, erspan.index.map(u32::to_be));
                for (kind, value) in [(ERSPAN_DIR, erspan.direction), (ERSPAN_HWID, erspan.hwid)] {
                    if let Some(value) = value {
                        one.attr_u8(kind, value);
                    }
                }
            }
        }
    }

    pub(super) fn decode(attr: Attr<'_>) -> Result<Self, DecodeError> {
        let missing = |what| DecodeError::Missing { what };
        let mut geneve = Vec::new();
        for one in attr.attrs() {
            let one = one?;
            let table = one.attrs().table::<{ ERSPAN_HWID as usize + 1 }>();
            match one.kind {
                GENEVE => read_geneve(one, &mut geneve)?,
                VXLAN => {
                    let gbp = field(&table?, VXLAN_GBP).ok_or(missing("group of vxlan"))?.u32()?;
                    return Ok(Self::Vxlan { gbp });
                }
                ERSPAN => {
                    let table = table?;
                    let byte = |kind: u16| field(&table, kind).map(|attr| attr.u8()).transpose();
                    let index = field(&table, ERSPAN_INDEX).map(|attr| attr.u32()).transpose()?;
                    return Ok(Self::Erspan(Erspan {
                        version: byte(ERSPAN_VER)?.ok_or(missing("version of ERSPAN"))?,
                        index: index.map(u32::from_be),
                        direction: byte(ERSPAN_DIR)?,
                        hwid: byte(ERSPAN_HWID)?,
                    }));
                }
                _ => {}
            }
        }
        Ok(if geneve.is_empty() { Self::None } else { Self::Geneve(geneve) })
    }

    pub(super) fn as_dumped(&self) -> Self {
        match self {
            Self::Vxlan { gbp } => Self::Vxlan { gbp: gbp & VXLAN_GBP_MASK },
            Self::Erspan(erspan) if erspan.version == 1 => {
                Self::Erspan(Erspan { direction: None, hwid: None, ..*erspan })
            }
            Self::Erspan(erspan) => Self::Erspan(Erspan { index: None, ..*erspan }),
            Self::Geneve(options) if options.is_empty() => Self::None,
            options => options.clone(),
        }
    }

    pub(super) fn print(&self, out: &mut Printer) {
        match self {
            Self::None => {}
            Self::Geneve(options) => {
                out.newline();
                out.text(&format!("\t{}", self.words()));
                out.array("geneve_opts", |out| {
                    for option in options {
                        out.object("", |out| {
                            out.json("class", option.class);
                            out.json("type", option.option_type);
                            out.begin_array("data");
                            for byte in &option.data {
                                out.json("", *byte);
                            }
                            out.end_array();
                        });
                    }
                });
            }
            Self::Vxlan { gbp } => {
                out.newline();
                out.text("\tvxlan_opts ");
                out.array("vxlan_opts", |out| out.object("", |out| out.item("gbp", "", *gbp, "")));
            }
            Self::Erspan(erspan) => {
                out.newline();
                out.text("\terspan_opts ");
                let [index, dir, hwid] = erspan.numbers();
                out.array("erspan_opts", |out| {
                    out.object("", |out| {
                        out.item("ver", "", erspan.version, "");
                        out.item("index", ":", index, "");
                        out.item("dir", ":", dir, "");
                        out.item("hwid", ":", hwid, "");
                    });
                });
            }
        }
    }

    /// The option's word and its value; empty without options.
    pub(super) fn words(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Geneve(options) => {
                let word = |option: &GeneveOption| {
                    let data: String = option.data.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("{:04x}:{:02x}:{data}", option.class, option.option_type)
                };
                format!("geneve_opts {}", options.iter().map(word).collect::<Vec<_>>().join(","))
            }
            Self::Vxlan { gbp } => format!("vxlan_opts {gbp}"),
            Self::Erspan(erspan) => {
                let [index, dir, hwid] = erspan.numbers();
                format!("erspan_opts {}:{index}:{dir}:{hwid}", erspan.version)
            }
        }
    }
}

/// Reads options. Those of a dump all stand in one nest; each begins with its class.
fn read_geneve(nest: Attr<'_>, options: &mut Vec<GeneveOption>) -> Result<(), DecodeError> {
    let mut begun: Option<GeneveOption> = None;
    for attr in nest.attrs() {
        let attr = attr?;
        if attr.kind == GENEVE_CLASS {
            let next = GeneveOption::new(u16::from_be(attr.u16()?), 0, []);
            options.extend(begun.replace(next));
            continue;
        }
        let option = begun.as_mut().ok_or(DecodeError::Missing { what: "class of a geneve option" })?;
        match attr.kind {
            GENEVE_TYPE => option.option_type = attr.u8()?,
            GENEVE_DATA => option.data = attr.payload.to_vec(),
            _ => {}
        }
    }
    options.extend(begun);
    Ok(())
}

fn field<'a>(table: &[Option<Attr<'a>>], kind: u16) -> Option<Attr<'a>> {
    table.get(usize::from(kind)).copied().flatten()
}

impl Erspan {
    /// Index, direction and hardware id; those of another version are 0.
    fn numbers(&self) -> [u32; 3] {
        let number = |value: Option<u8>| value.map_or(0, u32::from);
        match self.version {
            1 => [self.index.unwrap_or(0), 0, 0],
            _ => [0, number(self.direction), number(self.hwid)],
        }
    }
}

const GENEVE: u16 = 1;
const VXLAN: u16 = 2;
const ERSPAN: u16 = 3;
const GENEVE_CLASS: u16 = 1;
const GENEVE_TYPE: u16 = 2;
const GENEVE_DATA: u16 = 3;
const VXLAN_GBP: u16 = 1;
const ERSPAN_VER: u16 = 1;
const ERSPAN_INDEX: u16 = 2;
const ERSPAN_DIR: u16 = 3;
const ERSPAN_HWID: u16 = 4;
/// `VXLAN_GBP_MASK`.
const VXLAN_GBP_MASK: u32 = 0x48_ffff;
