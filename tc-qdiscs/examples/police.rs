//! Limits what a device receives: packets above the rate are dropped, the others go through an IFB, on which they can
//! be shaped like output.
//!
//! `police DEVICE IFB MBIT`. The IFB has to be there: `ip link add IFB up type ifb`.

use std::error::Error;

use tc_core::action::{Action, Actions, Control};
use tc_core::rate::Rate;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, Handle, Request};
use tc_qdiscs::action::mirred::{Eaction, Mirred};
use tc_qdiscs::action::police::Police;
use tc_qdiscs::clsact::Clsact;
use tc_qdiscs::filter::matchall::Matchall;

/// The largest packet that conforms, as offloads put packets together.
const LARGEST: u32 = 64 << 10;

/// Polices the input of `device`, and sends the rest to `ifb`.
pub fn police(device: &str, ifb: &str, rate: Rate) -> Result<(), Box<dyn Error>> {
    let mut tc = Connection::open()?;
    let [device, ifb] = [tc.ifindex(device)?, tc.ifindex(ifb)?];
    let hooks = Request::qdisc(device).parent(Handle::INGRESS).handle(Handle::qdisc(0xffff));
    tc.ensure(&hooks.options(&Clsact))?;
    let police = Police::at_rate(rate, 2 * u64::from(LARGEST)).mtu(LARGEST);
    let police = police.exceed(Control::Drop).conform(Control::Pipe);
    let redirect = Mirred::to(Eaction::EgressRedirect, ifb);
    let actions = Actions::new().with(Action::new(police)).with(Action::new(redirect));
    let all = Matchall::default().actions(actions);
    let filter = Request::filter(device).parent(Handle::FILTER_INGRESS).priority(10).protocol(ETH_P_ALL);
    tc.replace(&filter.handle(Handle::from_raw(1)).options(&all))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device, ifb, mbit] = &words[..] else { return Err("usage: police DEVICE IFB MBIT".into()) };
    police(device, ifb, Rate::bits_per_second(mbit.parse::<u64>()? * 1_000_000))
}
