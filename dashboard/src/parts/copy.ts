import { texts } from '../texts';

/** Puts a text where the person can paste it from; browsers refuse that where the page came without encryption. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error(texts.errors.clipboard);
  }
}
