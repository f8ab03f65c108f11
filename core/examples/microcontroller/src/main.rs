//! A board for those who have none: standard output is its serial line.
//!
//! ```sh
//! cargo run -p microcontroller -- --seconds 60 | tachograph tail --metrics device_ -
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, SystemTimeError};

use microcontroller::{Device, Sink};

/// Turns of the control loop in a second.
const TURNS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = seconds()?;
    // Another start, another epoch.
    let epoch = since_1970()?.as_nanos().to_le_bytes();
    let mut device = Device::start(epoch, Line::default())?;
    let began = Instant::now();
    for second in 1..=seconds {
        for turn in 0..TURNS {
            device.turn(20.0 + f64::from(turn) / 10.0, 200 + turn);
        }
        std::thread::sleep(Duration::from_secs(second).saturating_sub(began.elapsed()));
        device.tick(began.elapsed(), u64::try_from(since_1970()?.as_millis())?);
        if device.sink().is_unplugged {
            break;
        }
    }
    Ok(())
}

fn since_1970() -> Result<Duration, SystemTimeError> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)
}

fn seconds() -> Result<u64, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (None, _) => Ok(u64::MAX),
        (Some("--seconds"), Some(seconds)) => Ok(seconds.parse()?),
        _ => Err("there is only --seconds N".into()),
    }
}

/// Standard output.
#[derive(Default)]
struct Line {
    /// Nobody reads any more.
    is_unplugged: bool,
}

impl Sink for Line {
    fn write(&mut self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        self.is_unplugged |= out.write_all(bytes).and_then(|()| out.flush()).is_err();
    }
}
