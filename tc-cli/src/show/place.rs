//! The filters that a command names.

use tc_core::{DumpRequest, FilterPlace, Handle, Request};

/// The filters of a device or block. 0 and `None` are unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: Option<u32>,
    pub(crate) priority: u16,
    pub(crate) protocol: Option<u16>,
    pub(crate) chain: Option<u32>,
    /// The chains, in place of their filters.
    pub(crate) chains: bool,
}

impl Place {
    pub(crate) const NONE: Self =
        Self { block: None, priority: 0, protocol: None, chain: None, chains: false };
    pub(crate) const CHAINS: Self = Self { chains: true, ..Self::NONE };

    /// The request, with this in it.
    pub(crate) fn request<'a>(&self, request: Request<'a>) -> Request<'a> {
        let header = *request.header();
        let filters = match (self.block, self.chains) {
            (Some(block), false) => Request::filter_of_block(block),
            (Some(block), true) => Request::filter_chain_of_block(block),
            (None, false) => Request::filter(header.ifindex).parent(header.parent),
            (None, true) => Request::filter_chain(header.ifindex).parent(header.parent),
        };
        let mut request = filters.any().handle(header.handle).kind(request.kind_name());
        request = request.priority(self.priority).protocol(self.protocol.unwrap_or_default());
        match self.chain {
            Some(chain) => request.chain(chain),
            None => request,
        }
    }

    /// The place as a filter kind sees it, with the word after `handle`.
    pub(crate) fn of_filter<'a>(&self, parent: Handle, handle_word: Option<&'a str>) -> FilterPlace<'a> {
        let mut place = FilterPlace::default();
        place.protocol = self.protocol;
        place.priority = Some(self.priority).filter(|priority| *priority != 0);
        place.parent = parent;
        place.chain = self.chain;
        place.block = self.block;
        place.handle_word = handle_word;
        place
    }

    /// The selection, with this in it.
    pub(crate) fn select(&self, select: DumpRequest, terse: bool) -> DumpRequest {
        let mut select = self.block.map_or(select, DumpRequest::filters_of_block);
        select = select.priority(self.priority).protocol(self.protocol.unwrap_or_default());
        if let Some(chain) = self.chain {
            select = select.chain(chain);
        }
        if self.chains {
            select = select.chains();
        }
        if terse { select.terse() } else { select }
    }
}
