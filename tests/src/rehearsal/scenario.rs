/// What befalls the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing.
    #[default]
    Healthy,
    /// Five minutes of health, five in which one provider slows down and is once restarted, then recovery.
    Story,
    /// One provider fails from the second minute of every five to the fourth.
    Failing,
}

/// What the service has to cope with in one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conditions {
    /// How many times as long the troubled provider takes.
    pub(super) slowdown: f64,
    /// What is wrong with it.
    pub(super) fault: Option<Fault>,
    /// How many times as long everything else takes.
    pub(super) strain: f64,
}

/// What a provider does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It refuses each chunk.
    Refusal,
    /// It panics on each chunk.
    Panic,
}

const HEALTH: Conditions = Conditions { slowdown: 1.0, fault: None, strain: 1.0 };
/// Of the story, in seconds.
const OVERLOAD: std::ops::Range<u64> = 300..600;
const RAMP: u64 = 30;
const SLOWDOWN: f64 = 3.2;
const STRAIN: f64 = 1.8;
const PANIC: std::ops::Range<u64> = 420..423;
/// Of the failing, in seconds.
const CYCLE: u64 = 300;
const FAILING: std::ops::Range<u64> = 60..240;

impl Scenario {
    pub(super) fn conditions(self, second: u64) -> Conditions {
        match self {
            Self::Healthy => HEALTH,
            Self::Story => story(second),
            Self::Failing => {
                Conditions { fault: FAILING.contains(&(second % CYCLE)).then_some(Fault::Refusal), ..HEALTH }
            }
        }
    }
}

fn story(second: u64) -> Conditions {
    if !OVERLOAD.contains(&second) {
        return HEALTH;
    }
    let edge = (second - OVERLOAD.start).min(OVERLOAD.end - second).min(RAMP);
    let share = edge as f64 / RAMP as f64;
    Conditions {
        slowdown: 1.0 + (SLOWDOWN - 1.0) * share,
        fault: PANIC.contains(&second).then_some(Fault::Panic),
        strain: 1.0 + (STRAIN - 1.0) * share,
    }
}
