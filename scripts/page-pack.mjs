// Trunk's last step. Bundles the page's scripts into one file and its style sheets into another,
// none inline, so that the page runs under a strict Content-Security-Policy. For a release it also
// minifies them, shortens the names between JavaScript and WebAssembly, optimises the WebAssembly,
// writes a Brotli and a gzip form beside every file, prints all sizes, and fails when the first
// load is too large.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { renameInterface } from "./wasm-names.mjs";

const { build } = createRequire(import.meta.url)("../.tools/esbuild/node_modules/esbuild");

const BUDGET_BYTES = 120_000;
const COMPRESSIBLE = /\.(css|html|js|json|svg|txt|wasm)$/;
// What wasm-bindgen calls its imports and exports: most of the name is a hash, which no
// compression shortens. Nothing else in the page's scripts may be called so.
const GENERATED_NAME = /^(__wb|__externref_|wasm_bindgen_|\.\/.*_bg\.js$)/;
// By what is left after Brotli: -Oz makes fewer bytes before it and more after. Not
// --traps-never-happen: a panic is a trap, and failure.js waits for it. The first KiB is the far end of
// the stack, and nothing else.
const WASM_OPT = ["-Os", "--converge", "--low-memory-unused", "--strip-debug", "--strip-producers", "--strip-target-features"];

const { TRUNK_PROFILE, TRUNK_STAGING_DIR } = process.env;
if (!TRUNK_STAGING_DIR) fail("page-pack.mjs: run by trunk, which sets TRUNK_STAGING_DIR");
const RELEASE = TRUNK_PROFILE === "release";

await pack();
if (RELEASE) report(filesIn(TRUNK_STAGING_DIR).map(compress));

async function pack() {
  const index = join(TRUNK_STAGING_DIR, "index.html");
  const page = takeApart(readFileSync(index, "utf8"));
  const style = await bundle(page.style, "css");
  const script = await bundle(page.script, "js");
  // What Rust imports from web/js; now in the bundle.
  rmSync(join(TRUNK_STAGING_DIR, "snippets"), { recursive: true, force: true });
  const wasm = RELEASE ? optimiseWasm(page.wasm, script.names) : page.wasm;
  const head = [
    `<link rel="stylesheet" href="./${place("style", "css", style.text)}">`,
    `<script type="module" src="./${place("page", "js", script.text.replaceAll(page.wasm, wasm))}"></script>`,
  ];
  const html = page.html.replaceAll(page.wasm, wasm).replace("</head>", `${head.join("\n")}\n</head>`);
  writeFileSync(index, RELEASE ? html.replace(/\n\s*/g, "\n") : html);
}

// The page without its scripts and style sheets, those as the source of a bundle each, and the
// name of its WebAssembly.
function takeApart(html) {
  const scripts = [];
  const styles = [];
  const bare = html
    .replace(/<script\b([^>]*)>([^]*?)<\/script>/g, (whole, attributes, inline) => {
      if (attribute(attributes, "type") !== "module") return whole;
      const source = attribute(attributes, "src");
      scripts.push(source ? `import ${JSON.stringify(source)};` : inline);
      return "";
    })
    .replace(/<link\b([^>]*)>/g, (whole, attributes) => {
      const rel = attribute(attributes, "rel");
      if (rel === "stylesheet") styles.push(`@import ${JSON.stringify(attribute(attributes, "href"))};`);
      // Its script becomes a part of the bundle.
      return rel === "stylesheet" || rel === "modulepreload" ? "" : whole;
    });
  if (RELEASE && /<style|\sstyle=|<script/.test(bare)) fail("index.html: only module scripts and style sheets by file");
  const wasm = html.match(/[\w-]+\.wasm/)?.[0] ?? fail("index.html names no WebAssembly");
  return { html: bare, script: scripts.join("\n"), style: styles.join("\n"), wasm };
}

function attribute(attributes, name) {
  return attributes.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
}

// One file out of `source` and all it imports, which are removed, and the generated names as they
// were shortened.
async function bundle(source, loader) {
  const { outputFiles, metafile, mangleCache } = await build({
    stdin: { contents: source, loader, resolveDir: TRUNK_STAGING_DIR, sourcefile: `index.html.${loader}` },
    absWorkingDir: TRUNK_STAGING_DIR,
    bundle: true,
    charset: "utf8",
    format: "esm",
    legalComments: "none",
    logLevel: "warning",
    // wasm-bindgen names a script once for each function that Rust imports from it.
    logOverride: { "duplicate-object-key": "silent" },
    metafile: true,
    minify: RELEASE,
    target: "es2022",
    write: false,
    ...(RELEASE && { mangleProps: GENERATED_NAME, mangleQuoted: true, mangleCache: {} }),
  });
  for (const input of Object.keys(metafile.inputs)) rmSync(join(TRUNK_STAGING_DIR, input), { force: true });
  return { text: outputFiles[0].text, names: new Map(Object.entries(mangleCache ?? {})) };
}

// The name of the WebAssembly that `name` becomes: with short names, then optimised.
function optimiseWasm(name, shortNames) {
  const path = join(TRUNK_STAGING_DIR, name);
  writeFileSync(path, renameInterface(readFileSync(path), shortNames, GENERATED_NAME));
  execFileSync("wasm-opt", [...WASM_OPT, path, "-o", path], { stdio: "inherit" });
  const optimised = readFileSync(path);
  rmSync(path);
  return place("page", "wasm", optimised);
}

// Writes a file that is named after its content, as a cache that never asks again needs it.
function place(stem, ending, content) {
  const name = `${stem}-${createHash("sha256").update(content).digest("hex").slice(0, 16)}.${ending}`;
  writeFileSync(join(TRUNK_STAGING_DIR, name), content);
  return name;
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && COMPRESSIBLE.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function compress(path) {
  const raw = readFileSync(path);
  const forms = { br: brotli(raw), gz: gzipSync(raw, { level: 9 }) };
  for (const [suffix, form] of Object.entries(forms)) writeFileSync(`${path}.${suffix}`, form);
  return { path: relative(TRUNK_STAGING_DIR, path), raw: raw.length, gzip: forms.gz.length, brotli: forms.br.length };
}

function brotli(bytes) {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
  return brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: bytes.length } });
}

function report(sizes) {
  const whole = total(sizes);
  console.log("".padEnd(44) + ["raw", "gzip", "brotli"].map((name) => name.padStart(10)).join(""));
  for (const size of [...sizes, whole]) console.log(line(size));
  if (whole.brotli > BUDGET_BYTES) {
    fail(`the page's first load is ${whole.brotli} bytes in Brotli; at most ${BUDGET_BYTES} are allowed`);
  }
}

function total(sizes) {
  const sum = (form) => sizes.reduce((bytes, size) => bytes + size[form], 0);
  return { path: "first load", raw: sum("raw"), gzip: sum("gzip"), brotli: sum("brotli") };
}

function line({ path, raw, gzip, brotli }) {
  const cells = [raw, gzip, brotli].map((bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10));
  return path.padEnd(44) + cells.join("");
}

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
