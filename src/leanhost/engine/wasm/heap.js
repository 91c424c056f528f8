// Lean objects in wasm32 memory: reference counts, and building values from expression trees.
"use strict";

const TAG_CLOSURE = 245;
const TAG_ARRAY = 246;
const MAX_CTOR_TAG = 243;
const MAX_SMALL = 4096;
const BOX0 = 1;
const USER_ERROR = 18; // IO.Error.userError

// Functions of Lean's runtime that are called from here.
const OWN = [
  "free",
  "lean_alloc_object",
  "lean_cstr_to_nat",
  "lean_dec_ref_cold",
  "lean_mk_string_from_bytes",
  "malloc",
];

const box = (n) => ((n << 1) | 1) >>> 0;

// An error constructor met by an Unwrap; owns the error.
class Thrown {
  constructor(word) {
    this.word = word;
  }
}

// A request that makes no sense; nothing was broken by it.
class Refused {
  constructor(message) {
    this.message = message;
  }
}

class Heap {
  constructor(lean, names) {
    this.lean = lean;
    this.names = names;
    this.exports = Object.fromEntries(OWN.map((name) => [name, names.function(name)]));
    this.memory = lean.wasmMemory;
    this.symbols = []; // what the Python side calls by number
    this.scratch = 0;
    this.scratchSize = 0;
    this.views();
  }

  // Call after anything that may have grown the memory.
  views() {
    const buffer = this.memory.buffer;
    if (this.h32 !== undefined && this.h32.buffer === buffer) return;
    this.h8 = new Uint8Array(buffer);
    this.h16 = new Uint16Array(buffer);
    this.h32 = new Int32Array(buffer);
  }

  // --- references

  inc(word) {
    if (word & 1) return;
    const i = word >>> 2;
    const rc = this.h32[i];
    if (rc > 0) this.h32[i] = rc + 1;
    else if (rc < 0) Atomics.sub(this.h32, i, 1);
  }

  dec(word) {
    if (word & 1) return;
    const i = word >>> 2;
    const rc = this.h32[i];
    if (rc > 1) this.h32[i] = rc - 1;
    else if (rc !== 0) {
      this.exports.lean_dec_ref_cold(word);
      this.views();
    }
  }

  // --- objects

  tag(word) {
    return this.h8[word + 7];
  }
  fieldCount(word) {
    return this.h8[word + 6];
  }
  field(word, i) {
    return this.h32[(word >>> 2) + 2 + i] >>> 0;
  }

  alloc(size, other, tag) {
    const padded = (size + 7) & ~7;
    const o = this.exports.lean_alloc_object(padded) >>> 0;
    this.views();
    const i = o >>> 2;
    this.h32[i] = 1;
    // Small objects carry their size, from which the length of the scalar part is read back.
    this.h16[(o >>> 1) + 2] = padded <= MAX_SMALL ? padded : 0;
    this.h8[o + 6] = other;
    this.h8[o + 7] = tag;
    if (padded !== size) this.h32[i + (padded >>> 2) - 1] = 0;
    return o;
  }

  ctor(tag, fields, scalars) {
    const o = this.alloc(8 + 4 * fields.length + scalars.length, fields.length, tag);
    this.h32.set(fields, (o >>> 2) + 2);
    if (scalars.length) this.h8.set(scalars, o + 8 + 4 * fields.length);
    return o;
  }

  array(items) {
    const o = this.alloc(16 + 4 * items.length, 0, TAG_ARRAY);
    const i = o >>> 2;
    this.h32[i + 2] = items.length;
    this.h32[i + 3] = items.length;
    this.h32.set(items, i + 4);
    return o;
  }

  list(items) {
    let tail = BOX0;
    for (let i = items.length - 1; i >= 0; i--) tail = this.ctor(1, [items[i], tail], []);
    return tail;
  }

  closure(slot, arity, fixed) {
    const o = this.alloc(16 + 4 * fixed.length, 0, TAG_CLOSURE);
    const i = o >>> 2;
    this.h32[i + 2] = slot;
    this.h16[(o >>> 1) + 6] = arity;
    this.h16[(o >>> 1) + 7] = fixed.length;
    this.h32.set(fixed, i + 4);
    return o;
  }

  // Copy bytes to memory that stays valid until the next call of this function.
  stage(bytes) {
    if (bytes.length + 1 > this.scratchSize) {
      if (this.scratch) this.exports.free(this.scratch);
      this.scratchSize = Math.max(4096, bytes.length + 1);
      this.scratch = this.exports.malloc(this.scratchSize) >>> 0;
      this.views();
      if (!this.scratch) {
        this.scratchSize = 0;
        throw new Error("out of memory");
      }
    }
    this.h8.set(bytes, this.scratch);
    this.h8[this.scratch + bytes.length] = 0;
    if (this.scratchSize > 1 << 20) {
      // Too much to keep, but it must outlive the call it is staged for.
      this.oversized = this.scratch;
      this.scratchSize = 0;
      this.scratch = 0;
      return this.oversized;
    }
    return this.scratch;
  }
  staged(make, bytes) {
    const at = this.stage(bytes);
    const word = make(at, bytes.length) >>> 0;
    if (this.oversized) this.exports.free(this.oversized);
    this.oversized = 0;
    this.views();
    return word;
  }

  // What a failed callback returns: `EIO.error (IO.userError "callback")`. As an object with a field it does no
  // harm either where some other error type is expected.
  failure() {
    const text = this.staged(this.exports.lean_mk_string_from_bytes, Buffer.from("callback"));
    return this.ctor(1, [this.ctor(USER_ERROR, [text], [])], []);
  }

  // --- expressions

  symbol(index) {
    const entry = this.symbols[index];
    if (entry.value === undefined) throw new Refused(`Lean exports no symbol ${entry.name}`);
    return entry;
  }

  define(name) {
    this.symbols.push({ name, value: this.names.value(name) });
  }

  // Evaluate `count` expressions; when one fails, release the ones before it.
  several(r, count) {
    const words = new Array(count);
    let done = 0;
    try {
      for (; done < count; done++) words[done] = this.evaluate(r);
    } catch (error) {
      if (error instanceof Thrown || error instanceof Refused) while (done > 0) this.dec(words[--done]);
      throw error;
    }
    return words;
  }

  // Replace an owned object by its field, also owned.
  project(word, i) {
    const value = this.field(word, i);
    this.inc(value);
    this.dec(word);
    return value;
  }

  evaluate(r) {
    switch (r.u8()) {
      case 0:
        return r.u32();
      case 1: {
        const word = r.u32();
        this.inc(word);
        return word;
      }
      case 2:
        r.given++;
        return r.u32();
      case 3: {
        const bytes = r.take(r.u32());
        return this.staged(this.exports.lean_mk_string_from_bytes, bytes);
      }
      case 4: {
        const symbol = r.u32();
        const args = this.several(r, r.u8());
        return this.call(symbol, args);
      }
      case 5: {
        const ok = r.u8();
        const word = this.evaluate(r);
        if (word & 1) throw new Thrown(word);
        if (this.tag(word) > MAX_CTOR_TAG || this.fieldCount(word) === 0) {
          this.dec(word);
          throw new Refused("an Unwrap met a value without a field");
        }
        if (this.tag(word) !== ok) throw new Thrown(this.project(word, 0));
        return this.project(word, 0);
      }
      case 6: {
        const i = r.u32();
        const word = this.evaluate(r);
        if (word & 1 || this.tag(word) > MAX_CTOR_TAG || i >= this.fieldCount(word)) {
          this.dec(word);
          throw new Refused(`a value has no field ${i}`);
        }
        return this.project(word, i);
      }
      case 7: {
        const tag = r.u8();
        const count = r.u8();
        const scalars = r.take(r.u32());
        return this.ctor(tag, this.several(r, count), scalars);
      }
      case 8:
        return this.list(this.several(r, r.u32()));
      case 9:
        return this.array(this.several(r, r.u32()));
      case 10: {
        const entry = this.symbol(r.u32());
        const arity = r.u8();
        if (typeof entry.value !== "function" || entry.value.length !== arity)
          throw new Refused(`${entry.name} is not a function of ${arity} parameters (${entry.value.length})`);
        return this.closure(this.names.address(entry.name), arity, this.several(r, r.u8()));
      }
      case 11: {
        const entry = this.symbol(r.u32());
        if (typeof entry.value === "function") throw new Refused(`${entry.name} is a function, not a constant`);
        const word = this.h32[entry.value >>> 2] >>> 0;
        if (word === 0) throw new Refused(`${entry.name} is not initialised`);
        this.inc(word);
        return word;
      }
      case 12:
        return this.staged(this.exports.lean_cstr_to_nat, r.take(r.u32()));
      case 13: {
        const i = r.u32();
        const word = this.evaluateArray(r);
        if (i >= this.h32[(word >>> 2) + 2]) {
          this.dec(word);
          throw new Refused(`an array has no element ${i}`);
        }
        const value = this.h32[(word >>> 2) + 4 + i] >>> 0;
        this.inc(value);
        this.dec(word);
        return value;
      }
      case 14: {
        const word = this.evaluateArray(r);
        const size = this.h32[(word >>> 2) + 2];
        this.dec(word);
        return box(size);
      }
      case 15: {
        const word = this.evaluate(r);
        if (word & 1) return word;
        const tag = this.tag(word);
        this.dec(word);
        return box(tag);
      }
      case 16:
        return this.updated(r);
      default:
        throw new Error("unknown expression");
    }
  }

  evaluateArray(r) {
    const word = this.evaluate(r);
    if (word & 1 || this.tag(word) !== TAG_ARRAY) {
      this.dec(word);
      throw new Refused("a value is not an array of objects");
    }
    return word;
  }

  // A copy of a constructor with some fields and scalar bytes replaced.
  updated(r) {
    const indices = [...r.take(r.u8())];
    const patches = [];
    for (let n = r.u32(); n > 0; n--) {
      const offset = r.u32();
      patches.push({ offset, bytes: r.take(r.u32()) });
    }
    const [word, ...values] = this.several(r, 1 + indices.length);
    const isCtor = !(word & 1) && this.tag(word) <= MAX_CTOR_TAG;
    const count = isCtor ? this.fieldCount(word) : 0;
    const size = isCtor ? this.h16[(word >>> 1) + 2] - 8 - 4 * count : 0;
    if (
      !isCtor ||
      indices.some((i) => i >= count) ||
      patches.some(({ offset, bytes }) => offset + bytes.length > size)
    ) {
      for (const value of [word, ...values]) this.dec(value);
      throw new Refused("a value has no such field or scalar");
    }
    const from = word + 8 + 4 * count;
    const scalars = this.h8.slice(from, from + size);
    for (const { offset, bytes } of patches) scalars.set(bytes, offset);
    const fields = [];
    for (let i = 0; i < count; i++) {
      const at = indices.indexOf(i);
      const value = at < 0 ? this.field(word, i) : values[at];
      if (at < 0) this.inc(value);
      fields.push(value);
    }
    const copy = this.ctor(this.tag(word), fields, scalars);
    this.dec(word);
    return copy;
  }

  call(index, args) {
    const entry = this.symbols[index];
    const f = entry.value;
    if (typeof f !== "function" || f.length !== args.length) {
      for (const word of args) this.dec(word);
      if (typeof f !== "function") throw new Refused(`Lean exports no function ${entry.name}`);
      throw new Refused(`${entry.name} takes ${f.length} arguments, not ${args.length}`);
    }
    const word = f(...args);
    this.views();
    return word === undefined ? BOX0 : word >>> 0;
  }
}

module.exports = { BOX0, Heap, MAX_CTOR_TAG, Refused, TAG_ARRAY, Thrown };
