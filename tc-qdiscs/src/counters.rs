//! Counters of the kernel as types: the fields of a C struct in their order.

use tc_core::{DecodeError, Reader};

/// A struct of counters that is read field by field. After `=` stands the function of this module that reads
/// the field. A number after the name is the length of the newest kernel's struct: counters that an older kernel
/// lacks are 0. Without it a shorter payload is an error.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($($length:literal)?) of $($object:ident $kind:literal),+ {
            $($(#[$doc:meta])* pub $field:ident: $type:ty = $read:ident,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl tc_core::Xstats for $name {
            const OF: &'static [(tc_core::TcType, &'static str)] = &[$((tc_core::TcType::$object, $kind)),+];

            fn decode(payload: &[u8]) -> Result<Self, tc_core::DecodeError> {
                $(let payload = &tc_core::zero_extended::<$length>(payload);)?
                let mut reader = tc_core::Reader::new(payload);
                Ok(Self { $($field: crate::counters::$read(&mut reader)?,)+ })
            }
        }
    };
}
pub(crate) use counters;

macro_rules! numbers {
    ($($type:ident),+) => {$(
        pub(crate) fn $type(reader: &mut Reader<'_>) -> Result<$type, DecodeError> {
            reader.$type()
        }
    )+};
}

numbers!(u32, i32, u64, i64);

/// Any number but 0 is on.
pub(crate) fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(reader.u32()? != 0)
}

/// A number for each of three bands.
pub(crate) fn u64_of_bands(reader: &mut Reader<'_>) -> Result<[u64; 3], DecodeError> {
    Ok([reader.u64()?, reader.u64()?, reader.u64()?])
}

/// A number for each of three bands.
pub(crate) fn u32_of_bands(reader: &mut Reader<'_>) -> Result<[u32; 3], DecodeError> {
    Ok([reader.u32()?, reader.u32()?, reader.u32()?])
}
