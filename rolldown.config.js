// Builds dist/bssh.mjs: the whole command in one executable file.
//
// The parts that cli/main.ts imports lazily stay lazy down to the parser: all chunks are kept in one comment at the
// end of the file, which V8 only skips, and each is compiled when something first requires it. As plain module text
// the same code costs about 40 ms of parsing at every start, `bssh -V` included. Packages under LAZY_PACKAGES go
// one step further: even a static import of them compiles them only when one of their exports is first
// touched, which is sound because they do nothing but define things; under LAZY_FUNCTIONS, when one is first called.
//
// What V8 made of the chunks is kept in the user's cache folder and taken up by the next run: it is a quarter of the
// processor time of one short command. See docs/architecture.md, "The bundle".
//
// What this asks of the source: no top-level await, and no import.meta in what the command reaches.
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

const ENTRY = process.env.BSSH_BUNDLE_ENTRY ?? 'cli/main.ts';
const OUT_DIR = process.env.BSSH_BUNDLE_DIR ?? 'dist';
const LAZY_PACKAGES = /node_modules[\\/](@noble[\\/][^\\/]+|tweetnacl|string-width)[\\/](?:.*[\\/])?([^\\/]+?)\.js$/;
/** yargs has them in a table when it is loaded, and calls them for its help: patterns over Unicode that take 30 ms to make. */
const LAZY_FUNCTIONS = /[\\/]string-width[\\/]/;

/**
 * Runs in the finished file, so it is plain ES2022. Written in front of it: `chunks` (where each one begins, counted from
 * the end of the file, and its length), `lazy`, `functions`, `entry` and `build`, which is another for every other content.
 */
function bootstrap() {
  const { Script } = process.getBuiltinModule('node:vm');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const fs = process.getBuiltinModule('node:fs');
  // What the first lines of this file kept from node; programs that are started from here get it.
  if (process.env.BSSH_EXTRA_CA_CERTS) {
    process.env.NODE_EXTRA_CA_CERTS = process.env.BSSH_EXTRA_CA_CERTS;
    delete process.env.BSSH_EXTRA_CA_CERTS;
  }
  const self = fileURLToPath(import.meta.url);
  const file = fs.readFileSync(self, 'latin1');

  // The code of earlier runs: a line of JSON (the build, a digest of the code, and where each chunk's begins and how long it
  // is), then the code. The digest is against failing disks: V8 crashes on damaged code. Nothing here is needed: what cannot
  // be read, is of another build or may be written by others is done without.
  const digest = (bytes) => process.getBuiltinModule('node:crypto').createHash('sha256').update(bytes).digest('hex');
  const place = () => {
    const { HOME, XDG_CACHE_HOME, NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env;
    if (NODE_DISABLE_COMPILE_CACHE) return undefined;
    const name = `code-${build}-${process.version}-${process.arch}`;
    if (NODE_COMPILE_CACHE) return { folder: NODE_COMPILE_CACHE, path: `${NODE_COMPILE_CACHE}/${name}` };
    const home = XDG_CACHE_HOME?.startsWith('/') ? XDG_CACHE_HOME : HOME;
    // With somebody else's home (sudo) files would be left there that their owner could not replace.
    if (!home || fs.statSync(home).uid !== process.geteuid()) return undefined;
    const folder = `${home}${home === XDG_CACHE_HOME ? '' : '/.cache'}/bssh`;
    return { folder, path: `${folder}/${name}` };
  };
  const readKept = () => {
    const { path } = place() ?? {};
    if (!path) return undefined;
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      const { uid, mode } = fs.fstatSync(fd);
      if (uid !== process.geteuid() || (mode & 0o022) !== 0) return undefined;
      const bytes = fs.readFileSync(fd);
      const end = bytes.indexOf(10) + 1;
      const { build: madeFor, sum, places } = JSON.parse(bytes.toString('latin1', 0, end));
      const code = bytes.subarray(end);
      if (madeFor !== build || sum !== digest(code)) return undefined;
      return new Map(places.map(([name, from, length]) => [name, code.subarray(from, from + length)]));
    } finally {
      fs.closeSync(fd);
    }
  };
  const writeKept = (pieces) => {
    const { folder, path } = place() ?? {};
    if (!path) return;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    let end = 0;
    const places = [...pieces].map(([name, { length }]) => [name, (end += length) - length, length]);
    const code = Buffer.concat([...pieces.values()]);
    const head = Buffer.from(`${JSON.stringify({ build, sum: digest(code), places })}\n`);
    const part = `${path}.${process.pid}`;
    try {
      fs.writeFileSync(part, Buffer.concat([head, code]), { mode: 0o600, flag: 'wx', flush: true });
      fs.renameSync(part, path);
    } catch (error) {
      fs.rmSync(part, { force: true });
      throw error;
    }
    const old = Date.now() - 30 * 86_400_000;
    for (const name of fs.readdirSync(folder)) {
      if (/^code-/.test(name) && fs.statSync(`${folder}/${name}`).mtimeMs < old) fs.rmSync(`${folder}/${name}`);
    }
  };
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return undefined;
    }
  };
  let kept;
  const scripts = new Map();
  const compile = (name, text) => {
    // The entry alone is all that the shortest runs need.
    if (name === entry) return new Script(text, { filename: `bssh:${name}` });
    kept ??= attempt(readKept) ?? new Map();
    const cachedData = kept.get(name);
    const script = new Script(text, { filename: `bssh:${name}`, cachedData });
    // V8 refuses what it made with other flags: all of it then. Later on it may be because flags were changed meanwhile.
    if (script.cachedDataRejected && scripts.size === 0) kept.clear();
    scripts.set(name, script);
    return script;
  };
  process.on('exit', () => {
    if ([...scripts.keys()].every((name) => kept.has(name))) return;
    // Made now, it holds the functions that were called, too.
    for (const [name, script] of scripts) kept.set(name, script.createCachedData());
    attempt(() => writeKept(kept));
  });

  const textOf = ([fromEnd, length]) => file.substr(file.length - fromEnd, length).replaceAll('*\x01/', '*/');
  const loaded = new Map();
  const load = (name) => {
    const known = loaded.get(name);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(name, module);
    const text = `(function(require,module,exports,__filename){"use strict";${textOf(chunks[name])}\n})`;
    const run = compile(name, text).runInThisContext();
    // Between themselves lazy packages are wired directly: their inner loops call across files.
    run(requireFrom(lazy[name] ? load : facade), module, module.exports, self);
    return module.exports;
  };
  const facades = new Map();
  const facade = (name) => {
    if (!lazy[name]) return load(name);
    const known = facades.get(name);
    if (known) return known;
    const made = {};
    let target;
    const define = (key) => {
      const get = () => {
        target ??= load(name);
        return target[key];
      };
      if (functions.includes(name)) made[key] = (...args) => load(name)[key](...args);
      else Object.defineProperty(made, key, { enumerable: true, get });
    };
    lazy[name].forEach(define);
    facades.set(name, made);
    return made;
  };
  const requireFrom = (inside) => (id) =>
    id.startsWith('./') ? inside(id.slice(2, -3)) : process.getBuiltinModule(id);
  load(entry);
}

/**
 * The file is a shell script and a module at once: the shell takes the first lines and becomes node, node sees strings and
 * comments. So that node starts with a collector of one thread: the heap is small, and the helper threads cost a third of
 * the processor time of a download. (V8 cannot change this after its start, and `env -S` is not everywhere. Most other
 * flags of V8 cost more than they bring: node's own modules are then compiled anew at every start.) And so that node does
 * not read a bundle of certificates that nothing here asks for: where NODE_EXTRA_CA_CERTS is set, that is three quarters
 * of the start of Node 20.
 */
const LAUNCH = `#!/bin/sh
":" //; [ -z "$NODE_EXTRA_CA_CERTS" ] || { export BSSH_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"; unset NODE_EXTRA_CA_CERTS; }
":" //; exec node --single-threaded-gc "$0" "$@"`;

/** What an import of a CommonJS module becomes: evaluated at once by the bundler, here when its export is first touched. */
const COMMON_JS = /(?:\/\* @__PURE__ \*\/ )?\w+\.__toESM\((\w+\.require_\w+\(\)),1\)/g;

/**
 * Code that may stand in a comment of an ASCII file. Other characters are part of strings, templates and patterns, where an
 * escape says the same; not in raw templates and behind a backslash, so there must be none. An end of the comment is
 * parted by U+0001.
 */
const OTHER = /[^\t\n -~]/g;
const UNESCAPABLE = /String\.raw`[^`]*[^\t\n -~`][^`]*`|\\[^\t\n -~]/;
const inComment = (code) => {
  const found = UNESCAPABLE.exec(code);
  if (found !== null) throw new Error(`a character that cannot be escaped: ${found[0]}`);
  return code.replace(OTHER, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).replaceAll('*/', '*\x01/');
};
const COMMENT_END = '*/\n';

/** The licence texts that the packages inside the bundle ask to be kept with copies of them. */
function notices(modules) {
  const folders = new Set(
    modules.map((id) => /^.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id)?.[0]).filter(Boolean),
  );
  const parts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file ? readFileSync(`${folder}/${file}`, 'utf8') : ''}`;
  });
  return parts.join(`\n${'-'.repeat(72)}\n`);
}

function oneFile() {
  return {
    name: 'one-file',
    generateBundle(_options, bundle) {
      const chunks = {};
      const lazy = {};
      const functions = [];
      const modules = [];
      let entry;
      for (const [file, item] of Object.entries(bundle)) {
        if (item.type !== 'chunk') this.error(`the bundle must consist of chunks only, not ${file}`);
        const name = file.replace(/\.js$/, '');
        chunks[name] = inComment(item.code.replace(/^#!.*\n/, '').replace(COMMON_JS, '{get default(){return $1}}'));
        if (item.isEntry) entry = name;
        const isAll = (kind) => item.moduleIds.length > 0 && item.moduleIds.every((id) => kind.test(id));
        if (isAll(LAZY_PACKAGES)) lazy[name] = item.exports;
        if (isAll(LAZY_FUNCTIONS)) functions.push(name);
        modules.push(...item.moduleIds);
        delete bundle[file];
      }
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-NOTICES.txt', source: notices(modules) });
      const body = bootstrap.toString().replace(/^[^{]*\{|\}$/g, '');
      const places = {};
      let fromEnd = COMMENT_END.length;
      for (const name of Object.keys(chunks).reverse()) {
        fromEnd += chunks[name].length;
        places[name] = [fromEnd, chunks[name].length];
      }
      const hash = createHash('sha256').update(JSON.stringify([chunks, lazy, functions, entry, body]));
      const build = hash.digest('hex').slice(0, 16);
      const tables = Object.entries({ chunks: places, lazy, functions, entry, build }).map(
        ([name, value]) => `const ${name}=${JSON.stringify(value)};`,
      );
      this.emitFile({
        type: 'prebuilt-chunk',
        fileName: 'bssh.mjs',
        code: `${LAUNCH}\n${tables.join('\n')}\n${body}\n/*${Object.values(chunks).join('')}${COMMENT_END}`,
      });
    },
    writeBundle(options) {
      chmodSync(`${options.dir}/bssh.mjs`, 0o755);
    },
  };
}

export default defineConfig({
  input: { main: ENTRY },
  platform: 'node',
  preserveEntrySignatures: false,
  // The browser build of yaml is the same code as ES modules; the Node build is CommonJS and cannot be tree-shaken.
  resolve: { alias: { yaml: new URL('node_modules/yaml/browser/dist/index.js', import.meta.url).pathname } },
  transform: { target: 'node20', define: { 'import.meta.resolve': 'undefined' } },
  plugins: [oneFile()],
  output: {
    dir: OUT_DIR,
    format: 'cjs',
    strict: false,
    dynamicImportInCjs: false,
    minify: true,
    minifyInternalExports: false,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        {
          debugName: 'lazy',
          test: LAZY_PACKAGES,
          name: (id) =>
            id
              .replace(/.*node_modules.@?/, '')
              .replace(/\.js$/, '')
              .replace(/\W+/g, '-'),
        },
      ],
    },
  },
});
