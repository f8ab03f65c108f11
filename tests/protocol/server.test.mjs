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

  test('gives a page the latest state at once, then one each second', async (t) => {
    const server = await startServer(t);
    const session = await Session.start(t, server);
    session.feed('system');
    await session.nextMetrics('system');
    const viewer = new WebSocket(`ws://${server.address}/ws/stream`);
    t.after(() => viewer.terminate());
    const frames = [];
    viewer.on('message', (data, isBinary) => frames.push({ ...JSON.parse(data), isBinary, at: performance.now() }));
    await within(5_000, once(viewer, 'open'), 'an open viewer socket');
    const opened = performance.now();
    await sleep(5_500);

    assert.ok(secondsBetween(opened, frames[0].at) < 0.5, 'the latest state is late');
    assert.ok(frames.length >= 5 && frames.length <= 7, `${frames.length} frames in 5.5 s`);
    frames.forEach(({ seq, epoch, isBinary, registry, sessions }, n) => {
      if (n > 0) assert.ok(seq > frames[n - 1].seq);
      assert.equal(epoch, frames[0].epoch);
      assert.equal(isBinary, false);
      assert.ok(registry.families.length > 0);
      assert.deepEqual(sessions.map(({ session_id }) => session_id), [session.id]);
    });
    const tick = ({ sessions }) => sessions[0].sources[0].tick;
    assert.ok(tick(frames.at(-1)) >= tick(frames[1]) + 2, 'the figures do not move');
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
