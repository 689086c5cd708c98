import { join } from 'node:path'
import { describe, it } from 'vitest'
import { checkApp, type Commands } from '../lifecycle/cli/app-test/check.ts'
import { chooseApps, currentLanding, readApps, type TestApp } from './helpers/apps.ts'
import { startBale } from './helpers/bale.ts'
import { serveGit } from './helpers/git-remote.ts'
import { readImageFiles } from './helpers/image-files.ts'

const wanted = process.env['BALE_TEST_APPS'] ?? 'rotation'
const chosen = chooseApps(readApps(), wanted, currentLanding)

/** The program as a user starts it, and images as another reader than ours sees them. */
const commands: Commands = {
  start: args => {
    const { child, ended } = startBale(args)
    return { ended, hasEnded: () => child.exitCode !== null || child.signalCode !== null, stop: () => child.kill() }
  },
  files: readImageFiles,
}

// Two at a time: an app waits for registries as long as it computes.
describe.concurrent(`applications: ${wanted}`, () => {
  it.for(chosen)('$name', async ({ name, dir, expected }: TestApp, { expect }) => {
    await using remote = expected.remote === undefined ? undefined : await serveGit(join(dir, expected.remote))
    const build = remote === undefined ? [] : ['--env', `GIT_REMOTE=${remote.url}`]
    const app = { image: `bale-test-app-${name}`, dir, expected, build }
    for await (const { what, failure, printed = '' } of checkApp(app, commands))
      expect.soft(failure, `${what}\n${printed}`).toBeUndefined()
  })
})
