use core::time::Duration;

/// Chunks over which quantiles are taken.
const RECENT: usize = 100;

/// How long the provider took for each of the last 100 chunks that it ended well, and the quantiles of that.
#[derive(Debug)]
pub(super) struct InferenceWindow {
    /// Microseconds, as many as saturate in 71 minutes, in the order in which they came; the oldest is
    /// replaced first.
    times: [u32; RECENT],
    next: usize,
    /// The same in ascending order, which a chunk's end keeps up: a tick only looks.
    sorted: [u32; RECENT],
    held: usize,
}

impl Default for InferenceWindow {
    fn default() -> Self {
        Self { times: [0; RECENT], next: 0, sorted: [0; RECENT], held: 0 }
    }
}

impl InferenceWindow {
    pub(super) fn add(&mut self, time: Duration) {
        let micros = time.as_secs().saturating_mul(1_000_000).saturating_add(time.subsec_micros().into());
        let time = micros.min(u32::MAX.into()) as u32;
        let oldest = core::mem::replace(&mut self.times[self.next], time);
        self.next = (self.next + 1) % RECENT;
        let place = if self.held == RECENT {
            self.sorted.iter().position(|held| *held == oldest).unwrap_or_default()
        } else {
            self.held += 1;
            self.held - 1
        };
        self.sort_in(place, time);
    }

    /// Puts a time in this place of the sorted ones, and moves it to where it belongs.
    fn sort_in(&mut self, mut place: usize, time: u32) {
        let sorted = &mut self.sorted[..self.held];
        sorted[place] = time;
        while place > 0 && sorted[place - 1] > time {
            sorted.swap(place, place - 1);
            place -= 1;
        }
        while place + 1 < sorted.len() && sorted[place + 1] < time {
            sorted.swap(place, place + 1);
            place += 1;
        }
    }

    /// The time, in ms, that so many percent of the chunks did not exceed, by nearest rank; 0 without chunks.
    pub(super) fn quantile_ms(&self, percent: usize) -> f64 {
        let rank = (self.held * percent).div_ceil(100);
        let time = if rank == 0 { 0 } else { self.sorted[rank - 1] };
        f64::from(time) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times_ms: impl IntoIterator<Item = u64>) -> InferenceWindow {
        let mut window = InferenceWindow::default();
        times_ms.into_iter().for_each(|ms| window.add(Duration::from_millis(ms)));
        window
    }

    fn quantiles(window: &InferenceWindow) -> (f64, f64) {
        (window.quantile_ms(50), window.quantile_ms(99))
    }

    #[test]
    fn quantiles_are_of_the_last_100_chunks_by_nearest_rank() {
        for (times, expected) in [(0..0, (0.0, 0.0)), (7..8, (7.0, 7.0)), (1..4, (2.0, 3.0)), (1..101, (50.0, 99.0))] {
            assert_eq!(quantiles(&after(times)), expected);
        }
        for chunks in [150, 199, 200, 201, 1_234] {
            let oldest = (chunks - 100) as f64;
            assert_eq!(quantiles(&after((1..=chunks).rev())), (50.0, 99.0));
            assert_eq!(quantiles(&after(1..=chunks)), (oldest + 50.0, oldest + 99.0));
        }
    }

    #[test]
    fn what_is_sorted_is_what_came() {
        let mut window = InferenceWindow::default();
        for number in 0..1_000_u64 {
            window.add(Duration::from_micros(number * 7_919 % 60));
            let mut times = window.times[..window.held].to_vec();
            times.sort_unstable();
            assert_eq!(times, window.sorted[..window.held], "{number}");
        }
    }

    #[test]
    fn a_time_that_is_too_long_saturates() {
        let mut window = after([10, 20]);
        window.add(Duration::MAX);
        assert_eq!(quantiles(&window), (20.0, f64::from(u32::MAX) / 1_000.0));
    }
}
