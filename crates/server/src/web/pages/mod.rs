//! One file per page: a plain struct beside the handler that fills it. A template asks the struct and computes nothing.

pub(crate) mod connect;
pub(crate) mod deployment;
pub(crate) mod destroy;
pub(crate) mod home;
pub(crate) mod lab;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod settings;
