import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, byDefault, digestOf } from '../sdk/index.ts'
import type { ListeningRules } from '../sdk/listening.ts'
import type { Crate } from './metadata.ts'

/** Listeners of the library and of Tokio, Actix and Poem (`bind`), Warp (`run`), and addresses that are made of numbers. */
export const rustListening: ListeningRules = {
  ending: '.rs',
  calls: [
    /(?:\.|\bTcpListener::)bind\(\s*(?:"(?<address>[^"{}]*:\d+)"|\(\s*"(?<host>[^"]*)"\s*,\s*(?<port>\d+)\s*\))/g,
    /\.run\(\s*\(\s*\[\s*(?<host>\d+(?:\s*,\s*\d+){3})\s*\]\s*,\s*(?<port>\d+)/g,
    /\bSocketAddr::from\(\s*\(\s*\[\s*(?<host>\d+(?:\s*,\s*\d+){3})\s*\]\s*,\s*(?<port>\d+)/g,
  ],
  reads: 'as in std::env::var("PORT")',
}

/** Rocket has variables of its own for where it listens, which is port 8000 of localhost without them. */
const rocketScript = `#!/bin/sh
[ -n "\${ROCKET_PORT-}" ] || printf 'ROCKET_PORT = "%s"\\n' "\${PORT:-8080}" >&3
`

/** Lets Rocket listen on $PORT of all interfaces, by a program of exec.d (buildpack.md, "exec.d"). */
export async function provideRocketAddress({ layer, log }: BuildContext, crates: readonly Crate[]): Promise<void> {
  if (!crates.some(({ name, isOwn }) => name === 'rocket' && !isOwn)) return
  log.info('Rocket listens on $PORT of all interfaces; ROCKET_PORT and ROCKET_ADDRESS say otherwise')
  await layer('rocket', {
    types: { launch: true },
    key: { script: digestOf(rocketScript) },
    create: async dir => {
      await mkdir(join(dir, 'exec.d'))
      await writeFile(join(dir, 'exec.d/rocket'), rocketScript)
      await chmod(join(dir, 'exec.d/rocket'), 0o755)
      return { env: { launch: { ROCKET_ADDRESS: byDefault('0.0.0.0') } } }
    },
  })
}
