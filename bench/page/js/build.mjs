// Makes one script of the two chart libraries and what drives them, and says how large each is.
// Usage: node build.mjs FOLDER, where wasm-bindgen put the page's charts.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const folder = process.argv[2];
const root = join(import.meta.dirname, "../../..");
const { build } = createRequire(import.meta.url)(join(root, ".tools/esbuild/node_modules/esbuild"));
const uPlot = join(root, ".tools/uplot/node_modules/uplot/dist");

const paint = join(root, "web/js/paint.js");
copyFileSync(paint, join(folder, "paint.js"));
copyFileSync(join(import.meta.dirname, "peer.js"), join(folder, "entry.js"));
await build({
  entryPoints: [join(folder, "entry.js")],
  outfile: join(folder, "peer.js"),
  bundle: true,
  format: "iife",
  loader: { ".css": "text", ".wasm": "binary" },
  alias: {
    uplot: join(uPlot, "uPlot.esm.js"),
    "uplot-style": join(uPlot, "uPlot.min.css"),
    "page-style": join(root, "web/style/base.css"),
  },
  // Only what wasm-bindgen's glue does not come to.
  logOverride: { "empty-import-meta": "silent" },
});

const small = await build({ entryPoints: [paint], minify: true, format: "esm", target: "es2022", write: false });
const size = (bytes) => ({ raw: bytes.length, brotli: brotliCompressSync(bytes).length });
const sizes = {
  uPlotScript: size(readFileSync(join(uPlot, "uPlot.iife.min.js"))),
  uPlotStyle: size(readFileSync(join(uPlot, "uPlot.min.css"))),
  ownScript: size(small.outputFiles[0].contents),
  ownWasm: size(readFileSync(join(folder, "tachograph_bench_plot_bg.wasm"))),
};
writeFileSync(join(folder, "sizes.json"), JSON.stringify(sizes));
