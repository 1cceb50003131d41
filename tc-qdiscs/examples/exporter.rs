//! Prints the counters of all qdiscs in the text format of Prometheus, for a collector of text files.
//!
//! `exporter > /var/lib/node_exporter/qdiscs.prom`

use std::error::Error;
use std::io::{self, Write};

use tc_core::{Connection, DumpRequest};

/// Writes the counters of the qdiscs in the network namespace of the calling thread.
pub fn export(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut tc = Connection::open()?;
    let names = tc.device_names()?;
    let mut dump = tc.dump(&DumpRequest::qdiscs())?;
    while let Some(listed) = dump.next()? {
        let qdisc = listed.entry()?;
        let Some(stats) = qdisc.stats()? else { continue };
        // A device can be gone by now.
        let Ok(device) = names.device_name(qdisc.header.ifindex) else { continue };
        let labels = format!(
            "{{device=\"{device}\",kind=\"{}\",handle=\"{}\",parent=\"{}\"}}",
            qdisc.kind()?,
            qdisc.header.handle,
            qdisc.header.parent
        );
        if let Some(basic) = stats.basic {
            writeln!(out, "qdisc_bytes_total{labels} {}", basic.bytes)?;
            writeln!(out, "qdisc_packets_total{labels} {}", basic.packets)?;
        }
        if let Some(queue) = stats.queue {
            writeln!(out, "qdisc_drops_total{labels} {}", queue.drops)?;
            writeln!(out, "qdisc_backlog_bytes{labels} {}", queue.backlog)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    export(&mut io::stdout().lock())
}
