// What Lean's code may reach: files of mounted directories, for reading; for writing only where a mount says so.
// Node's permission model stands behind this, for whatever should get past it.
"use strict";

const fs = require("fs");

// Emscripten numbers errors as WASI does.
const EACCES = 2;
const EIO = 29;
const ENOSYS = 52;
const EROFS = 69;

const WRITING = 3 | 512; // O_WRONLY, O_RDWR, O_TRUNC

// The glue's ways out of the sandbox: other programs, the network, and code that comes from files or text.
const REFUSED = [
  "_emscripten_system",
  "_dlopen_js",
  "_dlsym_catchup_js",
  "_emscripten_dlopen_js",
  "emscripten_run_script",
  "emscripten_run_script_int",
  "emscripten_run_script_string",
  "emscripten_async_run_script",
  "emscripten_async_load_script",
  "emscripten_wget_data",
  "__syscall_socket",
  "__syscall_connect",
  "__syscall_bind",
  "__syscall_listen",
];
const ANSWERS = { _dlopen_js: 0, _dlsym_catchup_js: 0, emscripten_wget_data: undefined };

function refuseCalls(imports) {
  for (const name of REFUSED) {
    const answer = name in ANSWERS ? ANSWERS[name] : -ENOSYS;
    const signature = imports[name] && imports[name].sig;
    imports[name] = Object.assign(() => answer, { sig: signature });
  }
}

class Files {
  constructor({ FS, NODEFS }) {
    this.FS = FS;
    this.NODEFS = NODEFS;
    this.mounting = false;
    const convert = NODEFS.convertNodeCode;
    // A code without a number would be taken for success.
    NODEFS.convertNodeCode = (error) => (error.code === "ERR_ACCESS_DENIED" ? EACCES : convert(error) || EIO);
    const writable = (node) => node.mount.opts.writable;
    guardNodes(NODEFS.node_ops, writable, FS);
    guardStreams(NODEFS.stream_ops, writable, FS);
    // The file system in memory holds the mount points only: what is written there would be out of every limit.
    const { dir, file, link, chrdev } = FS.filesystems.MEMFS.ops_table;
    for (const ops of [dir, file, link, chrdev]) guardNodes(ops.node, () => this.mounting, FS);
    guardStreams(file.stream, () => false, FS);
  }

  mount(directory, writable) {
    const { FS, NODEFS } = this;
    this.mounting = true;
    try {
      FS.mkdirTree(directory);
      // Below another mount the path may be a link.
      const found = FS.lookupPath(directory, { follow: true });
      const { mount } = found.node;
      if (mount.mountpoint === found.path) mount.opts.writable ||= writable;
      // Links in the path are resolved by the host; Lean sees the path it was told.
      else FS.mount(NODEFS, { root: fs.realpathSync(directory), writable }, found.path);
    } finally {
      this.mounting = false;
    }
  }
}

function guardNodes(ops, writable, FS) {
  for (const name of ["mknod", "rename", "unlink", "rmdir", "symlink", "setattr"]) {
    const original = ops[name];
    if (original === undefined) continue;
    ops[name] = (node, ...rest) => {
      if (!writable(node) || (name === "rename" && !writable(rest[0]))) throw new FS.ErrnoError(EROFS);
      return original(node, ...rest);
    };
  }
}

function guardStreams(ops, writable, FS) {
  for (const name of ["open", "write", "setattr"]) {
    const original = ops[name];
    if (original === undefined) continue;
    ops[name] = (stream, ...rest) => {
      if (!(name === "open" && !(stream.flags & WRITING)) && !writable(stream.node)) throw new FS.ErrnoError(EROFS);
      return original(stream, ...rest);
    };
  }
}

module.exports = { Files, refuseCalls };
