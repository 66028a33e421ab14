// What the mock server knows: a small machine with a few models, some of whose names try to be more than text.
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

export const XSS = '<img src=x onerror="window.hacked=1">';

const model = (name, more = {}) => ({
  name,
  format: 'gguf',
  state: 'available',
  path: `/srv/models/${name}.gguf`,
  size_bytes: 4.1 * GIB,
  detail: null,
  aliases: [],
  architecture: 'llama',
  quantization: 'Q4_K_M',
  parameters: 7_240_000_000,
  context_tokens: 8192,
  trained_context_tokens: 32_768,
  chat_template: true,
  modified_unix_s: 1_700_000_000,
  default: false,
  description: null,
  task: 'generate',
  ...more,
});

const worker = (id, format, more = {}) => ({
  id,
  format,
  model: null,
  state: 'standby',
  detail: null,
  pid: 4000 + Number(id.split('-').at(-1)),
  restarts: 0,
  last_exit: null,
  rss_bytes: 31 * MIB,
  slots: null,
  uptime_s: 5000,
  leases: 0,
  role: null,
  footprint_bytes: null,
  peak_bytes: null,
  limit_bytes: null,
  limited_by: null,
  sandbox: 'landlock 7, seccomp',
  prefix_bytes: null,
  prefix_room_bytes: null,
  load: null,
  draft: null,
  waiting: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  serving_s: null,
  stay_s: null,
  leaves_in_s: null,
  pools: [],
  ...more,
});

const serving = (id, format, name, bytes, more = {}) =>
  worker(id, format, {
    model: name,
    state: 'ready',
    rss_bytes: bytes * 0.93,
    slots: { busy: 1, total: 4 },
    leases: 1,
    footprint_bytes: bytes,
    peak_bytes: bytes * 0.95,
    limit_bytes: bytes * 1.1,
    limited_by: 'cgroup v2',
    serving_s: 4980,
    stay_s: 300,
    leaves_in_s: null,
    pools: [{ name: 'ram', footprint_bytes: bytes, peak_bytes: bytes * 0.95 }],
    ...more,
  });

const setting = (key, value, kind, description, more = {}) => ({
  key,
  section: key.split('.')[0].replace(/\[.*/, ''),
  value,
  default: value,
  origin: { kind: 'default', text: 'default' },
  is_default: true,
  editable: true,
  applies: 'reload',
  description,
  kind,
  ...more,
});

const inFile = (line, was) => ({
  origin: { kind: 'file', text: `/etc/impetus/config.toml:${line}` },
  is_default: false,
  default: was,
});

export function makeWorld() {
  return {
    startedMs: Date.now() - 94_000_000,
    gatewayRestarts: 0,
    streams: new Set(),
    resumed: undefined,
    models: [
      model('impetus-tiny', {
        size_bytes: 2.7 * MIB,
        quantization: 'Q8_0',
        parameters: 2_600_000,
        context_tokens: 2048,
        trained_context_tokens: 2048,
        state: 'ready',
        default: true,
        aliases: ['gpt-4o'],
        description: 'Counts, repeats, calls tools: a demo model',
      }),
      model('qwen3-8b-instruct', {
        architecture: 'qwen3',
        parameters: 8_190_000_000,
        state: 'ready',
        aliases: ['chat', 'default-chat'],
      }),
      model('llama-3.1-70b', { size_bytes: 39.6 * GIB, parameters: 70_600_000_000 }),
      model('bge-small-en', {
        format: 'onnx',
        architecture: 'bert',
        quantization: null,
        size_bytes: 127 * MIB,
        parameters: 33_400_000,
        context_tokens: 512,
        task: 'embed',
        chat_template: false,
      }),
      model('bge-reranker-base', {
        format: 'safetensors',
        architecture: 'xlm-roberta',
        quantization: 'F16',
        size_bytes: 556 * MIB,
        parameters: 278_000_000,
        context_tokens: 512,
        task: 'rerank',
        chat_template: false,
      }),
      model('half-a-download', {
        state: 'broken',
        format: null,
        architecture: null,
        quantization: null,
        parameters: null,
        context_tokens: null,
        task: null,
        detail: 'the file ends within tensor blk.3.attn_q.weight',
      }),
      model(`evil ${XSS}`, { description: XSS, size_bytes: 1.1 * GIB, aliases: [XSS] }),
    ],
    workers: [
      serving('gguf-1', 'gguf', 'impetus-tiny', 71 * MIB, {
        uptime_s: 93_000,
        serving_s: 90_000,
        stay_s: null,
      }),
      serving('gguf-3', 'gguf', 'qwen3-8b-instruct', 6.2 * GIB, {
        slots: { busy: 3, total: 4 },
        waiting: 2,
        restarts: 1,
        last_exit: 'killed by SIGSEGV after 3 min 12 s; its requests went on',
        leaves_in_s: null,
      }),
      worker('gguf-4', 'gguf'),
      worker('safetensors-1', 'safetensors'),
      worker('onnx-1', 'onnx'),
    ],
    exits: [{ format: 'gguf', model: 'qwen3-8b-instruct', cause: 'crash', count: 1 }],
    pulls: [],
    keys: [],
    stored: [],
    settings: [
      setting('gateway.listen', '127.0.0.1:8080', 'text', 'Where the gateway listens', {
        applies: 'restart',
      }),
      setting(
        'gateway.max_queue',
        256,
        'integer',
        'Requests that may wait at most; more are refused with 429',
      ),
      setting(
        'gateway.keep_alive_s',
        10,
        'integer',
        'Seconds without output until a stream gets an empty chunk',
      ),
      setting('gateway.request_timeout_s', 600, 'integer', 'How long a request may take'),
      setting(
        'memory.limit',
        '24 GiB',
        'size',
        'What all workers may hold together',
        inFile(12, '75%'),
      ),
      setting('memory.reserve', '1 GiB', 'size', 'What is left to other programs'),
      setting(
        'models.dirs',
        ['~/models', '/srv/models'],
        'list',
        'Folders with models',
        inFile(3, ['~/models']),
      ),
      setting('models.ttl', '30m', 'text', 'How long an unused model stays'),
      setting('log.level', 'info', 'text', 'How much is logged', {
        origin: { kind: 'environment', text: 'IMPETUS_LOG__LEVEL' },
        is_default: false,
        editable: false,
      }),
      setting('log.json', false, 'boolean', 'Lines as JSON'),
      setting('workers.gguf.slots', null, 'integer', 'Sequences at once; none: as many as fit'),
      setting('workers.gguf.threads', 4, 'integer', 'Threads of an engine', inFile(21, null)),
      setting('auth.keys', 'hidden', 'list', 'Keys of the configuration', { editable: false }),
    ],
    profiles: [
      {
        name: 'quiet',
        description: 'One request at a time, few threads: the machine stays free for other work.',
        changes: { 'workers.gguf.slots': 1, 'workers.gguf.threads': 2 },
        active: false,
      },
      {
        name: 'balanced',
        description: 'The defaults: as many slots as fit, models leave after half an hour.',
        changes: { 'workers.gguf.slots': null, 'workers.gguf.threads': null },
        active: true,
      },
      {
        name: 'fast',
        description: 'All cores, models stay loaded.',
        changes: { 'workers.gguf.threads': 16, 'models.ttl': 'never' },
        active: false,
      },
    ],
    happenings: [],
    nextHappening: 1,
    requests: [],
    samples: [],
    minutes: [],
    lines: [],
    nextLine: 1,
    crashes: [
      {
        id: 'crash-1',
        unix_ms: Date.now() - 5_400_000,
        process: 'gguf-2',
        pid: 3998,
        version: '0.1.0',
        cause: 'crash',
        exit: { code: null, signal: 11, memory: false, may_be_request: true },
        uptime_ms: 192_000,
        worker: {
          format: 'gguf',
          model: {
            name: 'qwen3-8b-instruct',
            path: '/srv/models/qwen3.gguf',
            slots: 4,
            context_tokens: 8192,
            threads: 4,
            options: {},
            draft: null,
          },
          state: 'ready',
          sandbox: 'landlock 7, seccomp',
          sequences: 3,
          waiting: 0,
          leases: 3,
          peak_bytes: 6 * GIB,
          limit_bytes: 6.6 * GIB,
        },
        last_lines: [
          'serving qwen3-8b-instruct',
          `sequence 41 says ${XSS}`,
          'segmentation fault at 0x0',
        ],
      },
    ],
  };
}

export const worldOf = { worker, serving, model };

export function happen(world, kind, subject, message, fields = {}, unix_ms = Date.now()) {
  const happening = { number: world.nextHappening, unix_ms, kind, subject, message, fields };
  world.nextHappening += 1;
  world.happenings.push(happening);
  return happening;
}

export function statusOf(world) {
  const placed = world.workers.reduce((sum, one) => sum + (one.footprint_bytes ?? 0), 0);
  const measured = world.workers.reduce((sum, one) => sum + (one.rss_bytes ?? 0), 30 * MIB);
  const total = 32 * GIB;
  const foreign = 7.4 * GIB;
  return {
    unix_ms: Date.now(),
    version: '0.1.0',
    uptime_s: Math.round((Date.now() - world.startedMs) / 1000),
    supervisor_pid: 4711,
    gateway: {
      pid: 4712,
      state: 'ready',
      listen: '127.0.0.1:8080',
      url: 'http://127.0.0.1:8080',
      restarts: world.gatewayRestarts,
      last_exit: null,
      rss_bytes: 34 * MIB,
    },
    workers: world.workers,
    models: world.models,
    pools: [
      {
        name: 'ram',
        limit_bytes: 20 * GIB,
        placed_bytes: placed,
        total_bytes: total,
        available_bytes: total - measured - foreign,
        measured_bytes: measured,
        foreign_bytes: foreign,
      },
      {
        name: 'cuda0',
        limit_bytes: 22 * GIB,
        placed_bytes: 0,
        total_bytes: 24 * GIB,
        available_bytes: 23.1 * GIB,
        measured_bytes: null,
        foreign_bytes: null,
      },
    ],
    exits: world.exits,
  };
}

const wave = (at, period, low, high) =>
  low + ((high - low) * (1 + Math.sin((at / period) * 2 * Math.PI))) / 2;

export function sampleOf(world, unix_s, step_s) {
  const busy =
    wave(unix_s, step_s === 1 ? 130 : 15_000, 0, 1) +
    wave(unix_s, step_s === 1 ? 37 : 5000, 0, 0.25);
  const noise = ((unix_s * 7919) % 101) / 101;
  const { pools } = statusOf(world);
  const answered = busy > 0.15;
  return {
    unix_s,
    step_s,
    prompt_tokens_per_s: Math.max(0, busy * 420 * (0.6 + noise * 0.6)),
    completion_tokens_per_s: busy * 140 * (0.85 + noise * 0.2),
    requests_per_s: busy * 2,
    errors_per_s: noise > 0.98 ? 1 : 0,
    first_token_ms: answered ? { p50: 90 + noise * 40, p99: 190 + noise * 160, count: 2 } : null,
    inter_token_ms: answered ? { p50: 18 + noise * 3, p99: 34 + noise * 16, count: 130 } : null,
    running: Math.min(8, Math.round(busy * 6)),
    slots: 8,
    waiting: busy > 1 ? Math.round((busy - 1) * 12) : 0,
    pools: pools.map(({ name, placed_bytes, measured_bytes, limit_bytes }) => ({
      name,
      placed_bytes,
      measured_bytes: measured_bytes === null ? null : measured_bytes * (0.92 + busy * 0.05),
      used_bytes: null,
      limit_bytes,
    })),
  };
}

export function say(world, source, level, message, more = {}) {
  const line = {
    number: world.nextLine,
    source,
    unix_ms: Date.now(),
    level,
    target: 'impetus',
    message,
    request_id: null,
    fields: {},
    text: `${level} ${source} ${message}`,
    ...more,
  };
  world.nextLine += 1;
  world.lines.push(line);
  if (world.lines.length > 3000) world.lines.splice(0, 1000);
  return line;
}

/** Gives a new world a past. */
export function fill(world) {
  const now = Math.floor(Date.now() / 1000);
  for (let at = now - 600; at <= now; at += 1) {
    // A while in which nothing was measured.
    if (at < now - 300 || at > now - 280) world.samples.push(sampleOf(world, at, 1));
  }
  for (let at = now - 86_400; at <= now; at += 60) world.minutes.push(sampleOf(world, at, 60));
  const ago = (s) => Date.now() - s * 1000;
  happen(world, 'server.started', 'server', 'started version 0.1.0', {}, ago(9000));
  happen(
    world,
    'model.ready',
    'impetus-tiny',
    'serves after 44 ms',
    { worker: 'gguf-1' },
    ago(8990),
  );
  happen(
    world,
    'worker.exited',
    'gguf-2',
    'was killed by SIGSEGV; its 3 requests go on',
    { model: 'qwen3-8b-instruct', crash: 'crash-1' },
    ago(5400),
  );
  happen(
    world,
    'model.ready',
    'qwen3-8b-instruct',
    'serves after 2.1 s',
    { worker: 'gguf-3' },
    ago(5398),
  );
  happen(world, 'pull.failed', 'someone/else', `the hub says: ${XSS}`, {}, ago(600));
  for (let i = 0; i < 60; i += 1) {
    const id = `req-${String(i).padStart(4, '0')}`;
    say(
      world,
      i % 3 ? 'gateway' : 'gguf-3',
      i % 17 ? 'info' : 'warn',
      i % 9 ? 'answered' : `client said ${XSS}`,
      {
        request_id: id,
        fields: { model: 'qwen3-8b-instruct', took_ms: 812 + i },
        unix_ms: ago(600 - i * 9),
      },
    );
    world.requests.push({
      id,
      unix_ms: ago(600 - i * 9),
      took_ms: 812.4 + i,
      path: '/v1/chat/completions',
      model: i % 4 ? 'qwen3-8b-instruct' : 'impetus-tiny',
      key: null,
      status: i % 13 ? 200 : i % 2 ? 499 : 503,
      error: i % 13 || i % 2 ? null : 'overloaded',
      first_token_ms: 92.5 + i,
      prompt_tokens: 412,
      completion_tokens: 64,
    });
  }
}

export function traceOf(summary) {
  const span = (process, name, parent, start_ms, took_ms, attributes = {}, events = []) => ({
    process,
    name,
    parent,
    start_ms,
    took_ms,
    error: null,
    attributes,
    events,
  });
  const { took_ms, path, first_token_ms } = summary;
  return {
    ...summary,
    spans: [
      span('gateway', path, null, 0, took_ms, { model: summary.model }),
      span('gateway', 'lease', 0, 0.6, 4.2),
      span('supervisor', 'Supervisor/Acquire', 1, 1.1, 3.1, { worker: 'gguf-3' }),
      span('gateway', 'Engine/Generate', 0, 5, took_ms - 6),
      span('worker', 'tokenize', 3, 5.6, 1.2, { tokens: 412 }),
      span('worker', 'queue', 3, 6.9, 18),
      span('worker', 'prefill', 3, 25, first_token_ms - 25, { tokens: 412 }),
      span('worker', 'decode', 3, first_token_ms, took_ms - first_token_ms - 1, { tokens: 64 }, [
        { name: 'first token', at_ms: first_token_ms, attributes: {} },
      ]),
    ],
  };
}
