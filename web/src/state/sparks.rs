use tachograph_core::wire::SourceName;
use tachograph_core::wire::frame::{Cell, State};

/// Ticks that a sparkline shows.
pub const SPARK_TICKS: usize = 90;
/// Memory that all of them may take.
const BYTES_MAX: usize = 6 << 20;
/// Steps from an empty queue to a full one; one more means that there is no figure.
const STEPS: f64 = 200.0;
const NOTHING: u8 = u8::MAX;

/// How full the queue of each live source was in the last ticks.
#[derive(Debug, Default)]
pub struct Sparks {
    /// By session and source.
    held: Vec<Spark>,
    newest: u64,
    /// The start of the server that they are of.
    tag: u32,
    /// Sources that there is no room for.
    unkept: usize,
}

#[derive(Debug)]
struct Spark {
    session: u64,
    source: SourceName,
    steps: [u8; SPARK_TICKS],
}

impl Sparks {
    /// Takes the newest row; those passed over hold nothing.
    pub(super) fn take(&mut self, row: u64, tag: u32, state: &State) {
        if self.tag != tag {
            *self = Self { tag, ..Self::default() };
        }
        let passed = row.saturating_sub(self.newest).min(SPARK_TICKS as u64);
        let slots: Vec<usize> = (row + 1 - passed..=row).map(slot).collect();
        self.newest = row;
        self.unkept = 0;
        let mut before = std::mem::take(&mut self.held).into_iter().peekable();
        let mut held = Vec::with_capacity(before.len());
        for session in state.session_views() {
            for source in session.sources() {
                let key = (session.id(), source.source());
                while before.next_if(|spark| (spark.session, spark.source) < key).is_some() {}
                let same = before.next_if(|spark| (spark.session, spark.source) == key);
                let mut spark = match same {
                    Some(spark) => spark,
                    None if (held.len() + 1) * size_of::<Spark>() > BYTES_MAX => {
                        self.unkept += 1;
                        continue;
                    }
                    None => Spark { session: key.0, source: key.1, steps: [NOTHING; SPARK_TICKS] },
                };
                slots.iter().for_each(|slot| spark.steps[*slot] = NOTHING);
                let fill = source.cell(Cell::QueueFillRatio);
                spark.steps[slot(row)] = fill.map_or(NOTHING, |fill| (fill.clamp(0.0, 1.0) * STEPS) as u8);
                held.push(spark);
            }
        }
        self.held = held;
    }

    /// The shares of a source's queue that were full in the ticks up to a row of a start, oldest first; NaN
    /// where that is not known any more.
    pub fn fills(&self, (tag, row): (u32, u64), session: u64, source: SourceName) -> Option<[f32; SPARK_TICKS]> {
        let found = self.held.binary_search_by_key(&(session, source), |spark| (spark.session, spark.source)).ok()?;
        let spark = self.held.get(found).filter(|_| tag == self.tag)?;
        let mut fills = [f32::NAN; SPARK_TICKS];
        for (ago, fill) in fills.iter_mut().rev().enumerate() {
            let Some(row) = row.checked_sub(ago as u64).filter(|row| row + SPARK_TICKS as u64 > self.newest) else {
                break;
            };
            let step = spark.steps[slot(row)];
            if step != NOTHING {
                *fill = f32::from(step) / STEPS as f32;
            }
        }
        Some(fills)
    }

    /// Sources that there was no room for.
    pub fn unkept(&self) -> usize {
        self.unkept
    }
}

fn slot(row: u64) -> usize {
    (row % SPARK_TICKS as u64) as usize
}
