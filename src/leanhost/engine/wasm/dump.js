// Copying a value out of Lean's memory.
"use strict";

const { MAX_CTOR_TAG, TAG_ARRAY } = require("./heap.js");

const TAG_SCALAR_ARRAY = 248;
const TAG_STRING = 249;
const TAG_MPZ = 250;

class TooLarge {}

// Post-order, so that the reader needs no recursion; an object met again is named by its number.

function dump(heap, root, limit, out, maxBytes) {
  const numbers = new Map();
  const stack = [root]; // words to visit, and ~word for a parent whose children are written
  let seen = 0;
  while (stack.length) {
    const entry = stack.pop();
    if (out.at > maxBytes) throw new TooLarge();
    if (entry < 0) {
      const word = ~entry >>> 0;
      dumpParent(heap, word, out);
      numbers.set(word, numbers.size);
      continue;
    }
    const word = entry;
    if (word & 1) {
      out.u8(0);
      out.u32(word >>> 1);
      continue;
    }
    const known = numbers.get(word);
    if (known !== undefined) {
      out.u8(1);
      out.u32(known);
      continue;
    }
    if (++seen > limit) throw new TooLarge();
    const tag = heap.tag(word);
    if (tag <= MAX_CTOR_TAG) {
      stack.push(~word);
      for (let i = heap.fieldCount(word) - 1; i >= 0; i--) stack.push(heap.field(word, i));
    } else if (tag === TAG_ARRAY) {
      const n = heap.h32[(word >>> 2) + 2];
      if (n > maxBytes - out.at) throw new TooLarge();
      stack.push(~word);
      for (let i = n - 1; i >= 0; i--) stack.push(heap.h32[(word >>> 2) + 4 + i] >>> 0);
    } else {
      dumpLeaf(heap, word, tag, out, maxBytes);
      numbers.set(word, numbers.size);
    }
  }
}

function dumpParent(heap, word, out) {
  const tag = heap.tag(word);
  if (tag === TAG_ARRAY) {
    out.u8(4);
    out.u32(heap.h32[(word >>> 2) + 2]);
    return;
  }
  const count = heap.fieldCount(word);
  const from = word + 8 + 4 * count;
  const size = heap.h16[(word >>> 1) + 2];
  const to = Math.max(from, word + size);
  out.u8(5);
  out.u8(tag);
  out.u8(count);
  out.u32(to - from);
  out.bytes(heap.h8, from, to);
}

function dumpLeaf(heap, word, tag, out, maxBytes) {
  const i = word >>> 2;
  if (tag === TAG_MPZ) {
    // Lean's own mpz: sign, number of 32-bit digits, pointer to them, least significant first.
    const from = heap.h32[i + 4] >>> 0;
    const length = 4 * (heap.h32[i + 3] >>> 0);
    if (length > maxBytes - out.at) throw new TooLarge();
    out.u8(heap.h8[word + 8] ? 8 : 7);
    out.u32(length);
    out.bytes(heap.h8, from, from + length);
    return;
  }
  if (tag === TAG_STRING || tag === TAG_SCALAR_ARRAY) {
    const string = tag === TAG_STRING;
    const length = string
      ? (heap.h32[i + 2] >>> 0) - 1
      : (heap.h32[i + 2] >>> 0) * (heap.h8[word + 6] || 1);
    const from = word + (string ? 20 : 16);
    if (length > maxBytes - out.at) throw new TooLarge();
    out.u8(string ? 2 : 3);
    out.u32(length);
    out.bytes(heap.h8, from, from + length);
    return;
  }
  out.u8(6);
  out.u8(tag);
}

module.exports = { TooLarge, dump };
