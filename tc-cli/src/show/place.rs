//! The filters that a command names.

use tc_core::{DumpRequest, FilterPlace, Handle, Request};

/// The filters of a device or block. 0 and `None` are unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: Option<u32>,
    pub(crate) priority: u16,
    pub(crate) protocol: Option<u16>,
    pub(crate) chain: Option<u32>,
}

impl Place {
    pub(crate) const NONE: Self = Self { block: None, priority: 0, protocol: None, chain: None };

    /// The request, with this in it.
    pub(crate) fn request<'a>(&self, request: Request<'a>) -> Request<'a> {
        let mut request = match self.block {
            Some(block) => {
                let of_block = Request::filter_of_block(block).any();
                of_block.handle(request.header().handle).kind(request.kind_name())
            }
            None => request,
        };
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
        if terse { select.terse() } else { select }
    }
}
