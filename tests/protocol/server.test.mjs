// What the server says to those that are no sessions: pages, probes and whoever drives the simulated provider.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';

import { Session, WebSocket, secondsBetween, sleep, startServer, within } from './harness.mjs';

describe('server', { concurrency: true, timeout: 60_000 }, () => {
  test('is healthy and ready', async (t) => {
    const server = await startServer(t);
    for (const path of ['/healthz', '/readyz']) assert.equal((await server.fetch(path)).status, 200);
  });

  test('gives snapshots at most a second old', async (t) => {
    const server = await startServer(t);
    for (let n = 0; n < 5; n += 1) {
      const { timestamp } = await server.snapshot();
      const age = Date.now() / 1000 - timestamp;
      assert.ok(age > -0.1 && age < 1.2, `${age} s old`);
      await sleep(430);
    }
  });

  test('gives a page the latest state at once, then one frame each second', async (t) => {
    const server = await startServer(t);
    const viewer = new WebSocket(`ws://${server.address}/ws/stream?window=0`);
    t.after(() => viewer.terminate());
    const records = [];
    viewer.on('message', (data, isBinary) => {
      assert.ok(isBinary, 'a message of the stream is text');
      recordsOf(data).forEach((record) => records.push({ ...record, at: performance.now() }));
    });
    await within(5_000, once(viewer, 'open'), 'an open viewer socket');
    const opened = performance.now();
    await sleep(5_500);

    const [hello] = records;
    assert.equal(hello.kind, HELLO);
    assert.deepEqual([...hello.payload.subarray(0, 5)], [...Buffer.from('TACH'), 1]);
    const state = records.find(({ kind }) => kind === KEYFRAME);
    assert.ok(secondsBetween(opened, state.at) < 0.5, 'the latest state is late');
    const live = records.filter(({ kind, at }) => kind === DELTA && secondsBetween(opened, at) > 0.5);
    assert.ok(live.length >= 4 && live.length <= 6, `${live.length} frames in 5 s`);
  });

  test('gives scripts the same as lines, from the past on', async (t) => {
    const server = await startServer(t);
    const session = await Session.start(t, server);
    session.feed('system');
    await session.nextMetrics('system');
    await sleep(2_000);
    const frames = await lines(t, server, '/api/v1/stream?window=10s', 6);
    frames.forEach(({ seq, epoch, registry }, n) => {
      if (n > 0) assert.equal(seq, frames[n - 1].seq + 1);
      assert.equal(epoch, frames[0].epoch);
      assert.ok(registry.families.length > 0);
    });
    const last = frames.slice(-2);
    last.forEach(({ sessions }) => assert.deepEqual(sessions.map(({ session_id }) => session_id), [session.id]));
    const [before, now] = last.map(({ sessions }) => sessions[0].sources[0].bytes_received);
    assert.ok(now > before, 'the figures do not move');
    const events = frames.flatMap(({ events }) => events);
    const { id } = last[0].sessions[0];
    assert.deepEqual(events.map(({ event, session: whose }) => [event, whose]), [['session_started', id]]);
    await session.stop();
  });

  test('changes the simulated provider only where it is in use, and to what can be', async (t) => {
    const other = await startServer(t, '--provider', 'vad');
    assert.equal((await put(other, '{"rtf": 0.5}')).status, 404);
    const server = await startServer(t, '--provider', 'simulated');
    for (const body of ['{"rtf": -1}', '{"rtf": "fast"}', '{"fault": "dance"}', '{', '[]']) {
      const { status } = await put(server, body);
      assert.ok(status >= 400 && status < 500, `${body} is answered by ${status}`);
    }
    assert.ok((await put(server, '{"rtf": 0.5, "fault": "none"}')).ok);
  });
});

function put(server, body) {
  return server.fetch('/api/v1/simulated', { method: 'PUT', headers: { 'content-type': 'application/json' }, body });
}

const [HELLO, KEYFRAME, DELTA] = [1, 3, 4];

/** The records of a message, each behind its kind and its length as LEB128. */
function recordsOf(bytes) {
  const records = [];
  let at = 0;
  while (at < bytes.length) {
    const kind = bytes[at];
    let [length, shift] = [0, 0];
    do {
      at += 1;
      length |= (bytes[at] & 0x7f) << shift;
      shift += 7;
    } while (bytes[at] & 0x80);
    records.push({ kind, payload: bytes.subarray(at + 1, at + 1 + length) });
    at += 1 + length;
  }
  return records;
}

/** The first lines of an answer that never ends, as JSON. */
async function lines(t, server, path, count) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const { body } = await server.fetch(path, { signal: stop.signal });
  let text = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.split('\n').length > count) break;
  }
  return text.split('\n').slice(0, count).map((line) => JSON.parse(line));
}
