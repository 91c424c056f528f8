// What Lean's symbols are: slots of the function table and addresses, by name, from a section of the prepared module.
"use strict";

const SECTION = "leanhost.names";
const CUSTOM = 0;
const FUNCTION = 0;
const RECORD = 9; // the end of the name in the text, a kind, a value

// A copy of the section's content; `wasm` itself is not kept.
function section(wasm) {
  let at = 8;
  const number = () => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < wasm.length) {
    const kind = wasm[at++];
    const size = number();
    const end = at + size;
    if (kind === CUSTOM) {
      const length = number();
      if (wasm.latin1Slice(at, at + length) === SECTION) return Buffer.from(wasm.subarray(at + length, end));
    }
    at = end;
  }
  throw new Error(`the module has no section ${SECTION}`);
}

class Symbols {
  constructor(wasm) {
    this.table = null;
    this.bytes = section(wasm);
    this.count = this.bytes.readUInt32LE(0);
    this.text = 4 + RECORD * this.count;
  }

  // The position of a name's record, or -1; names are in the order of their bytes.
  find(name) {
    const { bytes, text } = this;
    const wanted = Buffer.from(name, "latin1");
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const record = 4 + RECORD * middle;
      const start = middle === 0 ? 0 : bytes.readUInt32LE(record - RECORD);
      const order = wanted.compare(bytes, text + start, text + bytes.readUInt32LE(record));
      if (order === 0) return record;
      if (order < 0) high = middle - 1;
      else low = middle + 1;
    }
    return -1;
  }

  has(name) {
    return this.find(name) >= 0;
  }

  // The slot of a function or the address of data, as `dlsym` returns it.
  address(name) {
    const record = this.find(name);
    return record < 0 ? undefined : this.bytes.readUInt32LE(record + 5);
  }

  // A function, or the address of data; `undefined` for neither.
  value(name) {
    const record = this.find(name);
    if (record < 0) return undefined;
    const value = this.bytes.readUInt32LE(record + 5);
    return this.bytes[record + 4] === FUNCTION ? this.table.get(value) : value;
  }

  function(name) {
    const value = this.value(name);
    if (typeof value !== "function") throw new Error(`lean.wasm exports no function ${name}`);
    return value;
  }
}

module.exports = { Symbols };
