// The second thread of the host: it hears the Python side while the first one computes.
// Orders are five bytes, an opcode and an address. It also ends the process when the Python side is gone.
"use strict";

const fs = require("fs");
const { workerData } = require("worker_threads");

const { memory, fd, parent, scratch } = workerData;
const FALSE = 1; // box(false)
const TRUE = 3; // box(true)
const REF_VALUE = 8; // offset of an IO.Ref's value

function end() {
  try {
    if (scratch) fs.rmSync(scratch, { recursive: true, force: true });
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

// A thread-safe reference holds NULL while somebody reads it, and gets the old value back afterwards, so only
// replacing `false` itself is a change that lasts.
function setCancelToken(ref) {
  const index = (ref + REF_VALUE) >>> 2;
  const until = Date.now() + 1000;
  let heap = new Int32Array(memory.buffer);
  if (index >= heap.length) return;
  while (Date.now() < until) {
    const seen = Atomics.compareExchange(heap, index, FALSE, TRUE);
    if (seen !== 0) return;
  }
}

const order = Buffer.alloc(5);
let have = 0;

function listen() {
  fs.read(fd, order, have, 5 - have, null, (error, count) => {
    if (error || count === 0) return end();
    have += count;
    if (have === 5) {
      have = 0;
      setCancelToken(order.readUInt32LE(1));
    }
    listen();
  });
}

listen();
// A copy of the pipe in some other process would keep it open after our parent's death.
setInterval(() => {
  if (process.ppid !== parent) end();
}, 1000);
