// The second thread of the host: it hears the Python side while the first one computes.
// Orders are nine bytes, an opcode, an address and a number. It also ends the process when the Python side is gone.
// Before that it reads the image the first thread is to start from, while that compiles the module.
"use strict";

const fs = require("fs");
const { workerData } = require("worker_threads");
const { load } = require("./load.js");

const { memory, gate, fd, parent, scratch, image } = workerData;
const FALSE = 1; // box(false)
const TRUE = 3; // box(true)
const REF_VALUE = 8; // offset of an IO.Ref's value
const ORDER = 9;

function end() {
  try {
    if (scratch) fs.rmSync(scratch, { recursive: true, force: true });
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

// A thread-safe reference holds NULL while somebody reads it, and gets the old value back afterwards, so only
// replacing `false` itself is a change that lasts. An order of former times is for a token that may be gone: the gate
// is closed while the first thread begins a new time.
function setCancelToken(ref, time) {
  const index = (ref + REF_VALUE) >>> 2;
  const until = Date.now() + 1000;
  const heap = new Int32Array(memory.buffer);
  if (index >= heap.length) return;
  while (Date.now() < until) {
    if (Atomics.compareExchange(gate, 0, 0, 1) !== 0) continue;
    try {
      if (gate[1] !== time) return;
      if (Atomics.compareExchange(heap, index, FALSE, TRUE) !== 0) return;
    } finally {
      Atomics.store(gate, 0, 0);
    }
  }
}

const order = Buffer.alloc(ORDER);
let have = 0;

function listen() {
  fs.read(fd, order, have, ORDER - have, null, (error, count) => {
    if (error || count === 0) return end();
    have += count;
    if (have === ORDER) {
      have = 0;
      setCancelToken(order.readUInt32LE(1), order.readInt32LE(5));
    }
    listen();
  });
}

if (image) load(image, memory);
listen();
// A copy of the pipe in some other process would keep it open after our parent's death.
setInterval(() => {
  if (process.ppid !== parent) end();
}, 1000);
