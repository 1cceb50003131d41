//! Output commit in a page: packets leave only when the backup has the state that sent them. On a kernel in memory, so
//! that it runs anywhere; on a real one `OutputCommit::attach` opens its own sockets.

use std::error::Error;
use std::num::NonZero;
use std::path::Path;

use tc_core::Connection;
use tc_core::embedded::{Device, Kernel};
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_qdiscs::plug::commit::{Ack, AttachOptions, DetachMode, Limit, OnDeath, OnTaint, OutputCommit};

/// Runs epochs; returns the packets that had left after each step.
pub fn epochs(journals: &Path) -> Result<Vec<usize>, Box<dyn Error>> {
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::new("eth0").ifindex(2)).build();
    let notices = kernel.connect();
    notices.join(RTNLGRP_TC);
    notices.join(RTNLGRP_LINK);
    let limit = Limit::bytes(NonZero::new(65_536).ok_or("no limit")?);
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(journals);
    let connection = Connection::over(kernel.connect());
    let mut output = OutputCommit::attach_over(connection, Monitor::over(notices), &["eth0"], options)?;

    let mut left = Vec::new();
    let mut look = |kernel: &Kernel| left.push(kernel.take_sent(2).len());
    output.start_buffer()?;
    for number in 0..3 {
        kernel.send(2, *b"the guest's output");
        look(&kernel); // nothing: it is held
        let epoch = output.close()?; // with the guest's checkpoint
        kernel.send(2, *b"output of the next epoch");
        output.release(epoch, Ack::of(number))?; // the backup has it
        look(&kernel); // the first, not the second
    }
    output.detach(DetachMode::Remove)?;
    look(&kernel); // the last epoch was open
    Ok(left)
}

fn main() -> Result<(), Box<dyn Error>> {
    let journals = std::env::temp_dir().join(format!("commit-example-{}", std::process::id()));
    let left = epochs(&journals)?;
    println!("packets that left, step by step: {left:?}");
    Ok(std::fs::remove_dir_all(&journals)?)
}
