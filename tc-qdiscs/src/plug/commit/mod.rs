//! Output commit.

mod attach;
mod device;
mod epoch;
mod error;
pub mod guardian;
mod journal;
mod leave;
mod left;
mod limit;
mod look;
mod plan;
mod policy;
mod process;
mod root;
mod session;
mod taint;

pub use device::Tally;
pub use epoch::{Ack, Epoch};
pub use error::{Error, Network};
pub use guardian::{GuardianCommand, GuardianError};
pub use journal::{JOURNAL_DIR, Journal, JournalDevice, JournalError};
pub use leave::Plugs;
pub use left::Left;
pub use limit::{Limit, LimitError, Load};
pub use plan::{Held, OnDeath, OnDrop, OnTaint, Plan};
pub use process::Process;
pub use session::{OutputCommit, Released, State};
pub use taint::{Taint, TaintCause};
