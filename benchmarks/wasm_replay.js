// The bare host: host.js fed with recorded frames from memory, without pipes and without Python.
// Frames name the objects they use by the reply that gave them. Commands arrive on the real pipe: a u32 count of
// runs; the answer is one frame of doubles, the milliseconds of each.
"use strict";

const began = performance.now();
const fs = require("fs");
const config = JSON.parse(process.argv[2]);
const record = JSON.parse(fs.readFileSync(config.record));
const frames = record.frames.map(({ bytes, patches }) => ({ bytes: Buffer.from(bytes, "base64"), patches }));

const CALLBACK = 2;
const readSync = fs.readSync;
const writeSync = fs.writeSync;
const results = []; // the words of each reply, by the number of the exchange
let at = 0; // in `frames`
let exchange = 0;
let left = 0; // runs still to do
let started = 0;
let times = [];
let pending = null; // the frame being read

function answer(values) {
  const out = Buffer.alloc(9 + 8 * values.length);
  out.writeUInt32LE(out.length - 4, 0);
  values.forEach((value, i) => out.writeDoubleLE(value, 9 + 8 * i));
  writeSync(config.replyFd, out);
}

function nextFrame() {
  if (at === record.loopEnd) {
    if (started) times.push(performance.now() - started);
    at = record.loopStart;
    if (--left <= 0) {
      answer(times.length ? times : [performance.now() - began]);
      times = [];
      const order = Buffer.alloc(4);
      if (readSync(config.requestFd, order, 0, 4) !== 4) process.kill(process.pid, "SIGKILL");
      left = order.readUInt32LE(0);
    }
    started = performance.now();
  }
  const { bytes, patches } = frames[at++];
  for (const [offset, back, index] of patches) {
    // Negative: that many exchanges ago. Otherwise the number of an exchange before the loop.
    const words = results[back < 0 ? exchange + back : back];
    bytes.writeUInt32LE(words[index], offset);
  }
  return { bytes, at: 0 };
}

fs.readSync = (fd, buffer, offset, length, position) => {
  if (fd !== config.requestFd) return readSync(fd, buffer, offset, length, position);
  if (pending === null) pending = nextFrame();
  const n = pending.bytes.copy(buffer, offset, pending.at, Math.min(pending.bytes.length, pending.at + length));
  pending.at += n;
  if (pending.at === pending.bytes.length) pending = null;
  return n;
};

let greeted = false;
fs.writeSync = (fd, buffer, offset, length, position) => {
  if (fd !== config.replyFd) return writeSync(fd, buffer, offset, length, position);
  if (!greeted) {
    greeted = true;
    return length;
  }
  const words = [];
  const status = buffer[8];
  const skip = status === CALLBACK ? 13 : 9;
  if (status > CALLBACK) {
    process.stderr.write(`replay: status ${status}: ${buffer.toString("latin1", 9, length)}\n`);
    process.exit(1);
  }
  if (length < 4096) for (let i = skip; i + 4 <= length; i += 4) words.push(buffer.readUInt32LE(i));
  results[exchange++] = words;
  return length;
};

require(config.host);
