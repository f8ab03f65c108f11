// What a client may get wrong. Everything that is not fatal must leave the session as it was.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CLOSE_CODES, MARKER, checkMessages, checkReceipt, receiptOf } from './checks.mjs';
import { QUEUE_BYTES, Session, audioFrame, audioMessage, pcm, sleep, startServer } from './harness.mjs';

const TIMEOUT = { timeout: 60_000 };
const long = (length) => MARKER.padEnd(length, 'x');
const audio = (source, data = pcm().toString('base64')) => ({ type: 'audio', source, data });
const header = (version, source, body = pcm()) => Buffer.concat([Buffer.from('EP'), Buffer.of(version, source), body]);
const start = (fields) => ({
  type: 'start', session_id: 'never', sample_rate: 16_000, format: 'pcm_s16le', channels: 1, ...fields,
});

/** Whenever they come: what is sent, and the code that answers. */
const ANY_TIME = {
  'text that is not JSON': [`${MARKER} {`, 'invalid_json'],
  'JSON cut off': [`{"type": "audio", "source": "${MARKER}`, 'invalid_json'],
  'an empty text': ['', 'invalid_json'],
  'an array': [`["${MARKER}"]`, 'invalid_message'],
  'an array that reads like a message': ['["audio", "AAAA"]', 'invalid_message'],
  'a number': ['5', 'invalid_message'],
  'null': ['null', 'invalid_message'],
  'an object without a type': [{ kind: MARKER }, 'invalid_message'],
  'a type that is no string': [{ type: 5 }, 'invalid_message'],
  'an unknown type': [{ type: MARKER }, 'unknown_type'],
  'an unknown type, nearly right': [{ type: 'Start' }, 'unknown_type'],
  'deep nesting': ['['.repeat(10_000), ['invalid_json', 'invalid_message']],
};

/** Before a start. */
const BEFORE_START = {
  'audio before start': [audio('system'), 'not_started'],
  'binary audio before start': [audioFrame('mic', pcm()), 'not_started'],
  'stop before start': [{ type: 'stop', session_id: MARKER }, 'not_started'],
  'a start without session_id': [start({ session_id: undefined }), 'invalid_message'],
  'a session_id of null': [start({ session_id: null }), 'invalid_message'],
  'an empty session_id': [start({ session_id: '' }), 'invalid_message'],
  'a session_id of 257 characters': [start({ session_id: long(257) }), 'invalid_message'],
  'a session_id that is a number': [start({ session_id: 7 }), 'invalid_message'],
  'a session_id that is an object': [start({ session_id: { [MARKER]: 1 } }), 'invalid_message'],
  'an attempt_id of 257 characters': [start({ attempt_id: long(257) }), 'invalid_message'],
  'an attempt_id that is a number': [start({ attempt_id: 3 }), 'invalid_message'],
  'a connection_id of 257 characters': [start({ connection_id: long(257) }), 'invalid_message'],
  'a connection_id that is a list': [start({ connection_id: [MARKER] }), 'invalid_message'],
  'client features that are text': [start({ client_features: MARKER }), 'invalid_message'],
  'a client feature that is text': [start({ client_features: { client_vad_enabled: MARKER } }), 'invalid_message'],
};

/** In a session whose source system has sent audio. */
const IN_SESSION = {
  'a second start': [start({ session_id: MARKER }), 'already_started'],
  'base64 that is none': [audio('system', `!${MARKER}!`), 'invalid_audio'],
  'audio of an odd length': [audio('system', Buffer.alloc(31).toString('base64')), 'invalid_audio'],
  'empty audio': [audio('system', ''), 'invalid_audio'],
  'audio without data': [{ type: 'audio', source: 'system' }, ['invalid_audio', 'invalid_message']],
  'audio whose data is a number': [audio('system', 5), ['invalid_audio', 'invalid_message']],
  'an empty binary frame': [Buffer.alloc(0), 'invalid_audio'],
  'a binary frame of an odd length': [Buffer.alloc(31), 'invalid_audio'],
  'a header and an odd length': [header(1, 0, Buffer.alloc(31)), 'invalid_audio'],
  'a header of version 0': [header(0, 0), 'invalid_audio'],
  'a header of version 2': [header(2, 0), 'invalid_audio'],
  'a header with source byte 2': [header(1, 2), 'invalid_audio'],
  'a header with source byte 255': [header(1, 255), 'invalid_audio'],
  'a header without audio': [header(1, 0, Buffer.alloc(0)), 'invalid_audio'],
  'a binary frame longer than the queue': [Buffer.alloc(QUEUE_BYTES + 2), 'too_large'],
  'a frame with header longer than the queue': [header(1, 1, Buffer.alloc(QUEUE_BYTES + 2)), 'too_large'],
  'JSON audio longer than the queue': [audioMessage('system', Buffer.alloc(QUEUE_BYTES + 2)), 'too_large'],
  'a source without a name': [audio(''), 'invalid_message'],
  'a source of blanks': [audio('  '), 'invalid_message'],
  'a source of two words': [audio(`my ${MARKER}`), 'invalid_message'],
  'a source beyond ASCII': [audio('mïc'), 'invalid_message'],
  'a source that is a path': [audio(`../${MARKER}`), 'invalid_message'],
  'a source of 33 characters': [audio(long(33)), 'invalid_message'],
  'a source that is a number': [audio(5), 'invalid_message'],
  'a stop for another session': [{ type: 'stop', session_id: MARKER }, 'session_mismatch'],
  'a stop without session_id': [{ type: 'stop' }, 'invalid_message'],
  'a stop whose session_id is a number': [{ type: 'stop', session_id: 5 }, 'invalid_message'],
};

const UNSUPPORTED = {
  'a sample rate of 44100': { sample_rate: 44_100 },
  'a sample rate of 16000.5': { sample_rate: 16_000.5 },
  'a format of floats': { format: 'pcm_f32le' },
  'a format nobody knows': { format: MARKER },
  'two channels': { channels: 2 },
  'no channels': { channels: 0 },
};

test('bad input', { concurrency: true, timeout: 120_000 }, async (t) => {
  const server = await startServer(t, '--provider', 'vad', '--max-sessions', '200');

  await Promise.all([
    ...cases(BEFORE_START, ANY_TIME).map(([name, bad]) => t.test(name, TIMEOUT, (t) => beforeStart(t, server, bad))),
    ...cases(IN_SESSION, ANY_TIME).map(([name, bad]) =>
      t.test(`${name}, in a session`, TIMEOUT, (t) => inSession(t, server, bad)),
    ),
  ]);

  await t.test('leaves nothing behind', () => server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server'));
});

const cases = (...tables) => tables.flatMap((table) => Object.entries(table));

/** The connection is refused nothing afterwards. */
async function beforeStart(t, server, [bad, code]) {
  const session = await Session.connect(t, server);
  await refuses(session, bad, code);
  await session.start();
  session.sendJson('system');
  await session.metricsWhere('system', ({ bytes_received }) => bytes_received > 0, 'the audio in the metrics');
  await endsWell(session);
}

/** The session goes on, with the same counts. */
async function inSession(t, server, [bad, code]) {
  const session = await Session.start(t, server);
  session.sendJson('system');
  const before = await session.nextMetrics('system');
  await refuses(session, bad, code);
  const after = await session.nextMetrics('system');
  for (const same of ['bytes_received', 'dropped_total', 'sources_active']) assert.deepEqual(after[same], before[same]);
  assert.ok(after.tick > before.tick);
  session.sendBinary('mic');
  await session.metricsWhere('mic', ({ sources_active }) => sources_active.length === 2, 'another source');
  await endsWell(session);
}

/** One error, not fatal, of this code. */
async function refuses(session, bad, code) {
  const had = session.errors().length;
  session.send(bad);
  const error = await session.until(() => session.errors()[had], `the error ${code}`);
  assert.ok([code].flat().includes(error.code), `${error.code}: ${error.message}`);
  assert.equal(error.fatal, false);
}

async function endsWell(session) {
  const summary = await session.stop();
  assert.equal(session.errors().length, 1);
  assert.equal(session.closed.code, 1000);
  checkMessages(session);
  checkReceipt(summary);
  const received = summary.json.sources.map(({ source, bytes }) => [source, bytes.received]);
  const sent = Object.entries(session.sent).map(([source, { bytes }]) => [source, bytes]);
  assert.deepEqual(received, sent.sort());
}

/** The error that ends the connection, and the code that it ends with. */
async function fatalError(session, code) {
  const error = await session.until(() => session.errors().find(({ fatal }) => fatal), `a fatal ${code}`);
  const closed = await session.close();
  assert.equal(error.code, code);
  assert.equal(session.messages.at(-1), error, 'something was said after a fatal error');
  checkMessages(session);
  return closed.code;
}

describe('bad input that ends the connection', { concurrency: true, timeout: 120_000 }, () => {
  for (const [name, fields] of Object.entries(UNSUPPORTED)) {
    test(`${name} is unsupported`, TIMEOUT, async (t) => {
      const session = await Session.connect(t, await startServer(t));
      session.sendStart(fields);
      assert.equal(await fatalError(session, 'unsupported_format'), 1003);
    });
  }

  const TENTH = {
    invalid_json: [MARKER, [1007]],
    unknown_type: [{ type: MARKER }, CLOSE_CODES],
    invalid_audio: [Buffer.alloc(1), CLOSE_CODES],
    too_large: [Buffer.alloc(QUEUE_BYTES + 2), [1009]],
    session_mismatch: [{ type: 'stop', session_id: MARKER }, CLOSE_CODES],
  };
  for (const [code, [bad, closeCodes]] of Object.entries(TENTH)) {
    test(`the tenth ${code} within 10 s is fatal`, TIMEOUT, async (t) => {
      const session = await Session.start(t, await startServer(t));
      repeat(9, () => session.send(bad));
      await session.until(() => session.errors(code).length === 9, 'nine errors');
      assert.ok(session.errors().every(({ fatal }) => !fatal));
      session.send(bad);
      const closeCode = await fatalError(session, code);
      assert.ok(closeCodes.includes(closeCode), `closed with ${closeCode}`);
    });
  }

  test('errors of several kinds count together', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    repeat(3, () => [MARKER, { type: MARKER }, Buffer.alloc(1)].forEach((bad) => session.send(bad)));
    session.send(Buffer.alloc(1));
    await fatalError(session, 'invalid_audio');
    assert.equal(session.errors().length, 10);
  });

  test('nine errors, and nine more 10 s later, are not fatal', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.feed('system');
    repeat(9, () => session.send(MARKER));
    await sleep(10_500);
    repeat(9, () => session.send(MARKER));
    await session.until(() => session.errors().length === 18, 'eighteen errors');
    await session.nextMetrics('system');
    assert.ok(session.errors().every(({ fatal }) => !fatal));
    const summary = await session.stop();
    assert.equal(receiptOf(summary, 'system').bytes.received, session.sent.system.bytes);
    checkMessages(session);
  });

  test('the 10 s in which errors count slide', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    repeat(5, () => session.send(MARKER));
    await sleep(8_000);
    repeat(4, () => session.send(MARKER));
    await sleep(2_500);
    // The first five are forgotten by now, the four are not.
    repeat(5, () => session.send(MARKER));
    await session.until(() => session.errors().length === 14, 'fourteen errors');
    assert.ok(session.errors().every(({ fatal }) => !fatal));
    session.send(MARKER);
    assert.equal(await fatalError(session, 'invalid_json'), 1007);
  });

  test('a text that is not UTF-8', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.sendAsText(Buffer.from([0x22, 0xc3, 0x28, 0x22]));
    assert.equal((await session.close()).code, 1007);
    checkMessages(session);
  });

  for (const [kind, send] of [
    ['text', (session, size) => session.send(' '.repeat(size))],
    ['binary', (session, size) => session.send(Buffer.alloc(size))],
  ]) {
    test(`a ${kind} message of 8 MB`, TIMEOUT, async (t) => {
      const session = await Session.start(t, await startServer(t));
      send(session, 8_000_000);
      assert.equal((await session.close()).code, 1009);
      checkMessages(session);
    });
  }

  test('a session more than the server takes', TIMEOUT, async (t) => {
    const server = await startServer(t, '--max-sessions', '1');
    const held = await Session.start(t, server);
    held.feed('system');
    const refused = await Session.connect(t, server);
    if (refused.errors().length === 0) refused.sendStart();
    assert.equal(await fatalError(refused, 'at_capacity'), 1013);
    await held.nextMetrics('system');
    await held.stop();
    checkMessages(held);
    await server.snapshotWhere((snapshot) => snapshot.isQuiet, 'a quiet server');
    const next = await Session.start(t, server);
    await next.stop();
  });
});

describe('input at the bounds', { concurrency: true, timeout: 60_000 }, () => {
  test('a third source is refused', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.sendJson('system');
    session.sendBinary('mic');
    await session.nextMetrics('mic');
    await refuses(session, audio('third'), 'too_many_sources');
    const { sources_active } = await session.nextMetrics('system');
    assert.deepEqual(sources_active, ['mic', 'system']);
    await endsWell(session);
  });

  test('a frame as long as the queue is taken', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.sendBinary('mic', Buffer.alloc(QUEUE_BYTES));
    session.sendJson('system', Buffer.alloc(QUEUE_BYTES));
    const summary = await session.stop();
    assert.deepEqual(session.errors(), []);
    for (const source of ['mic', 'system']) {
      assert.deepEqual(receiptOf(summary, source).frames, { received: 20, processed: 20, dropped: 0, queued: 0 });
    }
  });

  test('a message in fragments is one message', TIMEOUT, async (t) => {
    const session = await Session.start(t, await startServer(t));
    session.sendFragments(JSON.stringify(audioMessage('mic', pcm())), 500);
    session.sendJson('mic');
    const { bytes_received } = await session.nextMetrics('mic');
    assert.equal(bytes_received, 2 * session.sent.mic.bytes);
    await session.stop();
    assert.deepEqual(session.errors(), []);
  });

  test('identifiers of 256 characters are taken, whatever they take in bytes', TIMEOUT, async (t) => {
    const identifier = '\u{1F3A4}'.repeat(256);
    const identity = { session_id: identifier, attempt_id: identifier, connection_id: identifier };
    const session = await Session.start(t, await startServer(t), identity);
    session.sendJson('system');
    await session.nextMetrics('system');
    await session.stop();
    assert.equal(session.started.session_id, identifier);
    checkMessages(session);
  });
});

/** Calls `act` so often, with time for nothing between. */
const repeat = (times, act) => Array.from({ length: times }).forEach(() => act());
