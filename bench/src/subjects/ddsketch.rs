//! sketches-ddsketch: a sketch for one owner.

use std::sync::Mutex;

use sketches_ddsketch::{Config, DDSketch};

use super::{Operation, QUANTILES, Role, SeriesSet, Site, Subject, Worker, each_value};
use crate::values::MS;

pub struct DdSketch;

impl Subject for DdSketch {
    fn name(&self) -> &'static str {
        "sketches-ddsketch"
    }

    fn role(&self) -> Role {
        Role::Sketch
    }

    fn package(&self) -> Option<&'static str> {
        Some("sketches-ddsketch")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        if operation != Operation::HistogramRecord || site.thread > 0 {
            return None;
        }
        let mut sketch = sketch();
        Some(Box::new(move |iterations| each_value(&mut sketch, &MS, iterations, DDSketch::add)))
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let sketches = Mutex::new(Vec::new());
        let touch = move || {
            let mut sketches = sketches.lock().expect("no touch panics");
            sketches.resize_with(count, sketch);
            for sketch in sketches.iter_mut() {
                values.iter().for_each(|ms| sketch.add(*ms));
            }
        };
        Some(SeriesSet { shared: false, ..SeriesSet::written(touch) })
    }

    fn quantiles(&self, values: &[f64]) -> Option<[f64; 4]> {
        let mut sketch = sketch();
        values.iter().for_each(|ms| sketch.add(*ms));
        Some(QUANTILES.map(|q| sketch.quantile(q).ok().flatten().unwrap_or(f64::NAN)))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["sketches-ddsketch is for one owner: no labels, no second thread. With its default configuration (1 %)."]
    }
}

fn sketch() -> DDSketch {
    DDSketch::new(Config::defaults())
}
