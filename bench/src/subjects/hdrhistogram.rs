//! hdrhistogram: a histogram for one owner.

use std::sync::Mutex;

use hdrhistogram::Histogram;

use super::{Operation, QUANTILES, Role, SeriesSet, Site, Subject, Worker, each_value};
use crate::values::{self, NANOSECONDS};

pub struct HdrHistogram;

impl Subject for HdrHistogram {
    fn name(&self) -> &'static str {
        "hdrhistogram"
    }

    fn role(&self) -> Role {
        Role::Sketch
    }

    fn package(&self) -> Option<&'static str> {
        Some("hdrhistogram")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        if operation != Operation::HistogramRecord || site.thread > 0 {
            return None;
        }
        let mut summed = Summed { histogram: histogram(), sum: 0 };
        Some(Box::new(move |iterations| each_value(&mut summed, &NANOSECONDS, iterations, Summed::record)))
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let histograms = Mutex::new(Vec::new());
        let touch = move || {
            let mut histograms = histograms.lock().expect("no touch panics");
            histograms.resize_with(count, histogram);
            for histogram in histograms.iter_mut() {
                values.iter().for_each(|ms| histogram.saturating_record(values::nanoseconds(*ms)));
            }
        };
        Some(SeriesSet { shared: false, ..SeriesSet::written(touch) })
    }

    fn quantiles(&self, values: &[f64]) -> Option<[f64; 4]> {
        let mut histogram = histogram();
        values.iter().for_each(|ms| histogram.saturating_record(values::nanoseconds(*ms)));
        Some(QUANTILES.map(|q| histogram.value_at_quantile(q) as f64 / 1e6))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["hdrhistogram is for one owner: no labels, no second thread. 3 significant digits from 1 µs to 1.1 s, and \
           the sum, which it does not keep, added beside it."]
    }
}

struct Summed {
    histogram: Histogram<u64>,
    sum: u64,
}

impl Summed {
    #[inline]
    fn record(&mut self, nanoseconds: u64) {
        self.histogram.record(nanoseconds).expect("within the bounds");
        self.sum = self.sum.wrapping_add(nanoseconds);
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 1_100_000_000, 3).expect("valid bounds")
}
