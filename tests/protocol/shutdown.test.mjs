// A signal ends the server within 10 s, whatever a provider or a client does.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';

import { checkMessages } from './checks.mjs';
import { Session, UNPACED, WebSocket, deafen, pcm, sleep, startServer } from './harness.mjs';

const LIMIT_SECONDS = 10;

describe('shutdown', { concurrency: true, timeout: 60_000 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} with nothing to do is quick`, async (t) => {
      const server = await startServer(t);
      const { code, seconds } = await server.end(signal, 12_000);
      assert.equal(code, 0, server.log);
      assert.ok(seconds < 2, `${seconds} s`);
    });

    test(`${signal} with live sessions, a hung provider and clients that do not read`, async (t) => {
      const server = await startServer(t, '--provider', 'simulated', '--simulated-rtf', '0.05', ...UNPACED);
      const hung = await hungSession(t, server);
      const healthy = await Session.start(t, server);
      healthy.feed('system');
      const deaf = await Session.start(t, server);
      deaf.feed('system');
      await deaf.deafen();
      await idleConnections(t, server);
      await sleep(3_000);
      assert.equal((await hung.nextMetrics('system')).total_chunks_processed, 0, 'the provider does not hang');

      const { code, seconds } = await server.end(signal, 15_000);
      t.diagnostic(`ended within ${seconds.toFixed(1)} s`);
      assert.equal(code, 0, server.log);
      assert.ok(seconds <= LIMIT_SECONDS, `${seconds} s`);
      await healthy.close();
      await hung.close();
      checkMessages(healthy);
      checkMessages(hung);
    });
  }
});

/** A session whose provider never ends its first chunk. Later chunks of other sessions are well. */
async function hungSession(t, server) {
  await server.simulate({ fault: 'hang' });
  const session = await Session.start(t, server);
  session.sendJson('system', pcm(2_000));
  await session.metricsWhere('system', ({ provider_state }) => provider_state === 'running', 'a running chunk');
  await server.simulate({ fault: 'none' });
  session.feed('system');
  return session;
}

/** What else may hold a server: half a request, a connection without one, a page that does not read. */
async function idleConnections(t, server) {
  const [host, port] = server.address.split(':');
  const half = connect(Number(port), host, () => half.write('GET /api/v1/snapshot HTTP/1.1\r\nHost: a'));
  const silent = connect(Number(port), host);
  const viewer = new WebSocket(`ws://${server.address}/ws/stream`);
  for (const socket of [half, silent, viewer]) socket.on('error', () => {});
  t.after(() => [half, silent].forEach((socket) => socket.destroy()));
  t.after(() => viewer.terminate());
  await once(viewer, 'open');
  await deafen(viewer);
}
