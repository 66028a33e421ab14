// A server that plays the contract of the admin API, for developing and testing the page without one.
import { createServer } from 'node:http';
import { linesOf, OPERATIONS, Refusal } from './api.mjs';
import { chat } from './chat.mjs';
import { file } from './files.mjs';
import { fill, happen, makeWorld, sampleOf, say, statusOf } from './world.mjs';

const json = (response, status, value) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
};

const refuse = (response, { status = 500, code = 'internal', message, param = null }) =>
  json(response, status, {
    error: { message, type: 'invalid_request_error', param, code, retryable: status >= 500 },
  });

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

function matched(method, path) {
  const steps = path.split('/');
  for (const [its, pattern, answer] of OPERATIONS) {
    const wanted = pattern.split('/');
    if (its !== method || wanted.length !== steps.length) continue;
    const params = {};
    const fits = wanted.every((step, i) => {
      if (!step.startsWith(':')) return step === steps[i];
      params[step.slice(1)] = decodeURIComponent(steps[i]);
      return true;
    });
    if (fits) return { answer, params };
  }
  return null;
}

function stream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  return (event, data, id) =>
    response.write(
      `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
    );
}

/** `/admin/events`: what `/admin/status` and the others know, as it changes. */
function events(world, request, response, query) {
  const send = stream(response);
  let told = 0;
  let last = '';
  let id = 0;
  const since = Date.now() - Number(query.since_s ?? 3600) * 1000;
  const isResumed = request.headers['last-event-id'] !== undefined;
  world.resumed = request.headers['last-event-id'] ?? world.resumed;
  world.streams.add(response);
  if (isResumed) told = world.happenings.length;
  const next = () => `e${(id += 1)}`;
  const tick = () => {
    const status = statusOf(world);
    const text = JSON.stringify({ ...status, unix_ms: 0, uptime_s: 0 });
    if (text !== last) send('status', status, next());
    last = text;
    for (; told < world.happenings.length; told += 1) {
      const happening = world.happenings[told];
      if (happening.unix_ms > since - 1e9) send('event', happening, next());
    }
    if (id % 2) send('history', world.samples.at(-1), next());
    if (world.pulls.length > 0 || query.hadPulls) send('pulls', { pulls: world.pulls }, next());
    query.hadPulls = world.pulls.length > 0;
  };
  tick();
  const timer = setInterval(tick, 500);
  request.on('close', () => {
    clearInterval(timer);
    world.streams.delete(response);
  });
}

function follow(world, request, response, query) {
  const send = stream(response);
  let after = 0;
  const tick = () => {
    const fresh = linesOf(world, query).filter(({ number }) => number > after);
    if (fresh.length === 0) return;
    after = fresh.at(-1).number;
    send('lines', { lines: fresh.slice(-Number(query.lines ?? 200)) }, after);
  };
  tick();
  const timer = setInterval(tick, 300);
  request.on('close', () => clearInterval(timer));
}

async function upload(world, request, response, query) {
  const bytes = await bodyOf(request);
  if (world.models.some(({ name }) => name === query.name)) {
    throw new Refusal(409, 'conflict', `there is a model ${query.name} already`);
  }
  const stored = {
    name: query.name,
    origin: 'uploaded',
    source: query.file ?? 'folder',
    revision: null,
    format: 'gguf',
    quantization: 'Q8_0',
    bytes: bytes.length,
    added_unix_s: Math.floor(Date.now() / 1000),
    verified_unix_s: null,
    loaded: false,
    broken: null,
    files: [{ path: query.file ?? 'model', bytes: bytes.length, sha256: null }],
  };
  world.stored.push(stored);
  world.models.push({
    ...world.models[0],
    name: query.name,
    state: 'available',
    aliases: [],
    default: false,
    size_bytes: bytes.length,
    description: null,
  });
  happen(world, 'model.uploaded', query.name, `has come: ${bytes.length} bytes`);
  json(response, 200, stored);
}

function checkKey(world, request) {
  if (world.keys.length === 0) return;
  const given = request.headers.authorization?.replace(/^Bearer /, '');
  if (!world.keys.some(({ secret }) => secret === given)) {
    throw new Refusal(
      401,
      'invalid_api_key',
      given ? 'This key is not known here.' : 'This server asks for a key.',
    );
  }
}

async function answer(world, request, response) {
  const url = new URL(request.url, 'http://mock');
  const query = Object.fromEntries(url.searchParams);
  if (!/^\/(admin|v1)\//.test(url.pathname)) return file(response, url.pathname);
  checkKey(world, request);
  if (url.pathname === '/admin/events') return events(world, request, response, query);
  if (url.pathname === '/admin/logs/follow') return follow(world, request, response, query);
  if (url.pathname === '/admin/models' && request.method === 'POST')
    return upload(world, request, response, query);
  if (url.pathname === '/v1/chat/completions') {
    const body = JSON.parse(await bodyOf(request));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (data) =>
      response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    await chat(body, send, () => response.destroyed);
    return response.end();
  }
  const found = matched(request.method, url.pathname);
  if (!found) throw new Refusal(404, 'not_found', `there is nothing at ${url.pathname}`);
  const text = (await bodyOf(request)).toString();
  const body = text ? JSON.parse(text) : {};
  return json(response, 200, await found.answer(world, { params: found.params, query, body }));
}

/** Time passes: tokens are counted, pulls go on, lines are logged. */
function live(world) {
  let turn = 0;
  return setInterval(() => {
    turn += 1;
    for (const worker of world.workers) {
      if (worker.slots?.busy) {
        worker.completion_tokens += worker.slots.busy * 12;
        worker.prompt_tokens += worker.slots.busy * 30;
      }
    }
    for (const pull of world.pulls.filter(({ state }) => state === 'running')) {
      pull.bytes = Math.min(pull.total_bytes, pull.bytes + pull.total_bytes / 24);
      if (pull.bytes < pull.total_bytes) continue;
      world.pulls.splice(world.pulls.indexOf(pull), 1);
      world.models.push({ ...world.models[1], name: pull.name, state: 'available', aliases: [] });
      happen(world, 'model.pulled', pull.name, 'has come');
    }
    if (turn % 2) {
      world.samples.push(sampleOf(world, Math.floor(Date.now() / 1000), 1));
      if (world.samples.length > 700) world.samples.splice(0, 100);
    }
    say(world, turn % 2 ? 'gateway' : 'gguf-3', 'info', 'answered', {
      request_id: `req-live-${turn}`,
      fields: { took_ms: 800 + turn },
    });
  }, 500);
}

/** Starts it; `port` 0 is any. */
export async function serve(port = 0) {
  const world = makeWorld();
  fill(world);
  const timer = live(world);
  const server = createServer((request, response) => {
    answer(world, request, response).catch((error) => {
      if (response.headersSent) response.destroy();
      else refuse(response, error);
    });
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    world,
    url: `http://127.0.0.1:${server.address().port}`,
    dropStreams: () => world.streams.forEach((stream) => stream.destroy()),
    resumed: () => world.resumed,
    close: () => {
      clearInterval(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}
