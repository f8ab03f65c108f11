use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Date;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::FrameError;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::link::{Link, Todo};
use super::socket::{Socket, SocketEvent};
use super::{Clock, measure, stream_address};
use crate::state::Connection;

/// How often the connection is looked after.
const BEAT_MILLIS: i32 = 250;

/// Whom a client tells what arrives.
pub trait Listener: 'static {
    /// What to ask for on the next connection, as the address's query.
    fn query(&self) -> String;

    /// Whether frames are missing that the server may still have.
    fn has_hole(&self) -> bool;

    /// A message. Returns how many frames in it were new.
    ///
    /// # Errors
    /// It is not as it should be; the connection is of no more use.
    fn message(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError>;

    /// A message that could not be read.
    fn unreadable(&mut self);

    /// Four times a second, and on every change: where the connection stands.
    fn connection(&mut self, connection: Connection, now: Moment);

    /// Whether the reader asked, since this was asked last, not to wait for the next attempt.
    fn hurries(&mut self) -> bool;

    /// When events happened is wanted.
    fn measure(&mut self);

    /// The moments of the events that arrived since this was asked last, in Unix milliseconds.
    fn measured(&mut self) -> Vec<u64>;
}

/// Keeps a connection to the server as long as the page lives.
pub struct Client<L> {
    link: Link,
    clock: Clock,
    socket: Option<Socket>,
    address: String,
    measures: bool,
    listener: L,
}

impl<L: Listener> Client<L> {
    /// Connects, and goes on doing so.
    pub fn start(mut listener: L) {
        let Some(window) = web_sys::window() else { return };
        let (monotonic, wall) = readings();
        let mut clock = Clock::new(monotonic, wall);
        let measures = measure::is_asked_for(&window);
        if measures {
            listener.measure();
            measure::begin();
        }
        let link = Link::new(clock.read(monotonic, wall));
        let client = Self { link, clock, socket: None, address: address(&window), measures, listener };
        let client = Rc::new(RefCell::new(client));
        beat(&client);
        let seen = Rc::clone(&client);
        call(
            move || beat(&client),
            |function| {
                // Without a timer there would be no browser to show anything.
                let _timer = window.set_interval_with_callback_and_timeout_and_arguments_0(function, BEAT_MILLIS);
            },
        );
        call(
            move || see(&seen),
            |function| {
                let document = window.document();
                document.inspect(|document| document.set_onvisibilitychange(Some(function)));
            },
        );
    }

    fn now(&mut self) -> Moment {
        let (monotonic, wall) = readings();
        self.clock.read(monotonic, wall)
    }

    fn take(&mut self, event: SocketEvent) {
        let now = self.now();
        match event {
            SocketEvent::Opened => self.link.opened(now),
            SocketEvent::Bytes(message) => self.read(&message, now),
            SocketEvent::Unreadable => self.refuse(now),
            SocketEvent::Closed => self.let_go(now),
        }
        self.report(now);
    }

    fn read(&mut self, message: &[u8], now: Moment) {
        match self.listener.message(message, now) {
            Ok(0) => {}
            Ok(_) => {
                measure::note_arrived();
                self.link.news(now);
            }
            Err(_) => self.refuse(now),
        }
        if self.measures {
            measure::note(&self.listener.measured());
        }
    }

    /// What was read so far stays; another connection mends the rest.
    fn refuse(&mut self, now: Moment) {
        self.listener.unreadable();
        self.let_go(now);
    }

    fn let_go(&mut self, now: Moment) {
        self.socket = None;
        self.link.closed(now, js_sys::Math::random());
    }

    fn report(&mut self, now: Moment) {
        self.listener.connection(self.link.connection(now), now);
    }
}

/// Does what is to be done.
fn beat<L: Listener>(client: &Rc<RefCell<Client<L>>>) {
    let mut held = client.borrow_mut();
    let now = held.now();
    let has_hole = held.listener.has_hole();
    held.link.beat(now, has_hole);
    if held.listener.hurries() {
        held.link.hurry(now);
    }
    act(&mut held, client, now);
}

/// The page can be seen, or not any more.
fn see<L: Listener>(client: &Rc<RefCell<Client<L>>>) {
    let is_seen = web_sys::window().and_then(|window| window.document()).is_some_and(|document| !document.hidden());
    if is_seen {
        let mut held = client.borrow_mut();
        let now = held.now();
        held.link.wake(now);
        act(&mut held, client, now);
    }
}

fn act<L: Listener>(held: &mut Client<L>, client: &Rc<RefCell<Client<L>>>, now: Moment) {
    match held.link.todo(now) {
        Todo::Nothing => {}
        Todo::Abandon => held.let_go(now),
        Todo::Connect => connect(held, client, now),
    }
    held.report(now);
}

fn connect<L: Listener>(held: &mut Client<L>, client: &Rc<RefCell<Client<L>>>, now: Moment) {
    let client = Rc::downgrade(client);
    let tell = move |event| {
        if let Some(client) = client.upgrade() {
            client.borrow_mut().take(event);
        }
    };
    // The one before must not tell anything any more.
    held.socket = None;
    match Socket::open(&format!("{}?{}", held.address, held.listener.query()), tell) {
        Ok(socket) => {
            held.socket = Some(socket);
            held.link.opening(now);
        }
        Err(_) => held.let_go(now),
    }
}

/// Gives the browser a function to call as long as the page lives.
fn call(function: impl FnMut() + 'static, give: impl FnOnce(&js_sys::Function)) {
    let function = Closure::<dyn FnMut()>::new(function);
    give(function.as_ref().unchecked_ref());
    function.forget();
}

/// What the browser's monotonic clock and its wall clock read, in milliseconds.
fn readings() -> (f64, f64) {
    let monotonic = web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now());
    (monotonic, Date::now())
}

fn address(window: &web_sys::Window) -> String {
    let location = window.location();
    let read = |part: Result<String, _>| part.unwrap_or_default();
    stream_address(&read(location.protocol()), &read(location.host()), &read(location.pathname()))
}
