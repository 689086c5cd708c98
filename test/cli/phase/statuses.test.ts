import { writeFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { machine, registryWithRun, runLine } from './line.ts'

// The oracle: the exit status that the Go lifecycle has in the same situation, where the specification leaves it open.

/** A binary, its arguments, and files that are written before. HOST is the registry; nothing listens at DEAD. */
interface Situation {
  readonly args?: readonly string[]
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

const dead = '127.0.0.1:1'
const noDaemon = { DOCKER_HOST: 'unix:///nowhere/docker.sock' }
const missing = '[[order]]\n[[order.group]]\nid = "no/such"\nversion = "1.0.0"\n'

const situations: readonly (readonly [string, number, string, Situation])[] = [
  ['analyzer', 32, 'a registry that cannot be reached', { args: [`-run-image=${dead}/run`, `${dead}/app`] }],
  ['analyzer', 32, 'a daemon that cannot be reached', { args: ['-daemon', '-run-image=run', 'app'], env: noDaemon }],
  ['creator', 32, 'a registry that cannot be reached', { args: [`-run-image=${dead}/run`, `${dead}/app`] }],
  ['creator', 32, 'a daemon that cannot be reached', { args: ['-daemon', '-run-image=run', 'app'], env: noDaemon }],
  ['analyzer', 3, 'a run image that is not there', { args: ['-run-image=HOST/none', 'HOST/app'] }],
  ['detector', 1, 'a buildpack that is not there', { files: { 'order.toml': missing } }],
  ['detector', 20, 'an order without groups', { files: { 'order.toml': '' } }],
  ['detector', 21, 'an app directory that is not there', { env: { CNB_APP_DIR: '/nowhere' } }],
  ['restorer', 1, 'a cache image that cannot be reached', { args: [`-cache-image=${dead}/cache`] }],
  ['exporter', 1, 'a cache image that cannot be reached', { args: [`-cache-image=${dead}/cache`, 'HOST/app'] }],
  [
    'exporter',
    1,
    'bad project metadata',
    { args: ['HOST/app'], files: { 'layers/project-metadata.toml': 'source = 1' } },
  ],
  ['exporter', 62, 'a process type that is not there', { args: ['-process-type=none', 'HOST/app'] }],
  ['exporter', 62, 'a registry that cannot be reached', { args: [`${dead}/app`] }],
  ['rebaser', 72, 'an image that is not there', { args: ['HOST/none'] }],
  ['rebaser', 72, 'a registry that cannot be reached', { args: [`${dead}/app`] }],
]

it('exit statuses are those of the Go lifecycle, each with one error', { timeout: 60_000 }, async () => {
  const registry = await registryWithRun()
  const own = (arg: string): string => arg.replace('HOST', registry.host)
  // All at once: most of the time they wait before they ask a registry again.
  const outcomes = situations.map(async ([binary, , what, { args = [], files = {}, env = {} }]) => {
    const m = await machine('0.13')
    if (['restorer', 'exporter'].includes(binary))
      await runLine(m, own('HOST/app'), { analyzer: [own('-run-image=HOST/run')] })
    for (const [path, text] of Object.entries(files)) await writeFile(m.path(path), text)
    const { status, said } = await m.run(binary, args.map(own), env)
    return [`${binary}: ${what}`, status, said.match(/^ERROR: /gm)?.length]
  })
  expect(await Promise.all(outcomes)).toEqual(
    situations.map(([binary, status, what]) => [`${binary}: ${what}`, status, 1]),
  )
})
