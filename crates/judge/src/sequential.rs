//! Tests that may be looked at at any time: their error rates hold for every look together.
//!
//! Formulas are those of the always-valid judge's specification; the section numbers (S1.3 …) in comments are its.

pub mod guard;
