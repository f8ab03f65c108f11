// Renames what a WebAssembly module takes from JavaScript and gives to it.

const IMPORTS = 2;
const EXPORTS = 7;
const FUNCTION = 0;

// The module `bytes` with its imports and exports called as the map `names` says. An export whose
// name is `generated` and not in the map is one that JavaScript never calls: it is left out, so that
// wasm-opt can remove what only it kept.
export function renameInterface(bytes, names, generated) {
  const renamed = (name) => names.get(name) ?? name;
  const rewrite = {
    [IMPORTS]: (section) => list(section, () => {
      const origin = [text(renamed(section.text())), text(renamed(section.text()))];
      return [...origin, section.through(() => importedFunction(section))];
    }),
    [EXPORTS]: (section) => list(section, () => {
      const name = section.text();
      const what = section.through(() => section.bytes(1) && section.number());
      return names.has(name) || !generated.test(name) ? [text(renamed(name)), what] : [];
    }),
  };
  const module = new Reader(bytes);
  const parts = [module.bytes(8)];
  while (!module.done()) {
    const [kind] = module.bytes(1);
    const section = module.bytes(module.number());
    const content = rewrite[kind]?.(new Reader(section)) ?? section;
    parts.push(Buffer.of(kind), number(content.length), content);
  }
  return Buffer.concat(parts);
}

function importedFunction(section) {
  const [kind] = section.bytes(1);
  if (kind !== FUNCTION) throw new Error(`an import of kind ${kind}: only functions are expected`);
  section.number();
}

// A counted list with every entry as `entry` gives it, in parts; without those of no parts.
function list(section, entry) {
  const entries = Array.from({ length: section.number() }, entry).filter((parts) => parts.length > 0);
  return Buffer.concat([number(entries.length), ...entries.flat()]);
}

function text(value) {
  return Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);
}

// LEB128, as all counts and indices are written.
function number(value) {
  const digits = [];
  for (; value > 127; value >>>= 7) digits.push((value & 127) | 128);
  return Buffer.from([...digits, value]);
}

class Reader {
  constructor(bytes) {
    this.all = bytes;
    this.at = 0;
  }

  done() {
    return this.at >= this.all.length;
  }

  bytes(count) {
    return this.all.subarray(this.at, (this.at += count));
  }

  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const [digit] = this.bytes(1);
      value |= (digit & 127) << shift;
      if (digit < 128) return value >>> 0;
    }
  }

  text() {
    return this.bytes(this.number()).toString();
  }

  // The bytes that `read` goes through.
  through(read) {
    const start = this.at;
    read();
    return this.all.subarray(start, this.at);
  }
}
