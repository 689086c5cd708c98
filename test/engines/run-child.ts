import { type BubblewrapOptions, bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
import type { EngineRun } from '../../lifecycle/engines/engine.ts'

// A process of its own that runs something in a sandbox, to be started with odd descriptors or to be killed.
const { rootfs, tmpDir, bwrap, landlock, ...run } = JSON.parse(process.argv[2] ?? '{}') as BubblewrapOptions & EngineRun
await bubblewrapEngine({ rootfs, tmpDir, landlock, ...(bwrap !== undefined && { bwrap }) }).run({
  ...run,
  env: { PATH: '/usr/bin:/bin' },
  workingDir: '/',
  network: 'none',
  onOutput: (_, chunk) => void process.stdout.write(chunk),
})
