//! The pages: server-rendered, readable without JavaScript, live by server-sent events. They show what the documents of
//! the API say and change nothing by themselves; they must never know an adapter or a rule of business.

mod assets;
mod chart;
mod form;
mod frame;
mod pages;
mod parts;
mod tone;
mod words;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod gallery;
