/** What the page knows of the server, and what each event changes of it. */
import type { LinkState } from '../api/follow';
import type { Happening, Pull, Sample, Status } from '../api/types';
import { appended, merged } from './bounded';
import { type Speed, speedsOf } from './speed';

export interface Live {
  link: LinkState;
  /** The supervisor does not answer the gateway, in its words. */
  away: string | null;
  status: Status | null;
  /** Tokens a second by worker. */
  speeds: ReadonlyMap<string, Speed>;
  happenings: readonly Happening[];
  /** Happenings that were not told. */
  missed: number;
  seconds: readonly Sample[];
  pulls: readonly Pull[];
}

export const HAPPENINGS = 1000;
export const SECONDS = 600;

export const NOTHING: Live = {
  link: { kind: 'connecting' },
  away: null,
  status: null,
  speeds: new Map(),
  happenings: [],
  missed: 0,
  seconds: [],
  pulls: [],
};

const bySecond = (sample: Sample): number => sample.unix_s;

export function withSeconds(live: Live, samples: readonly Sample[]): Live {
  return { ...live, seconds: merged(live.seconds, samples, bySecond, SECONDS) };
}

/** The state after an event of the stream; one of an unknown name changes nothing. */
export function after(live: Live, event: string, data: unknown): Live {
  switch (event) {
    case 'status': {
      const status = data as Status;
      return { ...live, away: null, status, speeds: speedsOf(live.status, status, live.speeds) };
    }
    case 'event': {
      return { ...live, happenings: withHappening(live.happenings, data as Happening) };
    }
    case 'history':
      return withSeconds(live, [data as Sample]);
    case 'pulls':
      return { ...live, pulls: (data as { pulls: Pull[] }).pulls };
    case 'gap':
      return { ...live, missed: live.missed + ((data as { missed: number | null }).missed ?? 1) };
    case 'away':
      return { ...live, away: (data as { message: string }).message };
    default:
      return live;
  }
}

/** Numbers begin anew with a supervisor that lost them, so that only what is told twice is left out. */
function withHappening(list: readonly Happening[], item: Happening): readonly Happening[] {
  const isTold = list.some(
    ({ number, unix_ms }) => number === item.number && unix_ms === item.unix_ms,
  );
  return isTold ? list : appended(list, [item], HAPPENINGS);
}
