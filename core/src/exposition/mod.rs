//! A registry as text, for those who scrape it: [OpenMetrics 1.0] and [Prometheus' own format].
//!
//! - A counter's samples end in `_total`, whether its name does or not.
//! - A histogram has its descriptor's bounds as buckets. One without bounds has the powers of two between
//!   which it counted values, which its exponential buckets give exactly.
//! - A unit is named where the family's name ends with it, as OpenMetrics wants it.
//! - A family whose samples would be called as those of a family before it is left out, and counted, and so
//!   is a histogram with a label `le`, as its buckets have: one such name makes scrapers refuse the page.
//!
//! [OpenMetrics 1.0]: https://prometheus.io/docs/specs/om/open_metrics_spec/
//! [Prometheus' own format]: https://prometheus.io/docs/instrumenting/exposition_formats/

mod family;
mod names;
mod number;
mod page;

pub use page::{TextFormat, TextPage};
