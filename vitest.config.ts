import { defineConfig } from 'vitest/config'

// unit: no network, no privileges, working fakes; seconds. e2e: real registries, engines and package mirrors.
// thorough: the same with inputs of every kind and size; not part of `npm run check`.
// launchers: the program in C, for this machine, for the other architecture through qemu, and with sanitizers.
// faults: random ones, from a seed that is printed; `npm run test:faults`.
const inProcess = {
  globalSetup: ['scripts/build-deflate.mjs', 'test/helpers/in-memory.ts'],
  testTimeout: 60_000,
  // Removing 100,000 files waits for a busy disk.
  hookTimeout: 60_000,
  // Many wait for something rather than compute: more workers than two cores, and one module graph for each.
  maxWorkers: 3,
  isolate: false,
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{thorough,e2e,faults}.test.ts', 'test/launcher/**'],
          ...inProcess,
        },
      },
      {
        test: {
          name: 'thorough',
          include: ['test/**/*.thorough.test.ts'],
          ...inProcess,
        },
      },
      {
        test: {
          name: 'launchers',
          include: ['test/launcher/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          globalSetup: 'scripts/build-deflate.mjs',
          include: ['test/**/*.e2e.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          // Of tests that say they may run beside each other: the applications.
          maxConcurrency: 2,
          // Mirrors of packages are on the network, which may hiccup; a fault of ours fails twice.
          retry: 1,
        },
      },
      {
        test: {
          name: 'faults',
          globalSetup: 'scripts/build-deflate.mjs',
          include: ['test/**/*.faults.test.ts'],
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
