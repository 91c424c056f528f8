// Little-endian bytes of a frame, being written or read.
"use strict";

class Writer {
  constructor() {
    this.buffer = Buffer.allocUnsafe(1 << 16);
    this.at = 0;
  }
  room(n) {
    if (this.at + n <= this.buffer.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + n));
    this.buffer.copy(bigger, 0, 0, this.at);
    this.buffer = bigger;
  }
  u8(v) {
    this.room(1);
    this.buffer[this.at++] = v;
  }
  u32(v) {
    this.room(4);
    this.at = this.buffer.writeUInt32LE(v >>> 0, this.at);
  }
  bytes(source, from, to) {
    this.room(to - from);
    this.buffer.set(source.subarray(from, to), this.at);
    this.at += to - from;
  }
}

class Reader {
  constructor(buffer, at, end) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }
  u8() {
    return this.buffer[this.at++];
  }
  u16() {
    const v = this.buffer.readUInt16LE(this.at);
    this.at += 2;
    return v;
  }
  u32() {
    const v = this.buffer.readUInt32LE(this.at);
    this.at += 4;
    return v;
  }
  take(n) {
    const from = this.at;
    if (from + n > this.end) throw new Error("frame ends early");
    this.at += n;
    return this.buffer.subarray(from, this.at);
  }
}

module.exports = { Reader, Writer };
