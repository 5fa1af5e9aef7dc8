// The live JavaScript interpreter of a session: runs cells in one global scope, as Node's own prompt does.
//
// Requests come in on descriptor 3, one JSON object a line: {run, code} or {interrupt: run}; a worker reads them, so
// that a cell that keeps the main thread busy can be interrupted. Events go out on descriptor 4: {ready}, {run, result,
// main}, {run, end, ...}. What a cell prints goes to the real standard output and error.
'use strict';
{
  // A cell may do with the names of the global scope what it likes.
  const { Array, ArrayBuffer, Atomics, Buffer, Error, Int32Array, Number, Object, Promise, SharedArrayBuffer, String, SyntaxError, performance, process } = globalThis;
  const { parse, stringify } = JSON;
  const { writeSync } = require('fs');
  const inspector = require('inspector');
  const path = require('path');
  const { createRequire } = require('module');
  const { inspect, types } = require('util');
  const { Worker, SHARE_ENV } = require('worker_threads');

  const EVENTS = 4;
  // The longest text of an error; a stack on standard error has all of it.
  const ERROR_LENGTH = 10_000;
  const READER = `
    const { parentPort, workerData: inCell } = require('worker_threads');
    const inspector = require('inspector');
    const net = require('net');
    const { StringDecoder } = require('string_decoder');
    const main = new inspector.Session();
    main.connectToMainThread();
    const decoder = new StringDecoder('utf8');
    let pending = '', running = null, isTerminating = false;
    // The word of the end of a run may come after the next run.
    parentPort.on('message', (ended) => { if (ended === running) running = null; });
    const interrupt = (run) => {
      if (run !== running) return;
      const insist = (isFirst) => {
        if (running !== run) return clearInterval(timer);
        // A cell that only waits stops by this message; one that computes has to be stopped. Where it has just begun to
        // wait, that may hit what handles the message: the next one mends it.
        parentPort.postMessage({ interrupt: run });
        // Programs that the cell waits for end as they do by a terminal's Ctrl-C; this process ignores it.
        process.kill(0, 'SIGINT');
        if (isFirst || Atomics.load(inCell, 0) === 0) return;
        main.post('Runtime.terminateExecution');
        isTerminating = true;
      };
      const timer = setInterval(insist, 400, false);
      insist(true);
    };
    const socket = new net.Socket({ fd: 3, readable: true, writable: false });
    socket.on('data', (bytes) => {
      const lines = (pending + decoder.write(bytes)).split('\\n');
      pending = lines.pop();
      for (const line of lines) {
        const request = JSON.parse(line);
        if ('interrupt' in request) interrupt(request.interrupt);
        else {
          running = request.run;
          // What came too late to stop the last run hits this message, and not the next run's.
          if (isTerminating) parentPort.postMessage({ interrupt: 0 });
          isTerminating = false;
          parentPort.postMessage(request);
        }
      }
    });
    socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
  `;

  // 1 while a cell's own code may run: the kernel's must not be terminated.
  const inCell = new Int32Array(new SharedArrayBuffer(4));
  let currentRun = null;
  let stopWaiting = () => {};
  let count = 0;

  // Half of a surrogate pair, which JSON writes as an escape, is no character: whoever reads UTF-8 refuses it.
  const withoutHalves = (json) => json.replace(/\\(?:ud[89a-f]..|.)/g, (escape) => (escape.startsWith('\\ud') ? '\\ufffd' : escape));

  const send = (event) => {
    let data = Buffer.from(withoutHalves(stringify(event)) + '\n');
    while (data.length > 0) data = data.subarray(writeSync(EVENTS, data));
  };

  // ---- values

  const session = new inspector.Session();
  session.connect();

  const post = (method, params) => new Promise((resolve, reject) => {
    session.post(method, params, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

  // The inspector hands out descriptions of values; this box gets the values themselves.
  const box = { value: undefined };
  let boxId;

  const openBox = async () => {
    const name = `box${process.pid}`;
    globalThis[name] = box;
    boxId = (await post('Runtime.evaluate', { expression: name })).result.objectId;
    delete globalThis[name];
  };

  const valueOf = async (remote) => {
    const argument = 'objectId' in remote ? { objectId: remote.objectId }
      : 'unserializableValue' in remote ? { unserializableValue: remote.unserializableValue }
        : { value: remote.value };
    const functionDeclaration = 'function (value) { this.value = value; }';
    await post('Runtime.callFunctionOn', { objectId: boxId, functionDeclaration, arguments: [argument] });
    const { value } = box;
    box.value = undefined;
    // In an object: a promise would be waited for otherwise.
    return { value };
  };

  // ---- display

  const isPlain = (value) => Array.isArray(value)
    || (value !== null && typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value)));

  const representations = (value) => {
    const bundle = { 'text/plain': inspect(value) };
    if (!isPlain(value)) return bundle;
    try {
      const text = stringify(value);
      if (text !== undefined) bundle['application/json'] = parse(text);
    } catch {
      // Circular, or a BigInt: only as text then.
    }
    return bundle;
  };

  const isBundle = (value) => isPlain(value) && !Array.isArray(value) && Object.keys(value).length > 0
    && Object.keys(value).every((key) => /^[a-z]+\/[\w.+-]+$/.test(key));

  const asData = (data) => (ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') : data);

  const display = (...values) => {
    for (const value of values) {
      const bundle = isBundle(value)
        ? Object.fromEntries(Object.entries(value).map(([mime, data]) => [mime, asData(data)]))
        : representations(value);
      send({ run: currentRun, result: bundle, main: false });
    }
  };

  // ---- cells

  class Exit {
    constructor(code) { this.code = Number(code ?? process.exitCode ?? 0); }
  }

  const INTERRUPTED = new Error('the run was interrupted');

  // `import()` and `import … from` have no meaning in a script that the inspector runs: both become a function of ours.
  const translateImports = (code) => (/\bimport\b/.test(code) ? outsideOfText(code, translateImportsOf) : code);

  const translateImportsOf = (code) => code
    .replace(/(?<![.\w$])import\s*\(/g, '__agb_import(')
    .replace(/^([ \t]*)import\s+(?:([^;'"\n(][^;'"(]*?)\s+from\s+)?(\u0000\d+\u0000)[ \t]*;?/gm, (_, indent, names, text) => {
      const load = `await __agb_import(${text})`;
      return indent + (names === undefined ? `${load};` : bindings(names, load));
    });

  // `a, { b as c }`, `* as d` or a mixture, as declarations.
  const bindings = (names, load) => {
    const all = names.match(/\*\s*as\s+([\w$]+)/);
    const braces = names.match(/\{([^}]*)\}/);
    const first = names.replace(/\{[^}]*\}|\*\s*as\s+[\w$]+/g, '').replace(/[,\s]/g, '');
    const parts = braces ? braces[1].split(',').map((part) => part.trim().replace(/\s+as\s+/, ': ')).filter(Boolean) : [];
    if (first) parts.unshift(`default: ${first}`);
    if (all && parts.length === 0) return `const ${all[1]} = ${load};`;
    if (all) return `const ${all[1]} = ${load}, { ${parts.join(', ')} } = ${all[1]};`;
    return `const { ${parts.join(', ')} } = ${load};`;
  };

  const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
  const STRING = /'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"/y;
  const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;
  // From a template's beginning, or from the end of an expression in it, to the next expression or the template's end.
  const TEMPLATE = /[`}](?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
  // Behind anything else a slash divides.
  const BEFORE_REGEX = /(?:^|[=(,:;!&|?{}[*%~^<>]|(?<!\+)\+|(?<!-)-|(?<![.\w$])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield|instanceof)) ?$/;

  // Applies a change to the code but not to what its strings, templates, regular expressions and comments hold.
  const outsideOfText = (code, change) => {
    const texts = [];
    // For each template that is open, the braces that are open in its expression.
    const braces = [];
    let bare = '';
    // The last of the code that is neither space nor comment.
    let before = '';
    const patternAt = (char, next) => {
      if (char === '`' || (char === '}' && braces.at(-1) === 0)) return TEMPLATE;
      if (char === "'" || char === '"') return STRING;
      if (char !== '/') return undefined;
      if (next === '/' || next === '*') return COMMENT;
      return BEFORE_REGEX.test(before) ? REGEX : undefined;
    };
    for (let at = 0; at < code.length;) {
      const pattern = patternAt(code[at], code[at + 1]);
      if (pattern) pattern.lastIndex = at;
      const text = pattern?.exec(code)?.[0];
      if (text === undefined) {
        if (braces.length > 0) braces.push(braces.pop() + ({ '{': 1, '}': -1 }[code[at]] ?? 0));
        if (/\S/.test(code[at])) before = (before + code[at]).slice(-12);
        else if (/\w$/.test(before)) before += ' ';
        bare += code[at];
        at += 1;
        continue;
      }
      if (pattern === TEMPLATE && code[at] === '}') braces.pop();
      if (pattern === TEMPLATE && text.endsWith('${')) braces.push(0);
      if (pattern !== COMMENT) before = text.endsWith('${') ? '{' : 'text';
      bare += `\u0000${texts.push(text) - 1}\u0000`;
      at += text.length;
    }
    return change(bare).replace(/\u0000(\d+)\u0000/g, (_, index) => texts[index]);
  };

  const evaluate = async (code, name) => {
    const expression = `${translateImports(code)}\n//# sourceURL=${name}`;
    const answer = await post('Runtime.evaluate', { expression, replMode: true, objectGroup: name });
    const { value } = await valueOf(answer.exceptionDetails?.exception ?? answer.result);
    session.post('Runtime.releaseObjectGroup', { objectGroup: name });
    if (!answer.exceptionDetails) return { value: types.isPromise(value) ? await value : value };
    const { exceptionDetails } = answer;
    if (value instanceof SyntaxError && !String(value.stack).includes(name)) {
      value.stack = `${name}:${exceptionDetails.lineNumber + 1}:${exceptionDetails.columnNumber + 1}\n${value.name}: ${value.message}`;
    }
    throw value;
  };

  // The part of a stack below the cell is the kernel's.
  const cleanStack = (error) => {
    const lines = String(error.stack ?? error).split('\n');
    const end = lines.findIndex((line) => /^\s+at .*(node:inspector|\[eval\])/.test(line));
    return (end < 0 ? lines : lines.slice(0, end)).join('\n');
  };

  const message = (error) => {
    if (!types.isNativeError(error)) return cut(`Uncaught ${inspect(error)}`);
    return cut(error.message ? `${error.name}: ${error.message}` : String(error.name));
  };

  // Not in the middle of a character.
  const cut = (text) => (text.length > ERROR_LENGTH ? text.slice(0, ERROR_LENGTH).replace(/[\ud800-\udbff]$/, '') : text);

  const report = (error) => {
    if (error instanceof Exit) return error.code === 0 ? null : `process.exit(${error.code})`;
    // The inspector's word for a terminated cell.
    if (error === INTERRUPTED || error?.code === 'ERR_INSPECTOR_COMMAND') return INTERRUPTED.message;
    process.stderr.write(`${types.isNativeError(error) ? cleanStack(error) : message(error)}\n`);
    return message(error);
  };

  const runCell = async (code, end) => {
    const interrupted = new Promise((_, reject) => {
      stopWaiting = () => {
        reject(INTERRUPTED);
        // Asked again, what waits here was stopped itself and can't tell the end.
        stopWaiting = () => end(INTERRUPTED.message);
      };
    });
    try {
      Atomics.store(inCell, 0, 1);
      const { value } = await Promise.race([evaluate(code, `cell-${count}.js`), interrupted]);
      if (value !== undefined) send({ run: currentRun, result: representations(value), main: true });
      return null;
    } catch (error) {
      Atomics.store(inCell, 0, 0);
      return report(error);
    } finally {
      Atomics.store(inCell, 0, 0);
    }
  };

  const serve = async ({ run, code }) => {
    currentRun = run;
    count += 1;
    const started = performance.now();
    const end = (error) => {
      send({ run, end: true, count, seconds: (performance.now() - started) / 1000, error });
      reader.postMessage(run);
      stopWaiting = () => {};
    };
    // A value that was thrown may throw itself when it is looked at.
    end(await runCell(code, end).catch(() => 'the error cannot be told'));
  };

  const onUncaught = (error) => {
    if (error instanceof Exit || error === INTERRUPTED) return;
    process.stderr.write(`Uncaught ${types.isNativeError(error) ? cleanStack(error) : inspect(error)}\n`);
  };

  // ---- set-up

  process.execArgv = [];
  process.exit = (code) => { throw new Exit(code); };
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
  process.on('SIGINT', () => {});

  const home = path.join(process.cwd(), 'cell.js');
  const globals = { require: createRequire(home), __filename: home, __dirname: path.dirname(home), display, __agb_import: (name, options) => import(name, options) };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  for (const name of ['module', 'exports']) {
    const value = name === 'module' ? { exports: {} } : globalThis.module.exports;
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }

  const reader = new Worker(READER, { eval: true, execArgv: [], env: SHARE_ENV, workerData: inCell });
  reader.on('message', (request) => {
    if ('interrupt' in request) {
      if (request.interrupt !== currentRun) return;
      Atomics.store(inCell, 0, 0);
      stopWaiting();
    } else {
      void serve(request);
    }
  });
  reader.on('online', () => { void openBox().then(() => send({ ready: true })); });
}
