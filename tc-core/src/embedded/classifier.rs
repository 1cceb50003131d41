//! Filters on the way of packets.

use std::fmt;

use super::device::{Device, Id};
use super::discipline::{Classified, Packet, Unclassified};
use crate::wire::handle::Handle;

/// The effect of filters and actions on packets, in the role of `tcf_classify`: the kinds of filters
/// are outside this crate.
///
/// One value serves all devices of a kernel. It counts hits by the numbers of filters.
pub trait Classifier: fmt::Debug + Send + Sync {
    /// Classifies a packet by the filters of one place, in the order of chain, priority and creation.
    /// Actions change the packet.
    fn classify(&self, filters: &[PlacedFilter<'_>], packet: &mut Packet) -> Result<Answer, Unclassified>;

    /// The options of a filter as a dump has them, with the counters.
    fn dump(&self, filter: &PlacedFilter<'_>) -> Vec<u8>;

    /// A filter is gone.
    fn forget(&self, number: u64);
}

/// A filter in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedFilter<'a> {
    /// The number of the filter in its kernel: no other filter ever has it.
    pub number: u64,
    /// The chain.
    pub chain: u32,
    /// The priority.
    pub priority: u16,
    /// The protocol (`ETH_P_*`), in the machine's byte order.
    pub protocol: u16,
    /// The handle.
    pub handle: Handle,
    /// The kind.
    pub kind: &'a str,
    /// The payload of `TCA_OPTIONS`.
    pub options: Option<&'a [u8]>,
}

/// The result of a classification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result.
    pub classified: Classified,
    /// Whether the packet passes by `TC_ACT_OK`: a hook of clsact then takes the class for `tc_index`.
    pub passes: bool,
    /// The packets that actions sent elsewhere.
    pub copies: Vec<Copy>,
}

/// A packet that an action sent to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The device's index.
    pub ifindex: i32,
    /// Whether the device receives it; otherwise it sends it.
    pub to_ingress: bool,
    /// The packet.
    pub packet: Packet,
}

impl Device {
    /// The result of the filters of a place for a packet.
    pub(super) fn classify(
        &self,
        id: Id,
        place: Handle,
        packet: &mut Packet,
        copies: &mut Vec<Copy>,
    ) -> Result<Answer, Unclassified> {
        let miss = Answer { classified: Classified::Miss, passes: false, copies: Vec::new() };
        let Some(classifier) = self.kinds.classifier() else { return Ok(miss) };
        let filters = self.qdiscs.get(&id).map(|qdisc| qdisc.filters.as_slice()).unwrap_or_default();
        let here: Vec<_> =
            filters.iter().filter(|filter| filter.parent == place).map(|filter| filter.placed()).collect();
        if here.is_empty() {
            return Ok(miss);
        }
        (packet.ifindex, packet.device) = (self.ifindex, self.name.clone());
        let mut answer = classifier.classify(&here, packet)?;
        copies.append(&mut answer.copies);
        Ok(answer)
    }

    /// The result of a hook of clsact, or of ingress.
    pub(super) fn hook(
        &self,
        place: Handle,
        packet: &mut Packet,
        copies: &mut Vec<Copy>,
    ) -> Result<Classified, Unclassified> {
        let Some((id, qdisc)) = self.ingress.flatten().and_then(|id| Some((id, self.qdiscs.get(&id)?)))
        else {
            return Ok(Classified::Miss);
        };
        // Kernel: ingress has one block, whichever class its filters name.
        let named =
            qdisc.filters.first().filter(|_| qdisc.kind != "clsact" && place == Handle::FILTER_INGRESS);
        let place = named.map_or(place, |filter| filter.parent);
        let answer = self.classify(id, place, packet, copies)?;
        if let Classified::Match(class) = answer.classified
            && answer.passes
        {
            packet.tc_index = class.minor();
        }
        Ok(answer.classified)
    }
}
