//! Actions.

pub mod bpf;
pub mod connmark;
pub mod csum;
pub mod ct;
pub mod ctinfo;
pub mod gact;
pub mod gate;
pub(crate) mod generic;
pub mod ife;
pub mod mirred;
pub mod mpls;
pub mod nat;
pub mod pedit;
pub mod police;
pub mod sample;
pub mod simple;
pub mod skbedit;
pub mod skbmod;
pub mod tunnel_key;
pub mod vlan;

pub use generic::Reported;

#[cfg(test)]
pub(crate) mod tests {
    use bytes::BytesMut;
    use tc_core::words::Environment;
    use tc_core::{Request, Verb};

    /// A machine with `lo`.
    #[derive(Debug)]
    pub(crate) struct Devices;

    impl Environment for Devices {
        fn ifindex(&self, dev: &str) -> Result<i32, String> {
            match dev {
                "lo" => Ok(1),
                dev => Err(format!("Cannot find device \"{dev}\"")),
            }
        }
    }

    pub(crate) fn message<T>(request: &Request<'_, T>, verb: Verb) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        request.encode(verb, 0, &mut buffer).unwrap();
        buffer.to_vec()
    }
}
