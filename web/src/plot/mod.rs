//! How figures become pictures and texts: numbers, axes, lines, heatmaps, what a pointer does to them. Plain
//! Rust that knows nothing else of the page; what is drawn comes out as a [`DisplayList`].

mod axis;
mod chart;
mod format;
mod gesture;
mod heat;
mod line;
mod list;
mod table;

pub use axis::{ValueAxis, time_ticks};
pub use chart::{ChartView, Drawing, Gap, GapKind, PlotLine, PlotMark, sparkline, timeline};
pub use format::{DASH, bytes, count, decimal, duration, exact, millis, percent, seconds, short};
pub use gesture::{Action, Gesture, Key, Pointer};
pub use heat::{Bucket, HeatColumn};
pub use list::{Align, Area, Colour, DisplayList};
pub use table::Table;
