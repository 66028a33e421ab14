/** The server's types by the names that pages use. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Status = Schemas['Status'];
export type Worker = Status['workers'][number];
export type Model = Status['models'][number];
export type Pool = Status['pools'][number];
export type Happening = Schemas['Happening'];
export type Sample = Schemas['Sample'];
export type Stored = Schemas['StoredModel'];
export type ModelInfo = Schemas['ModelInfo'];
export type Part = Schemas['MemoryPart'];
export type Fits = Schemas['Fits'];
export type Pull = Schemas['Pull'];
export type PullPlan = Schemas['PullPlan'];
export type HubModel = Schemas['HubModel'];
export type LogLine = Schemas['LogLine'];
export type RequestSummary = Schemas['RequestSummary'];
export type RequestTrace = Schemas['RequestTrace'];
export type Span = RequestTrace['spans'][number];
export type CrashSummary = Schemas['Crash'];
export type CrashReport = Schemas['CrashReport'];
export type Key = Schemas['ApiKey'];
export type Configuration = Schemas['Configuration'];
export type Setting = Configuration['settings'][number];
export type Profile = Configuration['profiles'][number];
export type ConfigurationChange = Schemas['ConfigurationChange'];
