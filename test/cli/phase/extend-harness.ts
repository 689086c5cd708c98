import { chmod } from 'node:fs/promises'
import { expect } from 'vitest'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import type { FakeRegistry } from '../../helpers/registry.ts'
import { supervisorProgram } from '../../helpers/supervisor.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { type Machine, addRunImage, environmentOf, machine, registryWithRun } from './line.ts'

export const isRoot = process.geteuid?.() === 0

const order = (extensions: readonly string[]): string =>
  `[[order]]\n[[order.group]]\nid = "test/app"\nversion = "1.0.0"\n[[order-extensions]]\n${extensions
    .map(id => `[[order-extensions.group]]\nid = "${id}"\nversion = "1.0.0"\n`)
    .join('')}`

/**
 * A machine after restorer, with a build image in the registry.
 * @param extensions what each brings in its folder `generate`; the first is a/tool, the second b/tool; ROOT is the machine's
 */
export async function restoredWith(
  ...extensions: readonly Tree[]
): Promise<{ m: Machine; registry: FakeRegistry; buildImage: string; image: string }> {
  const registry = await registryWithRun()
  await addRunImage(registry, 'build')
  const ids = extensions.map((_, i) => `${'abc'[i] as string}/tool`)
  const m = await machine('0.15', { 'order.toml': order(ids) })
  await chmod(m.root, 0o755)
  for (const [i, files] of extensions.entries()) {
    const id = ids[i] as string
    const dir = `extensions/${id.replace('/', '_')}/1.0.0`
    await writeTree(m.root, {
      [`${dir}/extension.toml`]: `api = "0.10"\n[extension]\nid = "${id}"\nversion = "1.0.0"\n`,
    })
    for (const [path, entry] of Object.entries(files)) {
      const content = typeof entry === 'string' ? entry.replaceAll('ROOT', m.root) : entry
      await writeTree(m.root, { [`${dir}/generate/${path}`]: content })
    }
  }
  const image = `${registry.host}/app`
  const buildImage = `${registry.host}/build`
  for (const [name, args] of [
    ['analyzer', ['-run-image', `${registry.host}/run`, image]],
    ['detector', []],
    ['restorer', ['-build-image', buildImage]],
  ] as const) {
    const { status, said } = await m.run(name, args, { CNB_EXTENSIONS_DIR: m.path('extensions') })
    expect(status, said).toBe(0)
  }
  return { m, registry, buildImage, image }
}

/** Runs extender, with a script in place of builder. The machine's directory is the container's file system. */
export async function extend(
  m: Machine,
  args: readonly string[] = [],
  uid = 0,
  env: Record<string, string> = {},
): Promise<{ readonly status: number; readonly said: string }> {
  let said = ''
  const status = await main(
    ['extender', ...args],
    { ...environmentOf(m.root, '0.15'), ...env },
    {
      write: text => void (said += text),
      user: { uid, gid: uid },
      signal: new AbortController().signal,
      become: () => {},
      program: name => ['/bin/sh', '-c', `echo ran ${name} as $(id -u); env`],
      supervisor: supervisorProgram(),
      landlock: '/nowhere/landlock',
      kanikoDir: m.path('kaniko'),
      rootDir: m.root,
    },
  )
  return { status, said }
}
