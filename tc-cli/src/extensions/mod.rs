//! The commands that `tc` does not have.

mod explain;
mod kinds;
mod plug;
mod reconcile;
mod shell;

use crate::context::extension::Extension;

/// All additional commands.
pub(crate) const EXTENSIONS: &[Extension] = &[
    kinds::KINDS,
    reconcile::EXPORT,
    reconcile::DIFF,
    reconcile::APPLY,
    explain::EXPLAIN,
    plug::PLUG,
    shell::COMPLETIONS,
    shell::MAN,
];
