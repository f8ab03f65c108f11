// What holds for every message of the server, whatever the test.

import assert from 'node:assert/strict';

import { BYTES_PER_SECOND, QUEUE_BYTES, QUEUE_FRAMES } from './harness.mjs';

const LEVELS = ['NORMAL', 'WARNING', 'DEGRADE', 'EMERGENCY', 'FAILOVER'];
export const CLOSE_CODES = [1000, 1003, 1007, 1008, 1009, 1011, 1013];

const PROVIDER_STATES = ['idle', 'running', 'stalled', 'restarting', 'failed'];
const INTERNAL_TEXT = /serde|line \d+|column \d+|\.rs\b|::|src\/|panick|tungstenite|axum|tokio|unwrap|Err\(|Some\(/i;

const isText = (value) => typeof value === 'string' && value !== '';
const isBoolean = (value) => typeof value === 'boolean';
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isObjectOrNull = (value) => typeof value === 'object' && !Array.isArray(value);
const isOneOf = (values) => (value) => values.includes(value);
const isSorted = (value) => Array.isArray(value) && value.every(isText) && String(value) === String([...value].sort());
const hasDecimals = (decimals) => (value) => Number.isFinite(value) && Number(value.toFixed(decimals)) === value;

/** The document's table: what each field of `metrics` is. */
const METRICS_FIELDS = {
  source: (value) => /^[a-z0-9_-]{1,32}$/.test(value),
  tick: isCount,
  queue_bytes: isCount,
  queue_bytes_max: isOneOf([QUEUE_BYTES]),
  queue_depth: isCount,
  queue_max_frames: isOneOf([QUEUE_FRAMES]),
  queue_max: isOneOf([QUEUE_FRAMES]),
  queue_fill_ratio: hasDecimals(2),
  backlog_seconds: hasDecimals(2),
  max_backlog_seconds: isOneOf([QUEUE_BYTES / BYTES_PER_SECOND]),
  dropped_total: isCount,
  dropped_recent: isCount,
  dropped_chunks_last_10s: isCount,
  avg_infer_ms: hasDecimals(1),
  avg_processing_ms: hasDecimals(1),
  infer_p50_ms: hasDecimals(1),
  infer_p99_ms: hasDecimals(1),
  realtime_factor: hasDecimals(2),
  provider: isText,
  model_id: isText,
  vad_enabled: isBoolean,
  provider_state: isOneOf(PROVIDER_STATES),
  provider_health: isObjectOrNull,
  speech_ratio: (value) => Number.isFinite(value) && value >= 0 && value <= 1,
  speech_chunks_emitted: isCount,
  total_chunks_processed: isCount,
  client_clock_drift_compensation_enabled: isBoolean,
  client_vad_enabled: isBoolean,
  client_clock_drift_telemetry_enabled: isBoolean,
  client_vad_telemetry_enabled: isBoolean,
  source_clock_spread_ms: hasDecimals(1),
  max_source_clock_spread_ms: hasDecimals(1),
  sources_active: isSorted,
  degrade_level: isOneOf(LEVELS),
  degrade_level_num: isOneOf([0, 1, 2, 3, 4]),
  rtf_avg_10s: hasDecimals(2),
  timestamp: (value) => Math.abs(value - Date.now() / 1000) < 600,
};

const differsBy = (a, b) => Math.abs(a - b);

/** Every field of the table is there and as it says, and those that repeat each other agree. */
export function checkMetrics(metrics) {
  for (const [field, isRight] of Object.entries(METRICS_FIELDS)) {
    assert.ok(field in metrics, `${field} is missing`);
    assert.ok(isRight(metrics[field]), `${field} is ${JSON.stringify(metrics[field])}`);
  }
  const { queue_bytes, queue_depth, queue_fill_ratio, backlog_seconds } = metrics;
  const fill = Math.max(queue_bytes / QUEUE_BYTES, queue_depth / QUEUE_FRAMES);
  assert.ok(fill <= 1, `${queue_bytes} bytes in ${queue_depth} frames are more than the bound`);
  assert.ok(differsBy(queue_fill_ratio, fill) < 0.0051, `fill ${queue_fill_ratio}, but ${fill}`);
  assert.ok(differsBy(backlog_seconds, queue_bytes / BYTES_PER_SECOND) < 0.0051, `backlog ${backlog_seconds}`);
  assert.equal(metrics.degrade_level_num, LEVELS.indexOf(metrics.degrade_level));
  assert.ok(metrics.max_source_clock_spread_ms >= metrics.source_clock_spread_ms);
  assert.ok(metrics.sources_active.includes(metrics.source));
  checkAccounting(metrics);
}

/** received = processed + dropped + waiting + in the provider's hands. */
function checkAccounting({ source, tick, bytes_received, ...metrics }) {
  const parts = [metrics.bytes_processed, metrics.bytes_dropped, metrics.queue_bytes, metrics.bytes_in_provider];
  assert.ok([bytes_received, ...parts].every(isCount), String(parts));
  assert.equal(bytes_received, parts.reduce((sum, part) => sum + part), `${source} at tick ${tick}`);
}

/** Every message carries whose it is, once that is known, and a count; none carries internal text. */
export function checkMessages(session, { conflated = false } = {}) {
  session.messages.forEach(({ seq }, index, { [index - 1]: before }) => {
    assert.ok(isCount(seq), `seq is ${seq}`);
    if (before) assert.ok(conflated ? seq > before.seq : seq === before.seq + 1, `seq ${seq} after ${before.seq}`);
  });
  checkIdentity(session);
  session.metrics().forEach(checkMetrics);
  [...session.statuses(), ...session.errors()].forEach(checkWords);
}

function checkIdentity({ messages, started }) {
  const known = started ? messages.slice(messages.indexOf(started)) : [];
  for (const message of known) {
    for (const field of ['session_id', 'attempt_id', 'connection_id']) {
      assert.ok(field in message, `${message.type} lacks ${field}`);
      assert.equal(message[field], started[field], `${field} of a ${message.type}`);
    }
  }
}

/** What the tests send where a server might repeat it. */
export const MARKER = 'zq7marker';

function checkWords({ type, state, code, fatal, message }) {
  assert.ok(isText(message), `a ${type} says nothing`);
  assert.doesNotMatch(message, INTERNAL_TEXT);
  assert.ok(!message.includes(MARKER), `what was sent is repeated: ${message}`);
  if (type === 'error') assert.ok(isText(code) && isBoolean(fatal));
  if (type === 'status') assert.ok(isText(state));
}

/** By how much the schedule of a session's ticks may shift between the two halves of a test. */
const SHIFT_SECONDS_MAX = 0.03;

/**
 * The ticks of a source follow each other, without more gaps than the session counted, on a schedule
 * that never shifts, however late single ticks are on a machine that runs all these tests at once.
 */
export function checkTicks(session, source, { missed = 0 } = {}) {
  const metrics = session.metrics(source);
  assert.ok(metrics.length > 0, `no metrics of ${source}`);
  const steps = metrics.slice(1).map(({ tick }, n) => tick - metrics[n].tick);
  assert.ok(steps.every((step) => step >= 1), `ticks of ${source} go back`);
  const skipped = steps.reduce((sum, step) => sum + step - 1, 0);
  assert.ok(skipped <= missed, `${skipped} ticks of ${source} skipped, ${missed} counted as missed`);

  const origins = metrics.map(({ tick, timestamp }) => timestamp - tick);
  const latest = Math.max(...origins) - Math.min(...origins);
  assert.ok(latest < 1, `a tick of ${source} is ${latest} s late, and was not skipped`);
  const half = Math.ceil(origins.length / 2);
  const shift = Math.min(...origins.slice(-half)) - Math.min(...origins.slice(0, half));
  assert.ok(shift < SHIFT_SECONDS_MAX, `the ticks of ${source} shifted by ${shift} s`);
}

/** The receipt's totals are whole, and nothing waits after the end. */
export function checkReceipt({ json, markdown }) {
  assert.ok(isText(markdown));
  assert.ok([json.ticks_sent, json.ticks_conflated, json.ticks_missed].every(isCount));
  for (const source of json.sources) {
    checkTally(source, source.frames);
    checkTally(source, source.bytes);
    checkTimes(source);
  }
}

function checkTally({ source }, { received, processed, dropped, queued }) {
  assert.ok([received, processed, dropped, queued].every(isCount));
  assert.equal(received, processed + dropped + queued, `receipt of ${source}`);
  assert.equal(queued, 0, `${source} has audio waiting after its end`);
}

function checkTimes({ infer_ms_p50: p50, infer_ms_p90: p90, infer_ms_p99: p99, infer_ms_max: max, ...source }) {
  assert.ok([p50, p90, p99, max].every(hasDecimals(1)));
  // A quantile may be half a per cent above the exact maximum.
  assert.ok(p50 <= p90 && p90 <= p99 && p99 <= max * 1.006 + 0.1, `${p50}, ${p90}, ${p99}, ${max}`);
  assert.ok(hasDecimals(2)(source.worst_realtime_factor));
  assert.ok(Array.isArray(source.degrade_timeline));
}

export const receiptOf = ({ json }, source) => json.sources.find((held) => held.source === source);
