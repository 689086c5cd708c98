import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { type ContainerEngineInput, chooseContainerEngine } from '../../lifecycle/platform/container-engine.ts'
import { openWorkspace } from '../../lifecycle/platform/workspace.ts'
import type { EngineFactory } from '../../lifecycle/platform/settings.ts'
import { fakeEngine } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { recorder } from '../phases/harness.ts'

const idle = () => Promise.resolve()
/** An engine of a machine that allows user namespaces, or not. */
function sandboxes(allowed: boolean): { readonly sandbox: EngineFactory; readonly rootfs: string[] } {
  const rootfs: string[] = []
  const refused = new BaleError('engine', 'bubblewrap cannot make a sandbox: the container does not allow it')
  const sandbox: EngineFactory = place => {
    rootfs.push(place.rootfs as string)
    const check = (): Promise<void> => (allowed ? Promise.resolve() : Promise.reject(refused))
    return { ...fakeEngine({ detector: idle, builder: idle }), name: 'bubblewrap', check }
  }
  return { sandbox, rootfs }
}

async function choose(allowed: boolean, more: Partial<ContainerEngineInput> = {}) {
  const reporter = recorder()
  const workspace = await openWorkspace(await temporaryDirectory())
  const made = sandboxes(allowed)
  const absent = join(workspace.dir, 'absent')
  const input = { workspace, network: 'host', limits: undefined, landlock: absent, supervisor: absent } as const
  const chosen = await chooseContainerEngine({
    ...{ ...input, sandbox: made.sandbox, isRoot: false, user: { uid: 1000 }, reporter },
    ...more,
  })
  const said = reporter.events.filter(
    event => event.type === 'warning' || (event.type === 'note' && event.level === 'info'),
  )
  return { ...chosen, said, rootfs: made.rootfs[0] ?? '' }
}

it('is a sandbox where the container allows one: of the system’s directories, and of none of the job', async () => {
  const { engine, system, said, rootfs } = await choose(true, { network: 'none', limits: { memory: 1e9 } })
  expect(engine.name).toBe('bubblewrap')
  expect(said).toEqual([
    expect.objectContaining({ text: expect.stringMatching(/^Buildpacks run in a bubblewrap/) as string }),
  ])
  const paths = system.map(mount => mount.path)
  expect(paths).toContain('/usr')
  expect(system.every(({ hostPath, path, access }) => hostPath === path && access === 'read-only')).toBe(true)
  for (const path of ['/', '/home', '/root', '/proc', '/sys', '/tmp', '/var', '/run']) expect(paths).not.toContain(path)
  for (const name of await readdir(rootfs)) {
    expect((await lstat(join(rootfs, name))).isSymbolicLink()).toBe(true)
    expect(paths).not.toContain(`/${name}`)
  }
})

it('is the container otherwise, with what would be stronger in the same line', async () => {
  const { engine, system, said } = await choose(false)
  expect(engine.name).toBe('unsandboxed')
  expect(system).toEqual([])
  const fix = expect.stringContaining('(a sandbox needs a container that allows user namespaces') as string
  expect(said).toEqual([{ type: 'warning', text: expect.stringContaining('without a sandbox') as string, fix }])
})

it('X51 is the container for root, whose buildpacks are another user there', async () => {
  const { engine, said } = await choose(true, { isRoot: true })
  expect(engine.name).toBe('unsandboxed')
  expect(said).toEqual([expect.objectContaining({ text: expect.stringContaining('as user 1000') as string })])
})

it.each([
  [{ network: 'none' as const }, '--network none'],
  [{ limits: { memory: 1e9 } }, '--memory'],
  [{ limits: { disk: 1e9 } }, '--disk'],
  [{ limits: { pids: 10 } }, '--pids'],
])('refuses limits that only a sandbox has', async (more, where) => {
  expect(await failureOf(choose(false, more))).toMatchObject({ code: 'engine', where })
})
