import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['e2e/specs/*.spec.mjs'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    // One browser at a time: the tests share two cores with a server.
    fileParallelism: false,
  },
});
