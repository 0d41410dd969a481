// Builds dist/bssh.mjs: the whole command in one executable file.
//
// The parts that cli/main.ts imports lazily stay lazy down to the parser: all chunks are kept in one comment at the
// end of the file, which V8 only skips, and each is compiled when something first requires it. As plain module text
// the same code costs about 40 ms of parsing at every start, `bssh -V` included. Packages under LAZY_PACKAGES go
// one step further: even a static import of them compiles them only when one of their exports is first
// touched, which is sound because they do nothing but define things.
//
// What this asks of the source: no top-level await, and no import.meta in what the command reaches.
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

const ENTRY = process.env.BSSH_BUNDLE_ENTRY ?? 'cli/main.ts';
const OUT_DIR = process.env.BSSH_BUNDLE_DIR ?? 'dist';
const LAZY_PACKAGES = /node_modules[\\/](@noble[\\/][^\\/]+|tweetnacl)[\\/](?:.*[\\/])?([^\\/]+?)\.js$/;

/**
 * Runs in the finished file, so it is plain ES2022. Written in front of it: `chunks` (where each one begins, counted from
 * the end of the file, and its length), `lazy` and `entry`.
 */
function bootstrap() {
  const { Script } = process.getBuiltinModule('node:vm');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const self = fileURLToPath(import.meta.url);
  const file = process.getBuiltinModule('node:fs').readFileSync(self, 'latin1');
  const textOf = ([fromEnd, length]) => {
    const text = file.substr(file.length - fromEnd, length);
    if (!text.includes('\x01')) return text;
    return text.replace(/\x01(....)/g, (_all, code) => String.fromCharCode(Number.parseInt(code, 16)));
  };
  const loaded = new Map();
  const load = (name) => {
    const known = loaded.get(name);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(name, module);
    const text = `(function(require,module,exports,__filename){"use strict";${textOf(chunks[name])}\n})`;
    const run = new Script(text, { filename: `bssh:${name}` }).runInThisContext();
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
      Object.defineProperty(made, key, { enumerable: true, get });
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
 * The file is a shell script and a module at once: the shell takes the first two lines and becomes node, node sees a
 * string and a comment. So that node starts with a collector of one thread: the heap is small, and the helper threads cost
 * a third of the processor time of a download. (V8 cannot change this after its start, and `env -S` is not everywhere.)
 */
const LAUNCH = '#!/bin/sh\n":" //; exec node --single-threaded-gc "$0" "$@"';

/** What an import of a CommonJS module becomes: evaluated at once by the bundler, here when its export is first touched. */
const COMMON_JS = /(?:\/\* @__PURE__ \*\/ )?\w+\.__toESM\((\w+\.require_\w+\(\)),1\)/g;

/** Text that may stand in a comment of an ASCII file: characters that may not become U+0001 and four hexadecimal digits. */
const inComment = (text) =>
  text.replace(/(?<=\*)\/|[^\t\n -~]/g, (c) => `\x01${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
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
      const modules = [];
      let entry;
      for (const [file, item] of Object.entries(bundle)) {
        if (item.type !== 'chunk') this.error(`the bundle must consist of chunks only, not ${file}`);
        const name = file.replace(/\.js$/, '');
        chunks[name] = inComment(item.code.replace(/^#!.*\n/, '').replace(COMMON_JS, '{get default(){return $1}}'));
        if (item.isEntry) entry = name;
        if (item.moduleIds.length > 0 && item.moduleIds.every((id) => LAZY_PACKAGES.test(id)))
          lazy[name] = item.exports;
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
      const tables = Object.entries({ chunks: places, lazy, entry }).map(
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
