//! A registry for those who scrape it: as text, [OpenMetrics 1.0] or [Prometheus' own format], or as
//! [protobuf].
//!
//! - A counter's samples end in `_total`, whether its name does or not.
//! - A histogram has its descriptor's bounds as buckets. As text, one without bounds has the powers of two
//!   between which it counted values, which its exponential buckets give exactly.
//! - OpenMetrics wants sums that only go up: a histogram with values or bounds below zero has neither sum nor count
//!   there, only its buckets, the last of which counts all.
//! - As protobuf, every histogram is a native one too: with the exponential buckets that it has, at their scale.
//!   A family with many series is several messages of its name.
//! - A unit is named where the family's name ends with it, as OpenMetrics wants it.
//! - A family whose samples would be called as those of a family before it is left out, and counted, and so
//!   is a histogram with a label `le`, as its buckets have: one such name makes scrapers refuse the page.
//! - [`Exemplars`], where there are any, stand at the buckets of their values; Prometheus' text has none.
//!
//! [OpenMetrics 1.0]: https://prometheus.io/docs/specs/om/open_metrics_spec/
//! [Prometheus' own format]: https://prometheus.io/docs/instrumenting/exposition_formats/
//! [protobuf]: https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format

mod bounds;
mod exemplars;
mod message;
mod names;
mod number;
mod page;
mod protobuf;
mod text;

pub use exemplars::{EXEMPLAR_CHARACTERS_MAX, EXEMPLAR_LABEL, ExemplarError, Exemplars};
pub use page::{Format, Page};
