//! What the page shows.
//!
//! [`App`] is the page's fixed part, by Leptos. What comes and goes with the figures, rows and charts in
//! their thousands, is painted by [`Painter`]: elements are made once, written to only where they change,
//! and only what can be seen exists.

mod act;
mod app;
mod canvas;
mod cards;
mod chart_page;
mod element;
mod events;
mod files;
mod head;
mod listen;
mod notices;
mod overview;
mod paint;
mod painter;
mod screen;
mod session;
mod table;
mod timebar;
mod watch;

pub use app::App;
pub use painter::Painter;
