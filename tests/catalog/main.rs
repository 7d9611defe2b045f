//! The catalogue: its files, what they say beside Auth0's document, the reference page that is made
//! of them, and that one file more is one table more.

#[path = "../support/mod.rs"]
mod support;

mod auth0;
mod files;
mod reference;
mod sound;
mod widget;
