//! The kernel's reply to a request: `NLMSG_ERROR`, `NLMSG_DONE`, and the
//! extended acknowledgement that follows them.

pub(crate) mod attribute;

use std::{fmt, io};

use crate::wire::attr::{Attr, Attrs, Reader, align};
use crate::wire::error::DecodeError;
use crate::wire::message::Message;
use crate::wire::uapi::*;

pub use attribute::Policy;

/// An error that the kernel returned, with its extended acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelError {
    /// The error number, positive, as in `errno.h`.
    pub errno: i32,
    /// The extended acknowledgement.
    pub ext_ack: ExtAck,
}

/// The extended acknowledgement of an error, or the warning of a success
/// (`enum nlmsgerr_attrs`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtAck {
    /// `NLMSGERR_ATTR_MSG`: a sentence without a full stop.
    pub message: Option<String>,
    /// `NLMSGERR_ATTR_OFFS`: where in the request, in bytes from the start of
    /// its netlink header, the attribute at fault begins.
    pub offset: Option<u32>,
    /// `NLMSGERR_ATTR_MISS_TYPE`: the type of an attribute that is missing.
    pub missing_attribute: Option<u32>,
    /// `NLMSGERR_ATTR_MISS_NEST`: the offset of the nest that it is missing from.
    pub missing_in: Option<u32>,
    /// `NLMSGERR_ATTR_POLICY`: the constraints of the attribute at fault.
    pub policy: Option<Box<Policy>>,
    /// The attribute at fault, or the missing one, by the kernel's name and with
    /// the nests that contain it: `TCA_OPTIONS/3`. It follows from the kernel's
    /// offset and the bytes of the request.
    pub attribute: Option<String>,
}

impl ExtAck {
    fn decode(attrs: Attrs<'_>) -> Self {
        let mut ack = Self::default();
        // A malformed extension never hides the error number.
        for attr in attrs.map_while(Result::ok) {
            match attr.kind {
                NLMSGERR_ATTR_MSG => ack.message = attr.str().ok().map(str::to_owned),
                NLMSGERR_ATTR_OFFS => ack.offset = attr.u32().ok(),
                NLMSGERR_ATTR_MISS_TYPE => ack.missing_attribute = attr.u32().ok(),
                NLMSGERR_ATTR_MISS_NEST => ack.missing_in = attr.u32().ok(),
                NLMSGERR_ATTR_POLICY => ack.policy = Some(Box::new(Policy::decode(&attr))),
                _ => {}
            }
        }
        ack
    }

    /// Finds the named attribute in the request.
    pub(crate) fn explain(&mut self, request: &[u8]) {
        self.attribute = match (self.offset, self.missing_attribute) {
            (Some(offset), _) => attribute::name_at(request, offset),
            (None, Some(kind)) => attribute::name_of_missing(request, kind, self.missing_in),
            (None, None) => None,
        };
    }
}

/// A reply that ends a request: `Ok` with the kernel's warning, if any, or its
/// error.
pub type Verdict = Result<Option<ExtAck>, KernelError>;

/// Reads `NLMSG_ERROR` (an acknowledgement when its error is 0).
#[inline]
pub(crate) fn decode_error(message: &Message<'_>) -> Result<Verdict, DecodeError> {
    let mut reader = Reader::new(message.payload);
    let error = reader.i32()?;
    if error == 0 && message.flags & NLM_F_ACK_TLVS == 0 {
        return Ok(Ok(None)); // the common case
    }
    let original_length = Reader::new(reader.rest()).u32()? as usize;
    // Kernel: netlink_ack() copies the whole request unless it caps it; it
    // never caps an error unless the socket asked for it (NETLINK_CAP_ACK).
    let skip = if message.flags & NLM_F_CAPPED != 0 { NLMSG_HDRLEN } else { align(original_length) };
    verdict(error, Attrs::new(reader.rest().get(skip..).unwrap_or(&[])))
}

/// Reads `NLMSG_DONE`, which ends a dump and can carry an error as well.
pub(crate) fn decode_done(message: &Message<'_>) -> Result<Verdict, DecodeError> {
    let mut reader = Reader::new(message.payload);
    // Without its number the list may be incomplete.
    let error = reader.i32()?;
    verdict(error, Attrs::new(reader.rest()))
}

fn verdict(error: i32, attrs: Attrs<'_>) -> Result<Verdict, DecodeError> {
    let ext_ack = ExtAck::decode(attrs);
    match error {
        0 => Ok(Ok((ext_ack != ExtAck::default()).then_some(ext_ack))),
        ..0 => Ok(Err(KernelError { errno: error.saturating_neg(), ext_ack })),
        _ => Err(DecodeError::Malformed { what: "error number" }),
    }
}

impl KernelError {
    /// The text of the error number alone, as `strerror` has it.
    pub fn strerror(&self) -> String {
        // std adds " (os error N)", which scripts do not expect.
        let text = io::Error::from_raw_os_error(self.errno).to_string();
        match text.find(" (os error ") {
            Some(end) => text[..end].to_owned(),
            None => text,
        }
    }

    /// The attribute of `request` that the kernel points at.
    pub fn attribute_in<'a>(&self, request: &'a [u8]) -> Option<Attr<'a>> {
        let bytes = request.get(self.ext_ack.offset? as usize..)?;
        Attrs::new(bytes).next()?.ok()
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ext_ack.message {
            Some(message) => write!(f, "{message} ({})", self.strerror())?,
            None => f.write_str(&self.strerror())?,
        }
        if let Some(offset) = self.ext_ack.offset {
            write!(f, ", at byte {offset} of the request")?;
        }
        if let Some(attribute) = self.ext_ack.missing_attribute {
            write!(f, ", attribute {attribute} is missing")?;
        }
        if let Some(attribute) = &self.ext_ack.attribute {
            write!(f, ": {attribute}")?;
        }
        if let Some(policy) = &self.ext_ack.policy {
            write!(f, ", which has to be {policy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for KernelError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_message(flags: u16, error: i32, request: &[u8], extension: &[u8]) -> Vec<u8> {
        let payload = [&error.to_ne_bytes()[..], request, extension].concat();
        let mut bytes = Vec::new();
        bytes.extend((16 + payload.len() as u32).to_ne_bytes());
        bytes.extend(NLMSG_ERROR.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(payload);
        bytes
    }

    fn read(bytes: &[u8]) -> Verdict {
        let message = crate::wire::message::Messages::new(bytes).next().unwrap().unwrap();
        decode_error(&message).unwrap()
    }

    /// The text "foobar", and the offset 36.
    fn extension() -> [Vec<u8>; 2] {
        let head = |length: u16, kind: u16| [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        [[&head(11, 1)[..], b"foobar\0\0"].concat(), [&head(8, 2)[..], &36_u32.to_ne_bytes()].concat()]
    }

    #[test]
    fn extended_ack_follows_the_request_or_its_header() {
        let mut request = vec![0u8; 36];
        request[..4].copy_from_slice(&33_u32.to_ne_bytes()); // unaligned: the extension starts at 36
        let extension = extension().concat();
        let whole = read(&error_message(NLM_F_ACK_TLVS, -22, &request, &extension)).unwrap_err();
        let capped =
            read(&error_message(NLM_F_ACK_TLVS | NLM_F_CAPPED, -22, &request[..16], &extension)).unwrap_err();
        assert_eq!(whole, capped);
        assert_eq!((whole.errno, whole.ext_ack.offset), (22, Some(36)));
        assert_eq!(whole.to_string(), "foobar (Invalid argument), at byte 36 of the request");
    }

    #[test]
    fn a_success_can_carry_a_warning() {
        let bytes = error_message(NLM_F_ACK_TLVS | NLM_F_CAPPED, 0, &[0; 16], &extension()[0]);
        assert_eq!(read(&bytes).unwrap().unwrap().message.as_deref(), Some("foobar"));
        assert_eq!(read(&error_message(NLM_F_CAPPED, 0, &[0; 16], &[])), Ok(None));
    }

    #[test]
    fn an_error_number_that_cannot_be_is_no_success() {
        for payload in [&[][..], &[0; 3], &5i32.to_ne_bytes()] {
            let done = Message { kind: NLMSG_DONE, flags: 0, sequence: 0, port: 0, payload };
            assert!(decode_done(&done).is_err(), "{payload:?}");
            assert!(decode_error(&done).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn the_end_of_a_list_carries_errors_and_warnings() {
        let payload = [&(-22i32).to_ne_bytes()[..], &extension()[0]].concat();
        let done =
            Message { kind: NLMSG_DONE, flags: NLM_F_ACK_TLVS, sequence: 0, port: 0, payload: &payload };
        let error = decode_done(&done).unwrap().unwrap_err();
        assert_eq!((error.errno, error.ext_ack.message.as_deref()), (22, Some("foobar")));
        let warned = [&0i32.to_ne_bytes()[..], &extension()[0]].concat();
        let warned = decode_done(&Message { payload: &warned, ..done }).unwrap().unwrap();
        assert_eq!(warned.unwrap().message.as_deref(), Some("foobar"));
    }

    #[test]
    fn a_length_that_lies_hides_only_the_extension() {
        let mut request = [0u8; 16];
        request[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        let error = read(&error_message(NLM_F_ACK_TLVS, -17, &request, &extension()[0])).unwrap_err();
        assert_eq!(error, KernelError { errno: 17, ext_ack: ExtAck::default() });
    }
}
