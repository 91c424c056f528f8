// One Lean runtime behind a pair of pipes. Started by leanhost.engine.wasm; see that package for the protocol.
"use strict";

const fs = require("fs");
const path = require("path");
const { Worker } = require("worker_threads");
const { Reader, Writer } = require("./bytes.js");
const { Files, refuseCalls } = require("./confine.js");
const { TooLarge, dump } = require("./dump.js");
const { BOX0, Heap, Refused, Thrown } = require("./heap.js");
const { Runtime, Unfit } = require("./image.js");
const { LOADED, WAITING } = require("./load.js");
const { Symbols } = require("./symbols.js");
const { Deadlock, Tasks } = require("./tasks.js");

const config = JSON.parse(process.argv[2]);

const OK = 0;
const THROWN = 1;
const CALLBACK = 2;
const TOO_LARGE = 3;
const REFUSED = 4;
const CRASHED = 5;

const EVAL = 1;
const EVAL_DATA = 2;
const MISSING = 3;
const MAKE_CALLBACK = 4;
const RETURN = 5;
const USAGE = 6;
const MOUNT = 7;
const KEEP = 8;
const RESET = 9;
const DESCRIBE = 10;
const READ = 11;
const SETTLE = 12;

const MAX_PAGES = 32768;
const HEADER = 9; // length of the rest, request id, status

let files;
let heap;
let names;
let runtime;
let tasks;
let Module;

// --- frames

function writeFully(fd, buffer, length) {
  for (let at = 0; at < length; ) at += fs.writeSync(fd, buffer, at, length - at);
}

function reply(out, id, status) {
  out.buffer.writeUInt32LE(out.at - 4, 0);
  out.buffer.writeUInt32LE(id, 4);
  out.buffer[8] = status;
  writeFully(config.replyFd, out.buffer, out.at);
}

function newReply() {
  const out = writers[depth] || (writers[depth] = new Writer());
  out.at = HEADER;
  return out;
}

function replyText(id, status, text) {
  const out = newReply();
  const bytes = Buffer.from(String(text).slice(0, 8192));
  out.bytes(bytes, 0, bytes.length);
  reply(out, id, status);
}

// Nested requests must not overwrite the frame that is being evaluated.
const readers = [];
const writers = [];
let depth = 0;
let current = 0;

function readFrame() {
  let buffer = readers[depth] || (readers[depth] = Buffer.allocUnsafe(1 << 16));
  let have = 0;
  let need = 4;
  let whole = false;
  while (have < need) {
    const n = fs.readSync(config.requestFd, buffer, have, Math.min(buffer.length, whole ? need : 1 << 16) - have);
    if (n === 0) leave(); // the Python side closed or died
    have += n;
    if (!whole && have >= 4) {
      need = 4 + buffer.readUInt32LE(0);
      whole = true;
      if (need > config.maxFrame + 4) crash(0, "protocol", "a request exceeds the frame limit");
      if (need > buffer.length) {
        const bigger = Buffer.allocUnsafe(need);
        buffer.copy(bigger, 0, 0, have);
        buffer = bigger;
        if (need <= 1 << 20) readers[depth] = bigger;
      }
    }
  }
  return new Reader(buffer, 4, need);
}

// --- the end

// A Python side that died cannot remove what is its own; the control thread may not have noticed yet.
function leave() {
  try {
    if (config.scratch) fs.rmSync(config.scratch, { recursive: true, force: true });
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

function crash(id, kind, text) {
  try {
    replyText(id, CRASHED, `${kind}\n${text}`);
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

function explain(error) {
  if (Module.outOfMemory) return ["memory", "Lean ran out of memory"];
  if (error instanceof Deadlock) return ["thread", "Lean waited for another thread, and there is only one"];
  if (error instanceof RangeError && /call stack/.test(error.message))
    return ["stack", "the stack overflowed (very deep recursion)"];
  if (error instanceof RangeError) return ["memory", `${error.message}`];
  if (error instanceof Module.leanhost.ExitStatus) return ["exit", `Lean exited with status ${error.status}`];
  if (error instanceof Unfit) return ["image", error.message];
  if (error instanceof WebAssembly.RuntimeError) return ["trap", error.message];
  if (typeof error === "number") return ["exception", "a C++ exception reached the top"];
  return ["internal", (error && error.stack) || String(error)];
}

const CANARY = 0x5ca1ab1e;

// Lean's C stack grows down towards this zone, which nothing else writes.
function placeStack() {
  const { malloc, emscripten_stack_set_limits: setLimits, _emscripten_stack_restore: restore } =
    Module.leanhost.wasmExports;
  const zone = 1 << 16;
  const base = malloc(zone + config.stackBytes) >>> 0;
  if (!base) throw new Error("no memory for the stack");
  const low = (base + zone + 15) & ~15;
  const high = (base + zone + config.stackBytes) & ~15;
  runtime.stack = { zone: (base + 3) & ~3, low, high };
  heap.views();
  heap.h32.fill(CANARY, runtime.stack.zone >>> 2, low >>> 2);
  setLimits(high, low);
  restore(high);
}

function stackIntact() {
  const { h32 } = heap;
  const { zone, low } = runtime.stack;
  for (let i = (low >>> 2) - 1; i >= zone >>> 2; i -= 64) if (h32[i] !== CANARY) return false;
  return true;
}

// --- requests

function prologue(r) {
  for (let n = r.u32(); n > 0; n--) heap.dec(r.u32());
  for (let n = r.u16(); n > 0; n--) heap.define(r.take(r.u16()).toString("latin1"));
  r.given = 0;
  r.gives = r.at + 4;
  r.giveCount = r.u32();
  r.at += 4 * r.giveCount;
}

// References given away by expressions that were never reached still have to be released.
function releaseRest(r) {
  for (; r.given < r.giveCount; r.given++) heap.dec(r.buffer.readUInt32LE(r.gives + 4 * r.given));
}

function evalRequest(r) {
  prologue(r);
  const count = r.u32();
  const words = heap.several(r, count);
  const out = newReply();
  for (const word of words) out.u32(word);
  return out;
}

function evalDataRequest(r) {
  const limit = r.u32();
  prologue(r);
  const word = heap.evaluate(r);
  const out = newReply();
  try {
    dump(heap, word, limit, out, config.maxFrame);
  } finally {
    heap.dec(word);
  }
  return out;
}

function missingRequest(r) {
  const out = newReply();
  for (let n = r.u32(); n > 0; n--) out.u8(names.has(r.take(r.u16()).toString("latin1")) ? 0 : 1);
  return out;
}

function callbackRequest(r) {
  const number = r.u32();
  const arity = r.u8();
  const f = (...words) => askPython(number, words);
  const slot = heap.lean.addFunction(heap.lean.convertJsFunctionToWasm(f, "i".repeat(arity + 1)));
  runtime.callbacks++;
  const out = newReply();
  out.u32(heap.closure(slot, arity, []));
  return out;
}

// Lean calls a Python function: hand over the arguments and serve requests until the result comes.
function askPython(number, words) {
  heap.views();
  const out = newReply();
  out.u32(number);
  for (const word of words) out.u32(word);
  reply(out, current, CALLBACK);
  const outer = current;
  depth++;
  try {
    for (;;) {
      const r = readFrame();
      const id = r.u32();
      const op = r.u8();
      if (op !== RETURN) {
        serve(id, op, r);
        continue;
      }
      if (!r.u8()) return heap.failure();
      try {
        prologue(r);
        return heap.evaluate(r);
      } catch (error) {
        if (!(error instanceof Thrown || error instanceof Refused)) throw error;
        releaseRest(r);
        // As an EIO error, which is what a callback's caller understands.
        return error instanceof Thrown ? heap.ctor(1, [error.word], []) : heap.failure();
      }
    }
  } finally {
    depth--;
    current = outer;
  }
}

function usageRequest() {
  const out = newReply();
  out.u32(runtime.end() - config.stackBytes);
  return out;
}

function mountRequest(r) {
  const writable = r.u8() === 1;
  const directory = r.take(r.end - r.at).toString();
  try {
    files.mount(directory, writable);
  } catch (error) {
    throw new Refused(`cannot mount ${directory}: ${error.message || error.name} ${error.errno || ""}`);
  }
  return newReply();
}

// --- images

// Orders to cancel that were given before this are void.
function newTime() {
  while (Atomics.compareExchange(gate, 0, 0, 1) !== 0);
  gate[1]++;
  Atomics.store(gate, 0, 0);
}

function settleRequest() {
  newTime();
  return newReply();
}

function atRest() {
  if (depth !== 0) throw new Refused("an image is taken and put back between calls only");
}

function keepRequest() {
  atRest();
  runtime.take();
  return newReply();
}

function resetRequest() {
  atRest();
  newTime();
  runtime.putBack();
  return newReply();
}

function describeRequest() {
  atRest();
  const out = newReply();
  const text = Buffer.from(JSON.stringify(runtime.describe()));
  out.bytes(text, 0, text.length);
  return out;
}

function readRequest(r) {
  const from = r.u32();
  const out = newReply();
  out.bytes(heap.h8, from, from + r.u32());
  return out;
}

const REQUESTS = {
  [EVAL]: evalRequest,
  [EVAL_DATA]: evalDataRequest,
  [MISSING]: missingRequest,
  [MAKE_CALLBACK]: callbackRequest,
  [USAGE]: usageRequest,
  [MOUNT]: mountRequest,
  [KEEP]: keepRequest,
  [RESET]: resetRequest,
  [DESCRIBE]: describeRequest,
  [READ]: readRequest,
  [SETTLE]: settleRequest,
};

function serve(id, op, r) {
  current = id;
  let out;
  let status = OK;
  try {
    out = REQUESTS[op](r);
  } catch (error) {
    if (error instanceof Thrown) {
      releaseRest(r);
      out = newReply();
      out.u32(error.word);
      status = THROWN;
    } else if (error instanceof TooLarge) {
      out = newReply();
      status = TOO_LARGE;
    } else if (error instanceof Refused) {
      releaseRest(r);
      return replyText(id, REFUSED, error.message);
    } else {
      return crash(id, ...explain(error));
    }
  }
  if (!stackIntact()) return crash(id, "stack", "the C stack overflowed");
  if (out.at > config.maxFrame) return crash(id, "protocol", "a reply exceeds the frame limit");
  reply(out, id, status);
}

// --- start

function call(name, ...args) {
  const f = names.function(name);
  // Where this build still has a world token, it is the last parameter.
  while (args.length < f.length) args.push(BOX0);
  return f(...args);
}

const memory = new WebAssembly.Memory({ initial: config.initialMemory >>> 16, maximum: MAX_PAGES, shared: true });
const gate = new Int32Array(new SharedArrayBuffer(8)); // a lock, and the time that orders are for
const image = describedImage();

// The image to start from, as the thread that reads it is told.
function describedImage() {
  if (config.image === undefined) return undefined;
  const { fd, header, offset, sha256 } = config.image;
  const text = Buffer.alloc(header[1]);
  fs.readSync(fd, text, 0, header[1], header[0]);
  const description = JSON.parse(text).runtime;
  const { runs, words } = description;
  const from = words.stack.low;
  const below = runs.reduce((size, [at, length]) => (at < from ? size + length : size), 0);
  const low = new Uint8Array(new SharedArrayBuffer(below));
  const state = new Int32Array(new SharedArrayBuffer(4));
  return { description, load: { fd, offset, sha256, runs, from, low, state } };
}

// Whether Lean is now as it was when the image was taken. If not, whatever of it has arrived is gone again.
function adopted() {
  const { description, load } = image;
  Atomics.wait(load.state, 0, WAITING);
  mark("loaded");
  try {
    if (load.state[0] !== LOADED) throw new Unfit("the image is damaged");
    const low = [];
    let at = 0;
    for (const [address, length] of load.runs) {
      if (address < load.from) low.push([address, load.low.subarray(at, (at += length))]);
    }
    runtime.adopt(description, low);
    return true;
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    for (const [address, length] of load.runs) {
      if (address >= load.from) heap.h8.fill(0, address, address + length);
    }
    return false;
  }
}

// Returns whether Lean comes from the image.
function initialise() {
  mark("instantiated");
  names.table = Module.leanhost.wasmTable;
  heap = new Heap(Module.leanhost, names);
  tasks = new Tasks(heap);
  files = new Files(Module.leanhost);
  runtime = new Runtime(heap, tasks);
  Module.onSlot = (slot, former) => runtime.slots.push([slot, former]);
  if (image !== undefined && adopted()) return true;
  placeStack();
  call("lean_initialize_runtime_module");
  call("lean_initialize");
  mark("initialised");
  call("lean_enable_initializer_execution");
  call("lean_io_mark_end_initialization");
  call("lean_init_task_manager_using", 1);
  heap.views();
  return false;
}

function mark(what) {
  if (config.trace) console.error(`[${what} ${performance.now().toFixed(0)} ms]`);
}

function main() {
  const workerData = { memory, gate, fd: config.controlFd, parent: config.parent, scratch: config.scratch };
  new Worker(path.join(__dirname, "control.js"), { workerData: { ...workerData, image: image && image.load } });
  Module = {
    noInitialRun: true,
    wasmMemory: memory,
    heapMax: config.heapMax,
    locateFile: () => config.wasm,
    addressOf: (name) => names.address(name),
    onThread: () => 0, // never runs; work that nobody waits for is not missed
    onWait: (condition, mutex) => tasks.wait(condition, mutex),
    instantiateWasm: (imports, receive) => {
      refuseCalls(imports.env);
      const bytes = fs.readFileSync(config.wasm);
      names = new Symbols(bytes);
      mark("read");
      const module = new WebAssembly.Module(bytes);
      bytes.buffer.transfer(0); // frees it now, and not when the collector comes
      mark("compiled");
      receive(new WebAssembly.Instance(module, imports), module);
      mark("received");
    },
    onRuntimeInitialized: () => {
      try {
        const fromImage = initialise();
        const out = newReply();
        out.u8(fromImage ? 1 : 0);
        mark("ready");
        reply(out, 0, OK);
      } catch (error) {
        crash(0, ...explain(error));
      }
      for (;;) {
        const r = readFrame();
        serve(r.u32(), r.u8(), r);
      }
    },
  };
  require(config.glue)(Module);
}

process.on("uncaughtException", (error) => crash(0, "internal", (error && error.stack) || String(error)));
main();
