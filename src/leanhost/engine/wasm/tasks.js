// Lean's tasks without threads: what is queued runs where somebody waits for it.
"use strict";

const { BOX0 } = require("./heap.js");

// Thrown where Lean would wait for what no thread will ever bring.
class Deadlock {}

// Thrown where Lean's worker would wait for more to do: its loop is over, and the caller that waited goes on.
class Idle {}

const IDLE_WORKERS = 9; // the word of lean::task_manager that counts workers with nothing to do

// The body of the thread that `task_manager::spawn_worker` starts.
const WORKER_BODY = "_ZZN4lean12task_manager12spawn_workerEvENKUlvE_clEv";

class Tasks {
  constructor(heap) {
    this.heap = heap;
    this.lean = heap.lean.wasmExports;
    this.workerBody = heap.names.function(WORKER_BODY);
    this.countHeartbeats = heap.names.function("lean_io_get_num_heartbeats");
    this.unlock = heap.names.function("pthread_mutex_unlock");
    this.finished = 0;
    this.closure = 0;
    this.place = "";
  }

  // Stands in for pthread_cond_wait: what is queued runs here and now, in the worker's own loop.
  wait(condition, mutex) {
    const { heap } = this;
    // The first to wait is task_manager::wait_for, because no worker ever started; other conditions are the worker's.
    if (!this.finished) this.finished = condition;
    if (condition !== this.finished) throw new Idle();
    // Whoever waits again in the same place, with nothing allocated since, was not helped by an emptied queue.
    if (this.here() === this.place) throw new Deadlock();
    heap.views();
    const idle = (mutex >>> 2) + IDLE_WORKERS; // the task manager begins with its mutex
    const before = heap.h32[idle];
    this.runQueued(mutex);
    heap.views();
    heap.h32[idle] = before;
    this.place = this.here();
    return 0;
  }

  here() {
    return `${this.lean.emscripten_stack_get_current()} ${this.heartbeats()}`;
  }

  heartbeats() {
    const counted = this.countHeartbeats(BOX0); // some builds have a world token there
    if (!(counted & 1)) this.heap.dec(counted);
    return counted;
  }

  runQueued(mutex) {
    const { heap, lean } = this;
    if (!this.closure) {
      this.closure = heap.exports.malloc(16) >>> 0;
      heap.views();
      heap.h32[this.closure >>> 2] = mutex;
    }
    const stack = lean.emscripten_stack_get_current();
    this.unlock(mutex);
    try {
      this.workerBody(this.closure);
    } catch (error) {
      if (!(error instanceof Idle)) throw error;
      lean._emscripten_stack_restore(stack); // with the mutex locked again, as a wait returns
    }
  }
}

module.exports = { Deadlock, Tasks };
