import type { Tone } from '../../parts/Dot';

/** The colour beside a worker's state. */
export const WORKER_TONE: Record<string, Tone> = {
  standby: 'quiet',
  loading: 'busy',
  ready: 'good',
  draining: 'busy',
  stopping: 'busy',
  backoff: 'warn',
  failed: 'bad',
  stopped: 'quiet',
};
