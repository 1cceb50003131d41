//! The surroundings in which objects are read and compared.

use crate::kind::action::{Action, Actions};
use crate::kind::words::{Environment, Usual};
use crate::kind::{FilterPlace, OptionWords, Options, Registry, RegistryError, TcOps};
use crate::wire::device::DeviceNames;
use crate::wire::handle::Handle;
use crate::wire::lossless::to_text;
use crate::wire::verb::TcType;

/// The kinds, the names of devices, and the facts of the machine that a comparison depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    pub(super) registry: &'c Registry,
    pub(super) names: &'c dyn DeviceNames,
    pub(super) environment: &'c dyn Environment,
}

impl<'c> Context<'c> {
    /// The kinds of the [global registry](Registry::global), on a machine with high-resolution timers.
    /// [`Connection::device_names`](crate::Connection::device_names) has the names.
    pub fn new(names: &'c dyn DeviceNames) -> Result<Self, RegistryError> {
        Ok(Self { registry: Registry::global()?, names, environment: &Usual })
    }

    /// Other kinds.
    #[must_use]
    pub const fn registry(self, registry: &'c Registry) -> Self {
        Self { registry, ..self }
    }

    /// Another machine.
    #[must_use]
    pub const fn environment(self, environment: &'c dyn Environment) -> Self {
        Self { environment, ..self }
    }

    pub(super) fn device_name(&self, ifindex: i32) -> String {
        let name = self.names.device_name(ifindex);
        name.map_or_else(|_| format!("if{ifindex}"), |name| to_text(name.as_bytes()).into_owned())
    }

    /// The parents of filters that a qdisc of this kind at the ingress offers.
    pub(super) fn hooks(&self, kind: &str) -> &'static [Handle] {
        let ops = self.registry.get(TcType::Qdisc, kind);
        ops.map_or(&[Handle::FILTER_INGRESS], TcOps::hooks)
    }

    pub(super) fn action_words(&self, action: &Action) -> OptionWords<'static> {
        let mut words = OptionWords::with_names(self.names);
        Actions::new().with(action.clone()).to_words(&mut words);
        words.without_names()
    }

    pub(super) fn words(
        &self,
        options: &dyn Options,
        ops: &dyn TcOps,
        place: &FilterPlace<'_>,
    ) -> OptionWords<'static> {
        let mut words = OptionWords::with_names(self.names);
        ops.to_words_at(options, place, &mut words);
        words.without_names()
    }
}
