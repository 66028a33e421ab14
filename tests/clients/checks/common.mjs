// What the programs in this folder share; see common.py.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const [, , url, model] = process.argv;
export const count = 'count from 1 to 5';
export const counted = '1, 2, 3, 4, 5';
export const weather = 'What is the weather in Paris?';
export const description = 'Get the current weather of a city.';

const modules = createRequire(`${process.env.MODULES}/of`);

/** A module of those that are installed for the checks. */
export const load = (name) => import(pathToFileURL(modules.resolve(name)).href);

/** The model answered instead of calling the tool. */
export class NoCall extends Error {}

export function need(found, expected, what) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, found ${left}`);
}

/** Runs the checks in order and says `VERDICT name reason` of each; ends with 1 if one failed. */
export async function tell(checks) {
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    let said;
    try {
      said = `PASS ${name} ${JSON.stringify(await check())}`;
    } catch (error) {
      const isSilent = error instanceof NoCall;
      failed ||= !isSilent;
      said = isSilent ? `NOCALL ${name} ${error.message}` : `FAIL ${name} ${error.constructor.name}: ${error.message}`;
    }
    console.log(said.replace(/\s+/g, ' '));
  }
  process.exit(failed ? 1 : 0);
}
