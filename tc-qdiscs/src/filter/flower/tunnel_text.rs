//! Options of tunnels as `tc` reads and prints them.

use tc_core::units::{UnitError, parse_hex, parse_u8, parse_u32};

use super::key::{Bits, Masked};
use super::tunnel::{ErspanOptions, GeneveOption, TunnelOptions};
use super::value::{hex_bytes, split};

impl TunnelOptions {
    /// The word before the options.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Geneve(_) => "geneve_opts",
            Self::Vxlan { .. } => "vxlan_opts",
            Self::Erspan(_) => "erspan_opts",
            Self::Gtp { .. } => "gtp_opts",
            Self::Pfcp { .. } => "pfcp_opts",
        }
    }

    /// The options as `tc` prints and reads them, with their masks.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Geneve(options) => {
                let text = |option: &GeneveOption| format!("{}/{}", option.text(false), option.text(true));
                options.iter().map(text).collect::<Vec<_>>().join(",")
            }
            other => format!("{}/{}", other.part_text(false), other.part_text(true)),
        }
    }

    /// The masks alone.
    pub(super) fn mask_text(&self) -> String {
        match self {
            Self::Geneve(options) => {
                options.iter().map(|option| option.text(true)).collect::<Vec<_>>().join(",")
            }
            other => format!("{} {}", other.name(), other.part_text(true)),
        }
    }

    fn part_text(&self, is_mask: bool) -> String {
        match self {
            Self::Geneve(_) => String::new(),
            Self::Vxlan { gbp } => gbp.part(is_mask).to_string(),
            Self::Erspan(options) => {
                let [index, direction, hardware_id] = options.fields(is_mask);
                format!("{}:{index}:{direction}:{hardware_id}", options.version())
            }
            Self::Gtp { pdu_type, qfi } => {
                format!("{:02x}:{:02x}", pdu_type.part(is_mask), qfi.part(is_mask))
            }
            Self::Pfcp { header, seid } => format!("{:02x}:{:x}", header.part(is_mask), seid.part(is_mask)),
        }
    }
}

impl GeneveOption {
    fn text(&self, is_mask: bool) -> String {
        let data = if is_mask { &self.data.mask } else { &self.data.value };
        let data: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}:{:02x}:{data}", self.class.part(is_mask), self.option_type.part(is_mask))
    }
}

impl ErspanOptions {
    /// Index, direction and hardware; those of the other version are 0.
    pub(super) fn fields(self, is_mask: bool) -> [u32; 3] {
        match self {
            Self::V1 { index } => [index.part(is_mask), 0, 0],
            Self::V2 { direction, hardware_id } => {
                [0, direction.part(is_mask).into(), hardware_id.part(is_mask).into()]
            }
        }
    }
}

/// The fields of an option, separated by colons. Those of the mask may be missing or empty.
fn option_fields<'t, const N: usize>(text: &'t str, name: &str) -> Result<[&'t str; N], String> {
    let mut fields = [""; N];
    let mut parts = text.split(':');
    for (field, part) in fields.iter_mut().zip(parts.by_ref()) {
        *field = part;
    }
    match parts.next() {
        None => Ok(fields),
        Some(_) => Err(format!("Unknown \"{name}\" type\n")),
    }
}

/// A field of an option: the value, and the mask unless it is empty.
fn option_field<T: Bits>(
    value: &str,
    mask: &str,
    parse: impl Fn(&str) -> Result<T, UnitError>,
) -> Result<Masked<T>, String> {
    let read = |text: &str| parse(text).map_err(|_| String::new());
    Ok(Masked { value: read(value)?, mask: if mask.is_empty() { T::ALL } else { read(mask)? } })
}

/// Reads the options of a tunnel, by the word before them. The error is the text that `tc`
/// prints before `Illegal "..."`.
pub(super) fn tunnel_options(word: &str, text: &str) -> Result<TunnelOptions, String> {
    if word == "geneve_opts" {
        return text.split(',').map(geneve).collect::<Result<_, _>>().map(TunnelOptions::Geneve);
    }
    let (value, mask) = split(text);
    let mask = mask.unwrap_or_default();
    Ok(match word {
        "vxlan_opts" => TunnelOptions::Vxlan { gbp: option_field(value, mask, parse_u32)? },
        "erspan_opts" => TunnelOptions::Erspan(erspan(value, mask)?),
        "gtp_opts" => {
            let [pdu_type, qfi] = option_fields(value, word)?;
            let [pdu_mask, qfi_mask] = option_fields(mask, word)?;
            TunnelOptions::Gtp {
                pdu_type: option_field(pdu_type, pdu_mask, parse_hex)?,
                qfi: option_field(qfi, qfi_mask, parse_hex)?,
            }
        }
        _ => {
            let [header, seid] = option_fields(value, word)?;
            let [header_mask, seid_mask] = option_fields(mask, word)?;
            TunnelOptions::Pfcp {
                header: option_field(header, header_mask, parse_hex)?,
                seid: option_field(seid, seid_mask, parse_hex)?,
            }
        }
    })
}

/// Reads `CLASS:TYPE:DATA`, with or without such a mask.
fn geneve(text: &str) -> Result<GeneveOption, String> {
    let (value, mask) = split(text);
    let [class, option_type, data] = option_fields(value, "geneve_opts").map_err(|_| String::new())?;
    let [class_mask, type_mask, data_mask] = option_fields(mask.unwrap_or_default(), "geneve_opts")?;
    let bytes = |text: &str| hex_bytes(text).filter(|bytes| !bytes.is_empty()).ok_or_else(String::new);
    let data = bytes(data)?;
    let data_mask = if data_mask.is_empty() { vec![0xff; data.len()] } else { bytes(data_mask)? };
    Ok(GeneveOption {
        class: option_field(class, class_mask, parse_hex)?,
        option_type: option_field(option_type, type_mask, parse_hex)?,
        data: Masked { value: data, mask: data_mask },
    })
}

/// Reads `VERSION:INDEX:DIR:HWID`. Index, or direction and hardware, are those of the version.
fn erspan(value: &str, mask: &str) -> Result<ErspanOptions, String> {
    let [version, index, direction, hardware] = option_fields(value, "geneve_opts")?;
    let [version_mask, index_mask, direction_mask, hardware_mask] = option_fields(mask, "geneve_opts")?;
    let version = option_field(version, version_mask, parse_u8)?.value;
    match version {
        1 => Ok(ErspanOptions::V1 { index: option_field(index, index_mask, parse_u32)? }),
        2 => Ok(ErspanOptions::V2 {
            direction: option_field(direction, direction_mask, parse_u8)?,
            hardware_id: option_field(hardware, hardware_mask, parse_u8)?,
        }),
        _ => Err("the version of ERSPAN is 1 or 2\n".into()),
    }
}
