// Runs the emulator's Actions: one line of JSON in, one out. Code is kept by version, so that what an
// Action remembers outside of its functions lasts from one run to the next, as in a warm container.
const { AsyncLocalStorage } = require('node:async_hooks');
const readline = require('node:readline');
const vm = require('node:vm');

const LONGEST_LINE = 256;
const runs = new AsyncLocalStorage();
const versions = new Map();

const log = (...parts) => {
  const text = parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
  runs.getStore()?.logs.push(text.slice(0, LONGEST_LINE));
};
const console_ = { log, info: log, warn: log, error: log, debug: log };

function load({ version, name, code }) {
  let known = versions.get(version);
  if (!known) {
    const wrapped = vm.compileFunction(code, ['exports', 'require', 'module', 'console'], { filename: `${name}.js` });
    const module = { exports: {} };
    wrapped(module.exports, require, module, console_);
    known = module.exports;
    versions.set(version, known);
  }
  return known;
}

// Every part of `api` can be called; what was called is told, and a denial counts.
function api(run, path = []) {
  return new Proxy(() => {}, {
    get: (_, name) => (name === 'then' ? undefined : api(run, [...path, String(name)])),
    apply: (_, self, args) => {
      const call = path.join('.');
      run.calls.push({ call, arguments: args });
      if (call === 'access.deny') run.denied = String(args.at(-1) ?? 'access_denied');
      return undefined;
    },
  });
}

async function one(action, handler, event, run) {
  const result = { action_name: action.name, started_at: new Date().toISOString() };
  try {
    const act = load(action)[handler];
    if (typeof act !== 'function') throw new TypeError(`${handler} is not exported`);
    const own = { ...structuredClone(event), secrets: action.secrets, configuration: {} };
    await runs.run(run, () => act(own, api(run)));
  } catch (error) {
    result.error = { id: 'script_error', msg: String(error?.stack ?? error).slice(0, 1024) };
  }
  result.ended_at = new Date().toISOString();
  return result;
}

async function trigger({ id, actions, handler, event, blocking }) {
  const run = { calls: [], logs: [], denied: null };
  const results = [];
  for (const action of actions) {
    const result = await one(action, handler, event, run);
    results.push(result);
    // What follows does not run once access is denied or an Action has failed.
    if (blocking && (result.error || run.denied)) break;
  }
  process.stdout.write(`${JSON.stringify({ id, results, ...run })}\n`);
}

process.on('unhandledRejection', () => {});
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => void trigger(JSON.parse(line)));
lines.on('close', () => process.exit(0));
