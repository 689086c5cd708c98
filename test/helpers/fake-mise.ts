import { join } from 'node:path'
import { type BuildContext, BuildpackError, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from './temporary.ts'

/** A build on amd64 whose program mise is a fake. */
export interface FakeMise {
  readonly dir: string
  readonly context: BuildContext
  /** The commands that mise gets. */
  readonly commands: string[]
  /** The builds that mise lists; undefined if its list is out of reach. It may change between builds. */
  readonly state: {
    list: readonly string[] | undefined
    /** The result of an installation; the default is a success. */
    installation?: { readonly exitCode: number; readonly stderr: string }
  }
  readonly output: () => string
}

export async function fakeMise(list: readonly string[]): Promise<FakeMise> {
  const dir = await temporaryDirectory()
  const commands: string[] = []
  let output = ''
  const add = (text: string) => void (output += text)
  const notes = new Map<string, Readonly<Record<string, string>>>()
  const layer = async (name: string, definition: LayerDefinition) => {
    const id = `${name} ${JSON.stringify(definition.key)}`
    const path = join(dir, name)
    const known = notes.get(id)
    const verdict = known && (await definition.isCurrent?.({ dir: path, notes: known }))
    if (known !== undefined && verdict?.keep !== false) return { name, path, notes: known, state: 'restored' as const }
    // The program itself comes from the npm registry.
    const made = name === 'mise' ? undefined : await definition.create(path)
    notes.set(id, made?.notes ?? {})
    return { name, path, notes: made?.notes ?? {}, state: 'created' as const, reason: '' }
  }
  const state: FakeMise['state'] = { list }
  const context = {
    env: {},
    platformDir: dir,
    target: { os: 'linux', arch: 'amd64' },
    log: new Log({ stdout: add, stderr: add }),
    layer,
    seal: () => {},
    run: (argv: readonly string[]) => {
      // Java's programs, which succeed.
      if (argv[0] !== join(dir, 'mise/bin/mise')) return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
      commands.push(argv.slice(1).join(' ').replaceAll(dir, ''))
      if (argv[1] === 'install-into' && state.installation)
        return Promise.resolve({ stdout: '', ...state.installation })
      if (state.list === undefined) throw new BuildpackError('mise ls-remote failed', { fix: 'check the network' })
      const stdout = JSON.stringify(state.list.map(version => ({ version })))
      return Promise.resolve({ exitCode: 0, stdout, stderr: 'checksum' })
    },
  } as unknown as BuildContext
  return { dir, context, commands, state, output: () => output }
}
