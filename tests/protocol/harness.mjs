// Starts a server and speaks to it as a client that shares no code with it. Everything a server says is
// kept with the time it came; every wait has an end and says what it waited for.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export { sleep };

const ROOT = new URL('../../', import.meta.url);
const BINARY = process.env.TACHOGRAPH_BIN ?? fileURLToPath(new URL('target/release/tachograph', ROOT));
/** The client library; scripts/test-tools.sh installs it. */
export const WebSocket = createRequire(new URL('.tools/ws/', ROOT))('ws');

export const BYTES_PER_SECOND = 32_000;
export const FRAME_MS = 100;
export const FRAME_BYTES = (BYTES_PER_SECOND * FRAME_MS) / 1000;
export const QUEUE_BYTES = 64_000;
export const QUEUE_FRAMES = 500;

/** Seconds between two readings of `performance.now()`. */
export const secondsBetween = (earlier, later) => (later - earlier) / 1000;

/** What `promise` becomes, or an error about `what` after `ms`. */
export async function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${describe(what)}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const describe = (what) => (typeof what === 'function' ? what() : what);

/** Asks `probe` five times a second until what it gives is true, and gives that. */
export async function eventually(probe, what, ms = 5_000) {
  const deadline = performance.now() + ms;
  let found = await probe();
  while (!found && performance.now() < deadline) {
    await sleep(200);
    found = await probe();
  }
  assert.ok(found, `not within ${ms} ms: ${describe(what)}`);
  return found;
}

// ---- the server

/** A server on a free port of its own, gone when the test is over, however it ends. */
export async function startServer(t, ...flags) {
  const server = new Server(flags);
  t.after(() => server.kill());
  await server.ready();
  return server;
}

class Server {
  #child;
  #log = '';
  #said = '';
  #exited;

  constructor(flags) {
    this.#child = spawn(BINARY, ['serve', '--listen', '127.0.0.1:0', ...flags], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', (text) => (this.#said += text));
    this.#child.stderr.on('data', (text) => (this.#log = (this.#log + text).slice(-4_000)));
    this.#exited = once(this.#child, 'exit').then(([code, signal]) => ({ code, signal, at: performance.now() }));
    this.#exited.catch(() => {});
  }

  async ready() {
    await within(10_000, Promise.race([this.#listening(), this.#exited]), () => `"listening on"; ${this.#log}`);
    this.address = /listening on http:\/\/(\S+)/.exec(this.#said)?.[1];
    assert.ok(this.address, `the server went before it was ready: ${this.#log}`);
  }

  async #listening() {
    while (!/listening on \S+\n/.test(this.#said)) await once(this.#child.stdout, 'data');
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get log() {
    return this.#log;
  }

  /** Sends `signal`; gives the exit code and the seconds it took. */
  async end(signal, ms) {
    const asked = performance.now();
    this.#child.kill(signal);
    const { code, at } = await within(ms, this.#exited, () => `exit after ${signal}: ${this.#log}`);
    return { code, seconds: secondsBetween(asked, at) };
  }

  async kill() {
    if (this.isRunning) this.#child.kill('SIGKILL');
    await within(5_000, this.#exited, 'the exit of a killed server');
  }

  fetch(path, options) {
    return fetch(`http://${this.address}${path}`, { signal: AbortSignal.timeout(5_000), ...options });
  }

  async snapshot() {
    const response = await this.fetch('/api/v1/snapshot');
    assert.equal(response.status, 200);
    return new Snapshot(await response.json());
  }

  /** The first snapshot that `wanted` accepts. */
  snapshotWhere(wanted, what, ms) {
    let latest;
    const probe = async () => wanted((latest = await this.snapshot())) && latest;
    return eventually(probe, () => `${what}; the latest was ${JSON.stringify(latest)}`, ms);
  }

  /** Changes the simulated provider, for the chunks that begin from now on. */
  async simulate(change) {
    const options = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) };
    const response = await this.fetch('/api/v1/simulated', options);
    assert.ok(response.ok, `PUT /api/v1/simulated answered ${response.status}`);
  }
}

/** The environment without settings that would change a flag's default. */
function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TACHOGRAPH_')));
}

/** A registry and its sessions at one moment. */
class Snapshot {
  constructor(frame) {
    Object.assign(this, frame);
  }

  /** A counter's or gauge's figure, or a histogram's count; undefined for a series that is not there. */
  value(family, source) {
    const found = this.#series(family).find(({ labels }) => labels.source === source);
    return found?.counter ?? found?.gauge ?? found?.histogram?.buckets.reduce((sum, count) => sum + count, 0);
  }

  #series(family) {
    return this.registry.families.find(({ name }) => name === family)?.series ?? [];
  }

  /** Connections accepted and not ended. */
  get open() {
    return this.value('ws_connections_total') - this.value('ws_disconnects_total');
  }

  session(id) {
    return this.sessions.find(({ session_id }) => session_id === id);
  }

  /** Whether all that came has gone: no session, no connection, nothing in a queue. */
  get isQuiet() {
    const depths = this.#series('queue_depth').map(({ gauge }) => gauge);
    return [this.sessions.length, this.value('active_sessions'), this.open, ...depths].every((count) => count === 0);
  }
}

// ---- audio

/** A tone with some noise, as PCM16LE. */
export function pcm(ms = FRAME_MS) {
  const samples = Array.from({ length: ms * 16 }, (_, n) => 6_000 * Math.sin(n * 0.17) + 600 * (Math.random() - 0.5));
  return Buffer.from(Int16Array.from(samples).buffer);
}

export const audioMessage = (source, audio) => ({ type: 'audio', source, data: audio.toString('base64') });

const SOURCE_BYTES = { system: 0, mic: 1 };

export const audioFrame = (source, audio) =>
  Buffer.concat([Buffer.from('EP'), Buffer.of(1, SOURCE_BYTES[source]), audio]);

// ---- a client

/** For a server that is to read as fast as a client of `deafen` sends. */
export const UNPACED = ['--messages-per-second', '100000', '--bytes-per-second', '1000000000'];

/**
 * Stops reading from a WebSocket and fills it: a ping is answered by as much as it brings, and what is
 * not read stays in buffers. That is 8 MB: more than the system holds, and less than the server bears before it ends
 * the connection. From then on the server cannot write to it.
 */
export async function deafen(socket) {
  socket.pause();
  for (let burst = 0; burst < 16; burst += 1) {
    for (let n = 0; n < 4_000; n += 1) socket.ping(Buffer.alloc(125));
    await sleep(20);
  }
}

let sessions = 0;

/** A connection to the live-listener endpoint. */
export class Session {
  /** Everything the server said, oldest first, each with `at`, when it came. */
  messages = [];
  /** Bytes, and frames as a queue splits them, sent by source. */
  sent = {};
  closed = null;
  #socket;
  #news = new EventEmitter();
  #feeds = [];

  /** Connects, and closes what is left of the connection when the test is over. */
  static async connect(t, server) {
    const session = new Session(`ws://${server.address}/ws/live-listener`);
    t.after(() => session.terminate());
    await session.until(() => session.messages.length > 0, 'a first message');
    return session;
  }

  /** Connects and starts a session. */
  static async start(t, server, fields) {
    const session = await Session.connect(t, server);
    await session.start(fields);
    return session;
  }

  constructor(url) {
    this.#news.setMaxListeners(0);
    this.#socket = new WebSocket(url, { handshakeTimeout: 5_000, maxPayload: 1 << 24 });
    this.#socket.on('message', (data, isBinary) => this.#take(data, isBinary));
    this.#socket.on('error', (error) => (this.failure = error));
    this.#socket.on('close', (code, reason) => this.#end({ code, reason: String(reason), at: performance.now() }));
  }

  #take(data, isBinary) {
    assert.equal(isBinary, false, 'a structured message is text');
    this.messages.push({ ...JSON.parse(data), at: performance.now() });
    this.#news.emit('news');
  }

  #end(closed) {
    this.closed = closed;
    this.#news.emit('news');
  }

  // ---- what it says

  /** Sends start and waits for its answer. */
  async start(fields = {}) {
    this.sendStart(fields);
    this.started = await this.until(() => this.statuses().find(({ state }) => state === 'streaming'), 'streaming');
    return this.started;
  }

  sendStart(fields = {}) {
    this.id = fields.session_id ?? `session-${process.pid}-${++sessions}`;
    this.send({ type: 'start', session_id: this.id, sample_rate: 16_000, format: 'pcm_s16le', channels: 1, ...fields });
  }

  /** Sends a message: text as it is, a buffer as a binary frame, anything else as JSON. */
  send(message) {
    const isPlain = typeof message === 'string' || Buffer.isBuffer(message);
    this.#socket.send(isPlain ? message : JSON.stringify(message));
  }

  /** Sends these bytes as a text frame, whatever they are. */
  sendAsText(bytes) {
    this.#socket.send(bytes, { binary: false });
  }

  /** Sends a text message in frames of so many characters. */
  sendFragments(text, length) {
    for (let at = 0; at < text.length; at += length) {
      this.#socket.send(text.slice(at, at + length), { fin: at + length >= text.length });
    }
  }

  /** Sends audio as JSON and counts it. */
  sendJson(source, audio = pcm()) {
    this.send(audioMessage(source, audio));
    this.#count(source, audio);
  }

  /** Sends audio as a binary frame with header and counts it. */
  sendBinary(source, audio = pcm()) {
    this.send(audioFrame(source, audio));
    this.#count(source, audio);
  }

  #count(source, audio) {
    const tally = (this.sent[source] ??= { bytes: 0, frames: 0 });
    tally.bytes += audio.length;
    tally.frames += Math.ceil(audio.length / FRAME_BYTES);
  }

  /** Sends a source's audio in real time until it is stopped, at most for `seconds`. */
  feed(source, { seconds = 300, everyMs = FRAME_MS, send = (frame) => this.sendJson(source, frame) } = {}) {
    const feed = { stopped: false };
    feed.ended = this.#pace(feed, (seconds * 1000) / everyMs, everyMs, send);
    feed.stop = () => ((feed.stopped = true), feed.ended);
    this.#feeds.push(feed);
    return feed;
  }

  /** Frame n leaves n times `everyMs` after the first, however late the ones before it were. */
  async #pace(feed, frames, everyMs, send) {
    const first = performance.now();
    for (let n = 0; n < frames && !feed.stopped && !this.closed; n += 1) {
      send(pcm());
      await sleep(Math.max(0, first + (n + 1) * everyMs - performance.now()));
    }
  }

  /** Ends all feeds and sends stop; gives the final summary once the connection is closed. */
  async stop(ms = 12_000) {
    await this.stopFeeds();
    this.stopSent = performance.now();
    this.send({ type: 'stop', session_id: this.id });
    const summary = await this.until(() => this.ofType('final_summary')[0], 'final_summary', ms);
    await this.close();
    return summary;
  }

  async stopFeeds() {
    await Promise.all(this.#feeds.map((feed) => feed.stop()));
  }

  /** Takes nothing more from the socket, and has the server fill what the system holds for it. */
  deafen() {
    return deafen(this.#socket);
  }

  /** Reads again. */
  resume() {
    this.#socket.resume();
  }

  /** Begins the closing handshake. */
  hangUp(code) {
    this.#socket.close(code);
  }

  /** Goes without a word. */
  terminate() {
    this.#feeds.forEach((feed) => feed.stop());
    this.#socket.terminate();
  }

  // ---- what it was told

  ofType(type) {
    return this.messages.filter((message) => message.type === type);
  }

  metrics(source) {
    return this.ofType('metrics').filter((message) => source === undefined || message.source === source);
  }

  statuses(source) {
    return this.ofType('status').filter((message) => source === undefined || message.source === source);
  }

  /** Statuses that tell a change of the degrade level. */
  steps(source) {
    return this.statuses(source).filter(({ degrade_level }) => degrade_level !== undefined);
  }

  errors(code) {
    return this.ofType('error').filter((message) => code === undefined || message.code === code);
  }

  /** Waits until `find` gives something true, and gives that. */
  async until(find, what, ms = 5_000) {
    return within(ms, this.#until(find, what), () => `${describe(what)}; ${this.#latest()}`);
  }

  async #until(find, what) {
    let found = find();
    while (!found) {
      assert.equal(this.closed, null, `the connection ended before ${describe(what)}; ${this.#latest()}`);
      await once(this.#news, 'news');
      found = find();
    }
    return found;
  }

  #latest() {
    return `the latest messages were ${JSON.stringify(this.messages.slice(-3))} ${this.failure ?? ''}`;
  }

  /** The first metrics of `source` from now on that `wanted` accepts. */
  metricsWhere(source, wanted, what, ms = 5_000) {
    const from = this.messages.length;
    const isWanted = (message) => message.type === 'metrics' && message.source === source && wanted(message);
    return this.until(() => this.messages.slice(from).find(isWanted), what, ms);
  }

  /** The first metrics of `source` from now on. */
  nextMetrics(source) {
    return this.metricsWhere(source, () => true, `metrics of ${source}`, 3_000);
  }

  /** How the connection ended. */
  async close(ms = 5_000) {
    return within(ms, this.#closed(), () => `a close; ${this.#latest()}`);
  }

  async #closed() {
    while (!this.closed) await once(this.#news, 'news');
    return this.closed;
  }
}
