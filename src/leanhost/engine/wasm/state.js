// What the glue's JavaScript objects hold, kept and put back: open files, mounts, and whatever else it may remember.
"use strict";

// Not entered: values that hold no state of the glue's, or whose state is kept elsewhere.
function isClosed(value) {
  return (
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer ||
    value instanceof SharedArrayBuffer ||
    value instanceof WeakMap ||
    value instanceof WebAssembly.Memory ||
    value instanceof WebAssembly.Table ||
    value instanceof WebAssembly.Module ||
    value instanceof WebAssembly.Instance ||
    Object.isFrozen(value)
  );
}

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

// The objects that can be reached from `roots`, except through those in `outside`, with what they hold now.
class Kept {
  constructor(roots, outside) {
    this.objects = [];
    const seen = new Set(outside);
    const queue = [...roots];
    while (queue.length) {
      const value = queue.pop();
      if (!isObject(value) || seen.has(value)) continue;
      seen.add(value);
      if (isClosed(value)) continue;
      const kept = keep(value);
      this.objects.push(kept);
      for (const held of kept.values) if (isObject(held)) queue.push(held);
    }
  }

  putBack() {
    for (const kept of this.objects) kept.putBack();
  }
}

function keep(value) {
  if (value instanceof WebAssembly.Global) return new KeptGlobal(value);
  if (value instanceof Map) return new KeptMap(value);
  if (value instanceof Set) return new KeptSet(value);
  return new KeptProperties(value);
}

class KeptGlobal {
  constructor(global) {
    this.global = global;
    this.value = global.value;
    this.values = [];
  }
  putBack() {
    if (this.global.value !== this.value) this.global.value = this.value;
  }
}

class KeptMap {
  constructor(map) {
    this.map = map;
    this.entries = [...map];
    this.values = this.entries.flat();
  }
  putBack() {
    this.map.clear();
    for (const [key, value] of this.entries) this.map.set(key, value);
  }
}

class KeptSet {
  constructor(set) {
    this.set = set;
    this.values = [...set];
  }
  putBack() {
    this.set.clear();
    for (const value of this.values) this.set.add(value);
  }
}

class KeptProperties {
  constructor(object) {
    this.object = object;
    this.keys = [];
    this.values = [];
    this.all = 0; // own keys, those included that are not kept: accessors, constants
    for (const key of Reflect.ownKeys(object)) {
      this.all++;
      const property = Reflect.getOwnPropertyDescriptor(object, key);
      if (!property.writable) continue;
      this.keys.push(key);
      this.values.push(property.value);
    }
  }

  putBack() {
    const { object, keys, values } = this;
    const now = Reflect.ownKeys(object);
    if (now.length !== this.all || keys.some((key) => !Object.hasOwn(object, key))) this.removeNew(now);
    for (let i = 0; i < keys.length; i++) if (!Object.is(object[keys[i]], values[i])) object[keys[i]] = values[i];
  }

  removeNew(now) {
    const { object } = this;
    const known = new Set(this.keys);
    for (const key of now) {
      if (!known.has(key) && Reflect.getOwnPropertyDescriptor(object, key).configurable) delete object[key];
    }
    if (Array.isArray(object)) object.length = this.values[this.keys.indexOf("length")];
  }
}

module.exports = { Kept };
