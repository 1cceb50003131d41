//! Options of tunnels: their bytes.

use tc_core::uapi::NLA_F_NESTED;
use tc_core::{Attr, AttrWriter, Attrs, DecodeError, Reader};

use super::key::Masked;

/// The options in the header of a tunnel.
///
/// ```
/// use tc_qdiscs::filter::flower::{GeneveOption, TunnelOptions};
///
/// let options = TunnelOptions::Geneve(vec![GeneveOption::new(0x0102, 0x80, [0, 0x88, 0, 0x22])]);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TunnelOptions {
    /// Geneve: one option after the other.
    Geneve(Vec<GeneveOption>),
    /// VXLAN with Group Based Policy. The kernel keeps the bits 0x48ffff.
    Vxlan {
        /// The group, of 16 bits, and flags.
        gbp: Masked<u32>,
    },
    /// ERSPAN.
    Erspan(ErspanOptions),
    /// GTP. Since Linux 5.18.
    Gtp {
        /// The type of the PDU.
        pdu_type: Masked<u8>,
        /// The identifier of the QoS flow.
        qfi: Masked<u8>,
    },
    /// PFCP. Since Linux 6.10.
    Pfcp {
        /// The type of the header: 0 for a node, 1 for a session.
        header: Masked<u8>,
        /// The identifier of the session's endpoint.
        seid: Masked<u64>,
    },
}

/// An option of Geneve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GeneveOption {
    /// The class.
    pub class: Masked<u16>,
    /// The type.
    pub option_type: Masked<u8>,
    /// The data: 4 to 124 bytes, a multiple of 4. Its mask has the same length.
    pub data: Masked<Vec<u8>>,
}

impl GeneveOption {
    /// An option of which all bits count.
    pub fn new(class: u16, option_type: u8, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        let mask = vec![0xff; data.len()];
        Self { class: class.into(), option_type: option_type.into(), data: Masked::new(data, mask) }
    }
}

/// The header of ERSPAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErspanOptions {
    /// Version 1.
    V1 {
        /// The index of the port, of 20 bits.
        index: Masked<u32>,
    },
    /// Version 2.
    V2 {
        /// The direction: 0 for received packets, 1 for sent ones.
        direction: Masked<u8>,
        /// The identifier of the hardware, of 6 bits.
        hardware_id: Masked<u8>,
    },
}

impl TunnelOptions {
    /// The options as the kernel keeps them.
    pub(super) fn as_dumped(&self) -> Self {
        match self {
            Self::Vxlan { gbp } => Self::Vxlan { gbp: gbp.map(|gbp| gbp & VXLAN_GBP) },
            Self::Erspan(ErspanOptions::V2 { direction, hardware_id }) => Self::Erspan(ErspanOptions::V2 {
                direction: direction.map(|direction| direction & 1),
                hardware_id: hardware_id.map(|id| id & 0x3f),
            }),
            other => other.clone(),
        }
    }

    /// Writes the attribute of the values and that of the masks. With `as_tc` those of ERSPAN
    /// have the fields of the other version too.
    pub(super) fn encode(&self, as_tc: bool, out: &mut AttrWriter<'_>) {
        for (kind, is_mask) in [(ENC_OPTS, false), (ENC_OPTS_MASK, true)] {
            let nested = if matches!(self, Self::Geneve(_)) { 0 } else { NLA_F_NESTED };
            let mut list = out.nest(kind | nested);
            match self {
                Self::Geneve(options) => {
                    for option in options {
                        let mut out = list.nest(GENEVE);
                        out.attr(1, &option.class.part(is_mask).to_be_bytes());
                        out.attr_u8(2, option.option_type.part(is_mask));
                        out.attr(3, if is_mask { &option.data.mask } else { &option.data.value });
                    }
                }
                Self::Vxlan { gbp } => {
                    list.nest(VXLAN | NLA_F_NESTED).attr_u32(1, gbp.part(is_mask));
                }
                Self::Erspan(options) => {
                    let mut out = list.nest(ERSPAN | NLA_F_NESTED);
                    options.encode(is_mask, as_tc, &mut out);
                }
                Self::Gtp { pdu_type, qfi } => {
                    let mut out = list.nest(GTP | NLA_F_NESTED);
                    out.attr_u8(1, pdu_type.part(is_mask));
                    out.attr_u8(2, qfi.part(is_mask));
                }
                Self::Pfcp { header, seid } => {
                    let mut out = list.nest(PFCP | NLA_F_NESTED);
                    out.attr_u8(1, header.part(is_mask));
                    out.attr(2, &seid.part(is_mask).to_be_bytes());
                }
            }
        }
    }

    /// Reads both attributes; `None` for options of an unknown tunnel. A mask that is missing,
    /// in whole or in part, has all bits.
    pub(super) fn decode(table: &[Option<Attr<'_>>]) -> Result<Option<Self>, DecodeError> {
        let Some(values) = table[usize::from(ENC_OPTS)] else { return Ok(None) };
        let masks = table[usize::from(ENC_OPTS_MASK)].map_or(Attrs::new(&[]), |attr| attr.attrs());
        let first = values.attrs().next().transpose()?;
        Ok(match first.map(|attr| attr.kind) {
            Some(GENEVE) => Some(Self::Geneve(geneve(values.attrs(), masks)?)),
            Some(VXLAN) => {
                let [gbp] = fields(values.attrs(), masks, VXLAN)?;
                Some(Self::Vxlan { gbp: gbp.map(u32::from_ne_bytes) })
            }
            Some(ERSPAN) => {
                let [version] = fields(values.attrs(), masks, ERSPAN)?;
                ErspanOptions::decode(version.value, values.attrs(), masks)?.map(Self::Erspan)
            }
            Some(GTP) => {
                let [pdu_type, qfi] = fields(values.attrs(), masks, GTP)?;
                Some(Self::Gtp { pdu_type: pdu_type.map(byte), qfi: qfi.map(byte) })
            }
            Some(PFCP) => {
                let header = field(values.attrs(), masks, PFCP, 1)?;
                let seid = field(values.attrs(), masks, PFCP, 2)?;
                Some(Self::Pfcp { header: header.map(byte), seid: seid.map(u64::from_be_bytes) })
            }
            _ => None,
        })
    }
}

impl ErspanOptions {
    pub(super) const fn version(self) -> u8 {
        match self {
            Self::V1 { .. } => 1,
            Self::V2 { .. } => 2,
        }
    }

    fn encode(self, is_mask: bool, as_tc: bool, out: &mut AttrWriter<'_>) {
        out.attr_u8(1, self.version());
        match self {
            Self::V1 { index } => {
                out.attr(2, &index.part(is_mask).to_be_bytes());
                if as_tc {
                    let other = if is_mask { u8::MAX } else { 0 };
                    out.attr_u8(3, other);
                    out.attr_u8(4, other);
                }
            }
            Self::V2 { direction, hardware_id } => {
                if as_tc {
                    out.attr_u32(2, if is_mask { u32::MAX } else { 0 });
                }
                out.attr_u8(3, direction.part(is_mask));
                out.attr_u8(4, hardware_id.part(is_mask));
            }
        }
    }

    fn decode(version: [u8; 1], values: Attrs<'_>, masks: Attrs<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(match version {
            [1] => {
                let index = field(values, masks, ERSPAN, 2)?.map(u32::from_be_bytes);
                Some(Self::V1 { index })
            }
            [2] => {
                let direction = field(values, masks, ERSPAN, 3)?.map(byte);
                let hardware_id = field(values, masks, ERSPAN, 4)?.map(byte);
                Some(Self::V2 { direction, hardware_id })
            }
            _ => None,
        })
    }
}

fn byte([byte]: [u8; 1]) -> u8 {
    byte
}

/// The first fields of the options of a tunnel, all of one size.
fn fields<const SIZE: usize, const COUNT: usize>(
    values: Attrs<'_>,
    masks: Attrs<'_>,
    tunnel: u16,
) -> Result<[Masked<[u8; SIZE]>; COUNT], DecodeError> {
    let mut all = [Masked::new([0; SIZE], [0; SIZE]); COUNT];
    for (kind, place) in (1..).zip(&mut all) {
        *place = field(values, masks, tunnel, kind)?;
    }
    Ok(all)
}

fn field<const SIZE: usize>(
    values: Attrs<'_>,
    masks: Attrs<'_>,
    tunnel: u16,
    kind: u16,
) -> Result<Masked<[u8; SIZE]>, DecodeError> {
    let find = |list: Attrs<'_>| -> Result<Option<[u8; SIZE]>, DecodeError> {
        let Some(options) = list.find(tunnel)? else { return Ok(None) };
        options.attrs().find(kind)?.map(|attr| attr.reader().array()).transpose()
    };
    let value = find(values)?.ok_or(DecodeError::Missing { what: "field of the tunnel's options" })?;
    Ok(Masked::new(value, find(masks)?.unwrap_or([0xff; SIZE])))
}

/// Reads options of Geneve. In a request each has its attribute; a dump has one attribute
/// with the fields of all.
fn geneve(values: Attrs<'_>, masks: Attrs<'_>) -> Result<Vec<GeneveOption>, DecodeError> {
    let mut masks = geneve_fields(masks)?.into_iter();
    let missing = || DecodeError::Missing { what: "field of the Geneve option" };
    let read = |fields: GeneveFields<'_>| {
        let mask = masks.next().unwrap_or_default();
        let data = fields.data.ok_or_else(missing)?;
        let all = || vec![0xff; data.len()];
        Ok(GeneveOption {
            class: Masked::new(fields.class.ok_or_else(missing)?, mask.class.unwrap_or(u16::MAX)),
            option_type: Masked::new(
                fields.option_type.ok_or_else(missing)?,
                mask.option_type.unwrap_or(u8::MAX),
            ),
            data: Masked::new(data.to_vec(), mask.data.map_or_else(all, <[u8]>::to_vec)),
        })
    };
    geneve_fields(values)?.into_iter().map(read).collect()
}

#[derive(Clone, Copy, Default)]
struct GeneveFields<'a> {
    class: Option<u16>,
    option_type: Option<u8>,
    data: Option<&'a [u8]>,
}

fn geneve_fields(list: Attrs<'_>) -> Result<Vec<GeneveFields<'_>>, DecodeError> {
    let mut all = Vec::new();
    for option in list {
        let option = option?;
        if option.kind != GENEVE {
            continue;
        }
        let mut last = 0;
        for attr in option.attrs() {
            let attr = attr?;
            if last == 0 || attr.kind <= last {
                all.push(GeneveFields::default());
            }
            last = attr.kind;
            let Some(fields) = all.last_mut() else { continue };
            match attr.kind {
                1 => fields.class = Some(u16::from_be_bytes(Reader::new(attr.payload).array()?)),
                2 => fields.option_type = Some(attr.u8()?),
                3 => fields.data = Some(attr.payload),
                _ => {}
            }
        }
    }
    Ok(all)
}

/// `VXLAN_GBP_MASK`: the group and two flags.
const VXLAN_GBP: u32 = 0x0048_ffff;

const ENC_OPTS: u16 = 84;
const ENC_OPTS_MASK: u16 = 85;
const GENEVE: u16 = 1;
const VXLAN: u16 = 2;
const ERSPAN: u16 = 3;
const GTP: u16 = 4;
const PFCP: u16 = 5;
