// Reading an image into memory, in the thread that has nothing else to do while the module is compiled.
"use strict";

const crypto = require("crypto");
const fs = require("fs");

const WAITING = 0;
const LOADED = 1;
const REFUSED = 2;
const STEP = 1 << 22;

// `image` has the descriptor of the file, the place and the SHA-256 of its payload, its runs of memory, the address
// from which on memory is free until the image is adopted, and buffers for what belongs below that.
function load(image, memory) {
  let outcome = REFUSED;
  try {
    if (read(image, new Uint8Array(memory.buffer))) outcome = LOADED;
  } catch {
    // An image that cannot be read is no image.
  }
  Atomics.store(image.state, 0, outcome);
  Atomics.notify(image.state, 0);
}

function read({ fd, offset, sha256, runs, from, low }, memory) {
  const hash = crypto.createHash("sha256");
  let at = offset;
  let below = 0;
  for (const [address, length] of runs) {
    for (let done = 0; done < length; ) {
      const size = Math.min(STEP, length - done);
      let target;
      if (address >= from) target = memory.subarray(address + done, address + done + size);
      else target = low.subarray(below, (below += size));
      for (let got = 0; got < size; ) {
        const count = fs.readSync(fd, target, got, size - got, at);
        if (count === 0) return false;
        got += count;
        at += count;
      }
      hash.update(target);
      done += size;
    }
  }
  fs.closeSync(fd);
  return hash.digest("hex") === sha256;
}

module.exports = { LOADED, WAITING, load };
