// Trunk's last step of a release build: writes a Brotli and a gzip form beside every file of the
// page that shrinks, prints all sizes, and fails when the first load is too large.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const BUDGET_BYTES = 150_000;
const COMPRESSIBLE = /\.(css|html|js|json|svg|txt|wasm)$/;

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && COMPRESSIBLE.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function brotli(bytes) {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
  return brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: bytes.length } });
}

function compress(path) {
  const raw = readFileSync(path);
  const forms = { br: brotli(raw), gz: gzipSync(raw, { level: 9 }) };
  for (const [suffix, form] of Object.entries(forms)) writeFileSync(`${path}.${suffix}`, form);
  return { path, raw: raw.length, gzip: forms.gz.length, brotli: forms.br.length };
}

function total(sizes) {
  const sum = (form) => sizes.reduce((bytes, size) => bytes + size[form], 0);
  return { path: "first load", raw: sum("raw"), gzip: sum("gzip"), brotli: sum("brotli") };
}

function line({ path, raw, gzip, brotli }, folder) {
  const name = folder ? relative(folder, path) : path;
  const cells = [raw, gzip, brotli].map((bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10));
  return name.padEnd(44) + cells.join("");
}

const { TRUNK_PROFILE, TRUNK_STAGING_DIR } = process.env;
if (!TRUNK_STAGING_DIR) {
  console.error("page-size.mjs: run by trunk, which sets TRUNK_STAGING_DIR");
  process.exit(2);
}
if (TRUNK_PROFILE === "release") {
  const sizes = filesIn(TRUNK_STAGING_DIR).map(compress);
  const whole = total(sizes);
  console.log("".padEnd(44) + ["raw", "gzip", "brotli"].map((name) => name.padStart(10)).join(""));
  for (const size of sizes) console.log(line(size, TRUNK_STAGING_DIR));
  console.log(line(whole));
  if (whole.brotli > BUDGET_BYTES) {
    console.error(`the page's first load is ${whole.brotli} bytes in Brotli; at most ${BUDGET_BYTES} are allowed`);
    process.exit(1);
  }
}
