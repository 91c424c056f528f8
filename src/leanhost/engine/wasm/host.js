// One Lean runtime behind a pair of pipes. Started by leanhost.engine.wasm; see that package for the protocol.
"use strict";

const fs = require("fs");
const path = require("path");
const { Worker } = require("worker_threads");
const { Reader, Writer } = require("./bytes.js");
const { Files, refuseCalls } = require("./confine.js");
const { TooLarge, dump } = require("./dump.js");
const { BOX0, Heap, Refused, Thrown } = require("./heap.js");
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

const HEADER = 9; // length of the rest, request id, status

let files;
let heap;
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
  if (error instanceof WebAssembly.RuntimeError) return ["trap", error.message];
  if (typeof error === "number") return ["exception", "a C++ exception reached the top"];
  return ["internal", (error && error.stack) || String(error)];
}

const CANARY = 0x5ca1ab1e;
let canary;

// Lean's C stack grows down towards this zone, which nothing else writes.
function placeStack(exports, memory) {
  const zone = 1 << 16;
  const base = exports.malloc(zone + config.stackBytes) >>> 0;
  if (!base) throw new Error("no memory for the stack");
  const low = (base + zone + 15) & ~15;
  const high = (base + zone + config.stackBytes) & ~15;
  canary = { from: (base + 3) >>> 2, to: low >>> 2 };
  new Int32Array(memory.buffer).fill(CANARY, canary.from, canary.to);
  exports.emscripten_stack_set_limits(high, low);
  exports._emscripten_stack_restore(high);
}

function stackIntact() {
  const h32 = heap.h32;
  for (let i = canary.to - 1; i >= canary.from; i -= 64) if (h32[i] !== CANARY) return false;
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
  for (let n = r.u32(); n > 0; n--) out.u8(r.take(r.u16()).toString("latin1") in heap.exports ? 0 : 1);
  return out;
}

function callbackRequest(r) {
  const number = r.u32();
  const arity = r.u8();
  const f = (...words) => askPython(number, words);
  const slot = heap.lean.addFunction(heap.lean.convertJsFunctionToWasm(f, "i".repeat(arity + 1)));
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
  out.u32(heap.h32[heap.exports.emscripten_get_sbrk_ptr() >>> 2] - config.stackBytes);
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

const REQUESTS = {
  [EVAL]: evalRequest,
  [EVAL_DATA]: evalDataRequest,
  [MISSING]: missingRequest,
  [MAKE_CALLBACK]: callbackRequest,
  [USAGE]: usageRequest,
  [MOUNT]: mountRequest,
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
  const f = Module.leanhost.wasmExports[name];
  if (typeof f !== "function") throw new Error(`lean.wasm exports no ${name}`);
  // Where this build still has a world token, it is the last parameter.
  while (args.length < f.length) args.push(BOX0);
  return f(...args);
}

function initialise() {
  const { wasmExports, wasmMemory } = Module.leanhost;
  mark("instantiated");
  new Worker(path.join(__dirname, "control.js"), {
    workerData: { memory: wasmMemory, fd: config.controlFd, parent: config.parent, scratch: config.scratch },
  });
  placeStack(wasmExports, wasmMemory);
  files = new Files(Module.leanhost);
  call("lean_initialize_runtime_module");
  call("lean_initialize");
  mark("initialised");
  call("lean_enable_initializer_execution");
  call("lean_io_mark_end_initialization");
  call("lean_init_task_manager_using", 1);
  heap = new Heap(Module.leanhost);
  tasks = new Tasks(heap);
}

const began = performance.now();
function mark(what) {
  if (config.trace) console.error(`[${what} ${(performance.now() - began).toFixed(0)} ms]`);
}

function main() {
  Module = {
    noInitialRun: true,
    INITIAL_MEMORY: config.initialMemory,
    heapMax: config.heapMax,
    locateFile: () => config.wasm,
    onThread: () => 0, // never runs; work that nobody waits for is not missed
    onWait: (condition, mutex) => tasks.wait(condition, mutex),
    instantiateWasm: (imports, receive) => {
      refuseCalls(imports.env);
      const bytes = fs.readFileSync(config.wasm);
      mark("read");
      const module = new WebAssembly.Module(bytes);
      mark("compiled");
      receive(new WebAssembly.Instance(module, imports), module);
      mark("received");
    },
    onRuntimeInitialized: () => {
      try {
        initialise();
      } catch (error) {
        crash(0, ...explain(error));
      }
      reply(newReply(), 0, OK);
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
