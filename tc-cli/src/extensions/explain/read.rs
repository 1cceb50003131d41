//! A device's qdiscs, classes and filters.

use tc_core::uapi::TCM_IFINDEX_MAGIC_BLOCK;
use tc_core::{Connection, DumpRequest, Handle, TcType};
use tc_qdiscs::classify::{Qdisc, Tree};

use crate::context::failure::Failure;

/// The qdiscs whose classes are listed.
const CLASSFUL: &[&str] = &["htb", "hfsc", "drr", "qfq"];

pub(super) fn tree(ifindex: i32, tc: &mut Connection) -> Result<Tree, Failure> {
    let mut tree = Tree::default();
    add(&mut tree, &DumpRequest::qdiscs().device(ifindex), ifindex, tc)?;
    let classful = |qdisc: &&Qdisc| CLASSFUL.contains(&qdisc.kind.as_str()) && !qdisc.handle.is_unspec();
    let handles: Vec<Handle> = tree.qdiscs().iter().filter(classful).map(|qdisc| qdisc.handle).collect();
    for handle in handles {
        add(&mut tree, &DumpRequest::classes(ifindex).parent(handle), ifindex, tc)?;
    }
    for place in tree.places() {
        let hook = DumpRequest::new(TcType::Filter, ifindex).parent(place);
        let block = tree.block_of(place).map(|block| {
            DumpRequest::new(TcType::Filter, TCM_IFINDEX_MAGIC_BLOCK).parent(Handle::from_raw(block))
        });
        for listed in tc.list(&block.unwrap_or(hook)).map_err(Failure::List)? {
            if let Ok(entry) = listed.entry() {
                // An entry without a kind is no filter.
                let _ = tree.add_filter(place, &entry);
            }
        }
    }
    Ok(tree)
}

fn add(tree: &mut Tree, select: &DumpRequest, ifindex: i32, tc: &mut Connection) -> Result<(), Failure> {
    for listed in tc.list(select).map_err(Failure::List)? {
        if let Ok(entry) = listed.entry()
            && entry.header.ifindex == ifindex
        {
            // An entry without a kind leads nowhere.
            let _ = tree.add(&entry);
        }
    }
    Ok(())
}
