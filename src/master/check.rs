//! Checks of a zone as a whole, with the levels of `named-checkzone`, `nsd-checkzone` and `kzonecheck`.

use super::parser::Parser;

/// Adds what is found to the diagnostics.
pub(super) fn check(_parser: &mut Parser<'_>) {}
