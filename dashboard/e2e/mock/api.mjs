// What the mock answers, one entry for each operation of the contract.
import { setTimeout as pause } from 'node:timers/promises';
import { happen, say, statusOf, traceOf, worldOf } from './world.mjs';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

export class Refusal extends Error {
  constructor(status, code, message, param = null) {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

const find = (world, name) => {
  const found = world.models.find((one) => one.name === name || one.aliases.includes(name));
  if (!found) throw new Refusal(404, 'model_not_found', `there is no model ${name}`);
  return found;
};

const fitsOf = (need_bytes) => {
  const limit_bytes = 20 * GIB;
  const room_bytes = 13.7 * GIB;
  const verdict =
    need_bytes < room_bytes ? 'now' : need_bytes < limit_bytes ? 'after_others_leave' : 'never';
  return { verdict, need_bytes, room_bytes, limit_bytes };
};

async function load(world, name) {
  const model = find(world, name);
  if (model.state === 'ready') return kept(world, model);
  model.state = 'loading';
  await pause(700);
  model.state = 'ready';
  const id = `gguf-${10 + world.workers.length}`;
  world.workers.push(
    worldOf.serving(id, model.format ?? 'gguf', model.name, model.size_bytes * 1.3, {
      slots: { busy: 0, total: 4 },
      serving_s: 0,
      uptime_s: 0,
      leaves_in_s: 300,
    }),
  );
  happen(world, 'model.ready', model.name, 'serves after 702 ms', { worker: id });
  return kept(world, model);
}

const kept = (world, model) => {
  const worker = world.workers.find((one) => one.model === model.name);
  return { model: model.name, worker_id: worker?.id ?? '', stay_s: worker?.stay_s ?? null };
};

async function pull(world, { model, name, dry_run }) {
  if (!/[/:]/.test(model))
    throw new Refusal(
      400,
      'invalid_value',
      `“${model}” names no model: write owner/name or ollama:name`,
      'model',
    );
  const files = [{ path: 'model-Q4_K_M.gguf', bytes: 4.6 * GIB, sha256: 'a'.repeat(64) }];
  const plan = {
    event: 'plan',
    name: name ?? model.split('/').at(-1).toLowerCase(),
    source: `https://huggingface.co/${model}`,
    revision: 'main',
    format: 'gguf',
    quantization: 'Q4_K_M',
    why: 'Q4_K_M is the best of 9 quantizations that fits',
    files,
    total_bytes: 4.6 * GIB,
    present_bytes: 0,
    need_bytes: 6.1 * GIB,
    notes: [],
    fits: fitsOf(6.1 * GIB),
  };
  if (dry_run) {
    await pause(200);
    return plan;
  }
  const stopped = world.pulls.find((one) => one.model === model);
  if (stopped) Object.assign(stopped, { state: 'running', detail: null });
  else {
    world.pulls.push({
      id: `pull-${Date.now()}`,
      model,
      name: plan.name,
      state: 'running',
      detail: null,
      bytes: 0,
      total_bytes: plan.total_bytes,
      detached: true,
      started_unix_s: Math.floor(Date.now() / 1000),
      bytes_per_s: 210 * MIB,
    });
  }
  return plan;
}

function edit(world, { changes, dry_run }) {
  for (const [key, value] of Object.entries(changes)) {
    const known = world.settings.find((one) => one.key === key);
    if (!known && !key.startsWith('model['))
      throw new Refusal(400, 'invalid_value', `there is no setting ${key}`, key);
    if (known?.kind === 'integer' && value !== null && typeof value !== 'number') {
      throw new Refusal(
        400,
        'invalid_value',
        `${key}: expected a whole number, found “${value}”`,
        key,
      );
    }
  }
  const diff = Object.entries(changes)
    .map(
      ([key, value]) =>
        `@@ ${key}\n-${key} = ${JSON.stringify(world.settings.find((one) => one.key === key)?.value ?? null)}\n+${key} = ${JSON.stringify(value)}`,
    )
    .join('\n');
  const keys = Object.keys(changes);
  if (!dry_run) {
    for (const [key, value] of Object.entries(changes)) {
      const known = world.settings.find((one) => one.key === key);
      if (known)
        Object.assign(known, {
          value: value ?? known.default,
          is_default: value === null,
          origin: { kind: 'file', text: '/etc/impetus/config.toml:30' },
        });
    }
    happen(world, 'config.reloaded', 'configuration', 'was read again');
  }
  const restart = keys.filter(
    (key) => world.settings.find((one) => one.key === key)?.applies === 'restart',
  );
  return {
    changed: keys.filter((key) => !restart.includes(key)),
    needs_restart: restart,
    file: '/etc/impetus/config.toml',
    diff,
    dry_run: Boolean(dry_run),
  };
}

function makeKey(world, body) {
  if (world.keys.some(({ name }) => name === body.name))
    throw new Refusal(409, 'conflict', `there is a key ${body.name} already`);
  const key = {
    name: body.name,
    scopes: body.scopes ?? ['inference'],
    models: body.models ?? [],
    expires_unix_s: body.expires_unix_s ?? null,
    requests_per_minute: body.requests_per_minute ?? null,
    tokens_per_minute: body.tokens_per_minute ?? null,
    priority: body.priority ?? 0,
    created_unix_s: Math.floor(Date.now() / 1000),
    last_used_unix_s: null,
    declared: false,
  };
  const secret = `sk-impetus-${body.name}-0123456789`;
  world.keys.push({ ...key, secret });
  happen(world, 'key.created', body.name, 'was made');
  return { ...key, secret };
}

const shownKey = (key) => ({ ...key, secret: undefined });

function infoOf(world, name) {
  const model = find(world, name);
  const weights = model.size_bytes;
  const part = {
    weights_bytes: weights,
    kv_bytes: weights * 0.22,
    compute_bytes: weights * 0.06,
    process_bytes: 24 * MIB,
    full_bytes: weights * 1.35 + 24 * MIB,
  };
  return {
    ...model,
    stored: null,
    chat_template: model.chat_template
      ? '{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}\n{% endfor %}'
      : null,
    bytes: model.size_bytes,
    slots: 0,
    files: [model.path],
    footprint: model.state === 'broken' ? null : { ram: part, gpus: [] },
    fits: model.state === 'broken' ? null : fitsOf(part.full_bytes),
  };
}

function crashOf(world, id) {
  const found = world.crashes.find((one) => one.id === id);
  if (!found) throw new Refusal(404, 'not_found', `there is no crash report ${id}`);
  return found;
}

/** `[method, path, (world, {params, query, body}) => answer]`; `:name` is one step of a path. */
export const OPERATIONS = [
  ['GET', '/admin/status', (world) => statusOf(world)],
  [
    'GET',
    '/admin/history',
    (world, { query }) => {
      const step_s = Number(query.step_s ?? 1);
      const from = Date.now() / 1000 - Number(query.since_s ?? 600);
      const samples = (step_s === 1 ? world.samples : world.minutes).filter(
        ({ unix_s }) => unix_s > from,
      );
      return { step_s, samples };
    },
  ],
  [
    'GET',
    '/admin/models',
    (world) => ({ models: world.stored, disk_bytes: 500 * GIB, free_bytes: 210 * GIB }),
  ],
  ['GET', '/admin/models/:name', (world, { params }) => infoOf(world, params.name)],
  [
    'DELETE',
    '/admin/models/:name',
    (world, { params }) => {
      const model = find(world, params.name);
      if (!world.stored.some(({ name }) => name === model.name))
        throw new Refusal(
          409,
          'conflict',
          `${model.name} is not of the store: remove its file by hand`,
        );
      world.models.splice(world.models.indexOf(model), 1);
      return { name: model.name, removed: true, freed_bytes: model.size_bytes };
    },
  ],
  ['POST', '/admin/models/:name/load', (world, { params }) => load(world, params.name)],
  ['POST', '/admin/models/:name/keep_alive', (world, { params }) => load(world, params.name)],
  [
    'POST',
    '/admin/models/:name/unload',
    async (world, { params }) => {
      const model = find(world, params.name);
      await pause(200);
      model.state = 'available';
      world.workers.splice(
        0,
        world.workers.length,
        ...world.workers.filter((one) => one.model !== model.name),
      );
      happen(world, 'model.unloaded', model.name, 'was unloaded');
      return { model: model.name };
    },
  ],
  [
    'POST',
    '/admin/aliases/:alias',
    async (world, { params, body }) => {
      const model = find(world, body.model);
      if (world.models.some(({ name }) => name === params.alias))
        throw new Refusal(409, 'conflict', `${params.alias} is a model's own name`);
      const former = world.models.find(({ aliases }) => aliases.includes(params.alias)) ?? null;
      if (former) former.aliases = former.aliases.filter((alias) => alias !== params.alias);
      await load(world, model.name);
      model.aliases = [...model.aliases, params.alias];
      happen(world, 'alias.swapped', params.alias, `now means ${model.name}`);
      return { alias: params.alias, model: model.name, former: former?.name ?? null, beside: true };
    },
  ],
  [
    'POST',
    '/admin/restart',
    (world, { body }) => {
      const worker = world.workers.find((one) => one.id === body.target);
      if (worker)
        Object.assign(worker, { restarts: worker.restarts + 1, last_exit: 'stopped on request' });
      say(world, 'supervisor', 'info', 'restarts', { fields: body });
      return { target: body.target };
    },
  ],
  ['GET', '/admin/pulls', ({ pulls }) => ({ pulls })],
  ['POST', '/admin/pulls', (world, { body }) => pull(world, body)],
  [
    'DELETE',
    '/admin/pulls/:id',
    (world, { params, query }) => {
      const found = world.pulls.find(({ id }) => id === params.id);
      if (!found) throw new Refusal(404, 'not_found', `there is no pull ${params.id}`);
      found.state = 'stopped';
      if (query.discard === 'true') world.pulls.splice(world.pulls.indexOf(found), 1);
      return found;
    },
  ],
  [
    'GET',
    '/admin/hub/search',
    (_, { query }) => ({
      models: [1_204_331, 48_112, 903].map((downloads, i) => ({
        model: `owner${i}/${query.q}-GGUF`,
        downloads,
        likes: 12,
        modified: null,
        gated: i === 2,
        tags: ['gguf'],
      })),
    }),
  ],
  [
    'GET',
    '/admin/logs',
    (world, { query }) => ({ lines: linesOf(world, query).slice(-Number(query.lines ?? 200)) }),
  ],
  ['GET', '/admin/requests', ({ requests }) => ({ requests: [...requests].reverse() })],
  [
    'GET',
    '/admin/requests/:id',
    (world, { params }) => {
      const found = world.requests.find(({ id }) => id === params.id);
      if (!found)
        throw new Refusal(
          404,
          'not_found',
          `request ${params.id} is not remembered: only the last 200 are`,
        );
      return traceOf(found);
    },
  ],
  [
    'GET',
    '/admin/crashes',
    ({ crashes }) => ({
      crashes: crashes.map(({ id, unix_ms, process, cause, worker }) => ({
        id,
        unix_ms,
        process,
        model: worker.model.name,
        cause,
        path: `/state/crashes/${id}`,
      })),
    }),
  ],
  ['GET', '/admin/crashes/:id', (world, { params }) => crashOf(world, params.id)],
  ['GET', '/admin/keys', ({ keys }) => ({ keys: keys.map(shownKey), in_use: keys.length > 0 })],
  ['POST', '/admin/keys', (world, { body }) => makeKey(world, body)],
  [
    'DELETE',
    '/admin/keys/:name',
    (world, { params }) => {
      world.keys.splice(
        0,
        world.keys.length,
        ...world.keys.filter(({ name }) => name !== params.name),
      );
      return { name: params.name, revoked: true, left: world.keys.length };
    },
  ],
  [
    'GET',
    '/admin/config',
    ({ settings, profiles }) => ({ file: '/etc/impetus/config.toml', settings, profiles }),
  ],
  ['POST', '/admin/config', (world, { body }) => edit(world, body)],
  ['POST', '/admin/config/reload', () => ({ changed: [], needs_restart: [] })],
];

const ORDER = ['error', 'warn', 'info', 'debug', 'trace'];

export function linesOf(world, { source, level, request_id }) {
  return world.lines.filter(
    (line) =>
      (!source || line.source === source) &&
      (!level || ORDER.indexOf(line.level) <= ORDER.indexOf(level)) &&
      (!request_id || line.request_id === request_id),
  );
}
