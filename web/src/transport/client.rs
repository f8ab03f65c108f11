use std::cell::RefCell;
use std::rc::Rc;

use tachograph_core::time::Moment;
use tachograph_core::wire::StreamFrame;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::link::{Link, Todo};
use super::socket::{Socket, SocketEvent};
use super::stream_address;
use crate::state::Connection;

/// How often the connection is looked after.
const BEAT_MILLIS: i32 = 250;

/// Whom a client tells what arrives.
pub trait Listener: 'static {
    /// A frame. Returns whether it was news.
    fn frame(&mut self, frame: StreamFrame, now: Moment) -> bool;

    /// A message that is not a frame.
    fn unreadable(&mut self);

    /// Four times a second, and on every change: where the connection stands.
    fn connection(&mut self, connection: Connection, now: Moment);

    /// Whether the reader asked, since this was asked last, not to wait for the next attempt.
    fn hurries(&mut self) -> bool;
}

/// Keeps a connection to the server as long as the page lives.
pub struct Client<L> {
    link: Link,
    socket: Option<Socket>,
    address: String,
    listener: L,
}

impl<L: Listener> Client<L> {
    /// Connects, and goes on doing so.
    pub fn start(listener: L) {
        let Some(window) = web_sys::window() else { return };
        let now = now();
        let client = Self { link: Link::new(now), socket: None, address: address(&window), listener };
        let client = Rc::new(RefCell::new(client));
        beat(&client);
        let on_beat = Closure::<dyn FnMut()>::new(move || beat(&client));
        let function = on_beat.as_ref().unchecked_ref();
        // Without a timer there would be no browser to show anything.
        let _timer = window.set_interval_with_callback_and_timeout_and_arguments_0(function, BEAT_MILLIS);
        on_beat.forget();
    }

    fn take(&mut self, event: SocketEvent) {
        let now = now();
        match event {
            SocketEvent::Opened => self.link.opened(now),
            SocketEvent::Text(text) => self.read(&text, now),
            SocketEvent::Closed => self.let_go(now),
        }
        self.report(now);
    }

    fn read(&mut self, text: &str, now: Moment) {
        match serde_json::from_str(text) {
            Ok(frame) => self.pass_on(frame, now),
            Err(_) => self.listener.unreadable(),
        }
    }

    fn pass_on(&mut self, frame: StreamFrame, now: Moment) {
        if self.listener.frame(frame, now) {
            self.link.news(now);
        }
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
    let now = now();
    let mut held = client.borrow_mut();
    if held.listener.hurries() {
        held.link.hurry(now);
    }
    match held.link.todo(now) {
        Todo::Nothing => {}
        Todo::Abandon => held.let_go(now),
        Todo::Connect => connect(&mut held, client, now),
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
    match Socket::open(&held.address, tell) {
        Ok(socket) => {
            held.socket = Some(socket);
            held.link.opening(now);
        }
        Err(_) => held.let_go(now),
    }
}

/// The page's clock, which never goes back.
fn now() -> Moment {
    let millis = web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now());
    Moment::from_nanos((millis * 1e6) as u64)
}

fn address(window: &web_sys::Window) -> String {
    let location = window.location();
    let read = |part: Result<String, _>| part.unwrap_or_default();
    stream_address(&read(location.protocol()), &read(location.host()), &read(location.pathname()))
}
