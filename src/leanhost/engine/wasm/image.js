// The state of a Lean at rest, kept so that it can be put back, in this process or in another one.
// It is its memory, the slots of its table, a few globals, and what the glue and this host remember beside it.
"use strict";

const { Kept } = require("./state.js");

const CHUNK = 1 << 16; // compared, copied and zeroed at a time
const ZEROS = Buffer.alloc(CHUNK);

class Unfit extends Error {}

// Write `source` over memory from `from` on, where it differs: most of it does not.
function write(memory, from, source) {
  for (let at = 0; at < source.length; at += CHUNK) {
    const end = Math.min(at + CHUNK, source.length);
    if (source.compare(memory, from + at, from + end, at, end) !== 0) {
      memory.set(source.subarray(at, end), from + at);
    }
  }
}

function zero(memory, from, to) {
  for (let at = from; at < to; ) {
    const end = Math.min(to, at - (at % CHUNK) + CHUNK);
    if (ZEROS.compare(memory, at, end, 0, end - at) !== 0) memory.fill(0, at, end);
    at = end;
  }
}

class Runtime {
  constructor(heap, tasks) {
    this.heap = heap;
    this.tasks = tasks;
    this.stack = null; // the limits of the C stack: below its pointer, no memory between them is in use
    this.thread = 0;
    this.callbacks = 0;
    this.lean = heap.lean;
    this.exports = heap.lean.wasmExports;
    this.errno = heap.names.function("__errno_location");
    this.setThread = heap.names.function("__set_thread_state");
    this.slots = []; // [slot, former value] of those that were written since the last snapshot
    this.kept = null;
  }

  bytes() {
    return Buffer.from(this.heap.memory.buffer);
  }

  end() {
    this.heap.views();
    return this.heap.h32[this.exports.emscripten_get_sbrk_ptr() >>> 2] >>> 0;
  }

  // What a process must have in common with another one whose memory it takes over.
  identity() {
    return {
      errno: this.errno(),
      thread: this.exports.pthread_self(),
      table: this.lean.wasmTable.length,
      free: this.lean.freeTableIndexes.length,
      files: this.lean.FS.streams.filter((stream) => stream).length,
    };
  }

  // The few words beside memory.
  words() {
    const { heap, tasks } = this;
    return {
      pointer: this.exports.emscripten_stack_get_current(),
      result: this.exports._emscripten_tempret_get(),
      scratch: heap.scratch,
      scratchSize: heap.scratchSize,
      finished: tasks.finished,
      closure: tasks.closure,
      place: tasks.place,
      stack: this.stack,
      end: this.end(),
    };
  }

  setWords(words) {
    const { heap, tasks, exports } = this;
    this.stack = words.stack;
    exports.emscripten_stack_set_limits(words.stack.high, words.stack.low);
    exports._emscripten_stack_restore(words.pointer);
    exports._emscripten_tempret_set(words.result);
    this.setThread(this.thread, 1, 1, 1);
    heap.scratch = words.scratch;
    heap.scratchSize = words.scratchSize;
    heap.oversized = 0;
    tasks.finished = words.finished;
    tasks.closure = words.closure;
    tasks.place = words.place;
    heap.views();
  }

  // Memory that holds nothing: the C stack below its pointer, and what was never allocated.
  clear(words) {
    const memory = this.bytes();
    zero(memory, words.stack.low, words.pointer);
    zero(memory, words.end, memory.length);
  }

  // --- in this process

  take() {
    const { lean } = this;
    const words = this.words();
    const identity = this.identity();
    this.thread = identity.thread;
    const memory = this.bytes();
    const low = Buffer.from(memory.subarray(0, words.stack.low));
    const high = Buffer.from(memory.subarray(words.pointer, words.end));
    const { variables } = lean;
    const outside = [lean.wasmExports, lean.wasmTableMirror, globalThis, process, lean, ...OUTSIDE];
    const glue = new Kept([...variables, lean.wasmImports], outside);
    this.slots = [];
    this.kept = { callbacks: this.callbacks, words, identity, low, high, variables, glue, streams: [...lean.FS.streams] };
  }

  putBack() {
    const { kept, lean } = this;
    if (kept === null) throw new Unfit("there is no snapshot");
    const { words } = kept;
    this.closeFiles();
    this.putSlots();
    lean.variables = kept.variables;
    kept.glue.putBack();
    for (let slot = lean.wasmTable.length; slot > kept.identity.table; slot--) lean.freeTableIndexes.unshift(slot - 1);
    const memory = this.bytes();
    write(memory, 0, kept.low);
    write(memory, words.pointer, kept.high);
    this.clear(words);
    this.setWords(words);
    this.callbacks = kept.callbacks;
    // Nothing but Lean's own code sets where the thread's variables are; whoever called that has to go.
    if (this.errno() !== kept.identity.errno || this.exports.pthread_self() !== kept.identity.thread) {
      throw new Unfit("the thread's variables have moved");
    }
  }

  // What was opened since keeps a descriptor of the host's.
  closeFiles() {
    const { FS } = this.lean;
    for (const stream of FS.streams) {
      if (!stream || this.kept.streams[stream.fd] === stream) continue;
      try {
        FS.close(stream);
      } catch {
        // A file that cannot be closed was closed before.
      }
    }
  }

  putSlots() {
    const { wasmTable, wasmTableMirror } = this.lean;
    for (const [slot, former] of this.slots.reverse()) {
      wasmTable.set(slot, former);
      wasmTableMirror[slot] = undefined;
    }
    this.slots = [];
  }

  // --- for another process

  describe() {
    if (this.callbacks !== 0) throw new Unfit("there are callbacks");
    const words = this.words();
    const memory = this.bytes();
    const runs = [];
    for (const [from, to] of [
      [0, words.stack.low],
      [words.pointer, words.end],
    ]) {
      for (let at = from; at < to; ) {
        const end = Math.min(to, at - (at % CHUNK) + CHUNK);
        const last = runs.at(-1);
        if (ZEROS.compare(memory, at, end, 0, end - at) !== 0) {
          if (last !== undefined && last[0] + last[1] === at) last[1] += end - at;
          else runs.push([at, end - at]);
        }
        at = end;
      }
    }
    return { words, identity: this.identity(), runs, memory: memory.length };
  }

  // Take over what another process described; its memory is here already, except for what lies in `low`.
  adopt({ words, identity }, low) {
    const own = this.identity();
    if (this.end() > words.stack.low) throw new Unfit("the start has used the memory of the image");
    for (const name of Object.keys(identity)) {
      if (own[name] !== identity[name]) throw new Unfit(`${name} is ${own[name]}, not ${identity[name]}`);
    }
    this.thread = own.thread;
    const memory = this.bytes();
    memory.fill(0, 0, words.stack.low); // the start wrote here, and the image may have nothing
    for (const [at, bytes] of low) memory.set(bytes, at);
    this.setWords(words);
  }
}

const OUTSIDE = ["fs", "path", "crypto", "worker_threads", "module"].map((name) => require(name));

module.exports = { Runtime, Unfit };
