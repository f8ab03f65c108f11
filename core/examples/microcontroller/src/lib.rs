//! What a device does: it counts, and sends a frame a second by whatever takes bytes, such as a serial line.
//!
//! It needs core and alloc and has no clock. `scripts/bare.sh` builds it for a microcontroller; `main.rs` is a board
//! for those who have none.
#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::time::Duration;

use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{Collector, Descriptor, Registry};
use tachograph_core::wire::frame::{Encoder, Epoch, Hello, Outcome, Tick};

/// Where bytes go. What it cannot send it has to count itself: a device goes on.
pub trait Sink {
    /// Sends all of them.
    fn write(&mut self, bytes: &[u8]);
}

/// A device that controls something, and says so.
#[derive(Debug)]
pub struct Device<S> {
    sink: S,
    epoch: Epoch,
    turns: Counter,
    celsius: Gauge,
    turn_micros: Histogram,
    collector: Collector,
    encoder: Encoder,
    ticks: u64,
    /// Whether the reader knows who speaks.
    is_known: bool,
    /// The bytes of a frame; its memory is used again.
    frame: Vec<u8>,
}

impl<S: Sink> Device<S> {
    /// Starts counting. `epoch` names this start: it must differ from those before, as random bytes do.
    ///
    /// # Errors
    /// A metric has no place in the registry.
    pub fn start(epoch: [u8; 16], sink: S) -> Result<Self, Box<dyn Error>> {
        let registry = Registry::new();
        let celsius = Descriptor::new("device_celsius", "Temperature of the device").unit("°C");
        let micros = Descriptor::new("device_turn_micros", "Time that a turn took").unit("µs");
        Ok(Self {
            sink,
            epoch: Epoch::from_bytes(epoch),
            turns: registry.counter(&Descriptor::new("device_turns", "Turns of the control loop"))?.bind(&[])?,
            celsius: registry.gauge(&celsius)?.bind(&[])?,
            turn_micros: registry.histogram(&micros)?.bind(&[])?,
            collector: registry.collector(),
            encoder: Encoder::new(),
            ticks: 0,
            is_known: false,
            frame: Vec::new(),
        })
    }

    /// Another reader listens from now on, such as after the line was plugged in: it is told all with the next tick.
    pub fn plugged_in(&mut self) {
        self.is_known = false;
    }

    /// One turn of the control loop, with what was measured in it.
    pub fn turn(&self, celsius: f64, took_micros: u32) {
        self.turns.inc();
        self.celsius.set(celsius);
        self.turn_micros.record(took_micros.into());
    }

    /// Sends what changed since the last time; to be called once a second. The time of day is in Unix milliseconds:
    /// a device that has none says its uptime.
    pub fn tick(&mut self, uptime: Duration, unix_ms: u64) {
        self.ticks += 1;
        self.frame.clear();
        let monotonic_us = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        let tick = Tick { tick: self.ticks, monotonic_us, ..Tick::of(self.collector.collect(unix_ms)) };
        self.encoder.encode(&tick, &mut self.frame);
        if !self.is_known {
            self.introduce();
        }
        self.sink.write(&self.frame);
    }

    /// Where it sends to.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// What a reader needs first, instead of what changed: who speaks, the schema, and the frame by itself.
    fn introduce(&mut self) {
        let Self { epoch, encoder, frame, .. } = self;
        frame.clear();
        let first_seq = encoder.state().head().seq;
        let server_version = env!("CARGO_PKG_VERSION").into();
        Hello { epoch: *epoch, server_version, outcome: Outcome::Fresh, first_seq }.write(frame);
        encoder.write_schema(frame);
        encoder.write_keyframe(frame);
        self.is_known = true;
    }
}
