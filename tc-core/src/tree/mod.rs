//! Trees: the state of devices as a whole, and the way from one state to another.
//!
//! | to | use |
//! |---|---|
//! | read qdiscs, classes, filters, chains and actions | [`Snapshot::read`] |
//! | describe the wanted state | [`Wanted`]: requests, or a snapshot |
//! | compute the steps between the two | [`Plan::new`] |
//! | carry them out | [`Plan::apply`], or [`Executor`] step by step |
//! | do all of it, and verify | [`establish`] |
//!
//! Options are compared as the kernel reports them: see [`OptionWords`](crate::OptionWords). A kind without words
//! in the registry is compared byte by byte.
//!
//! ```
//! use tc_core::embedded::{Device, Kernel, Stored};
//! use tc_core::tree::{Context, Plan, Snapshot, Wanted, establish};
//! use tc_core::{Connection, Handle, Request, Verb};
//!
//! let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("pfifo", Stored::new).build();
//! let mut tc = Connection::over(kernel.connect());
//! let names = tc.device_names()?;
//! let context = Context::new(&*names)?;
//!
//! let limit = 100u32.to_ne_bytes();
//! let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).raw_options("pfifo", &limit);
//! let mut wanted = Wanted::new(context);
//! wanted.add(root)?;
//!
//! let before = Snapshot::read(&mut tc, None, &context)?;
//! let plan = Plan::new(&wanted, &before).expect("nothing is left out");
//! assert_eq!((plan.steps.len(), plan.steps[0].verb), (1, Verb::Add));
//! assert_eq!(establish(&mut tc, &wanted)?, 1);
//! assert_eq!(establish(&mut tc, &wanted)?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod below;
mod context;
mod draft;
mod establish;
mod gone;
mod left_out;
mod object;
mod order;
mod place;
mod plan;
mod snapshot;
mod swap;
mod wanted;

pub use apply::{Applied, Executor, Outcome};
pub use below::Subtrees;
pub use context::Context;
pub use establish::{EstablishError, establish};
pub use left_out::LeftOut;
pub use object::Object;
pub use place::{ChainId, FilterId, On, Place};
pub use plan::{Left, Plan, PlanError, Step};
pub use snapshot::Snapshot;
pub use wanted::{Part, Wanted, WantedError};
