import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { chown, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  findSubordinateIds,
  mappedNamespaces,
  mapperArgv,
  subordinateRange,
} from '../../lifecycle/engines/subordinate.ts'
import { addSubordinateIds } from '../../lifecycle/processes/host-ids.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { userWithIds } from '../helpers/user.ts'

// subuid(5): a name or a number, the first id, how many.
describe('subordinateRange', () => {
  const first = (text: string) => subordinateRange(text, ['dev', '1000'])?.first

  it('finds the range of a user, by name or number', () => {
    expect(subordinateRange('other:100000:65536\ndev:165536:65536\n', ['dev', '1000'])).toEqual({
      first: 165_536,
      count: 65_535,
    })
    expect(first('1000:300000:65535')).toBe(300_000)
  })

  it('takes the first that is large enough', () => {
    expect(first('dev:100000:1000\ndev:200000:70000\n')).toBe(200_000)
    expect(first('dev:100000:1000\n')).toBeUndefined()
  })

  it.each(['', 'dev', 'dev:x:65536', 'dev:1e6:65536', '# dev:100000:65536', 'devel:100000:65536', 'dev::65536'])(
    'takes nothing from %j',
    text => expect(first(text)).toBeUndefined(),
  )
})

describe('addSubordinateIds', () => {
  const range = (...taken: [first: number, count: number][]) =>
    / (\d+-\d+) --add-subgids \1 dev$/.exec(
      addSubordinateIds(
        'dev',
        taken.map(([first, count]) => ({ first, count })),
      ),
    )?.[1]

  it('proposes ids that no other user has', () => {
    expect(range()).toBe('100000-165535')
    expect(range([0, 1], [100_000, 65_536])).toBe('165536-231071')
    expect(range([165_536, 65_536], [100_000, 65_536], [231_072, 10])).toBe('231082-296617')
    // A range behind a gap, and an account in the gap.
    expect(range([100_000, 10], [300_000, 4_000_000_000])).toBe('100010-165545')
    expect(range([100_000, 10], [100_500, 1], [300_000, 10])).toBe('100501-166036')
  })

  it('proposes none where none are left', () => {
    expect(addSubordinateIds('dev', [{ first: 100_000, count: 4_294_860_000 }])).toContain('former users')
  })
})

describe.runIf(process.geteuid?.() === 0)('findSubordinateIds', () => {
  it('finds for root ids that no running process has', async () => {
    const { users } = await findSubordinateIds()
    expect(await findSubordinateIds()).toEqual({ users, groups: users })
    const holder = spawn('unshare', ['--user', 'sh', '-c', 'echo ready; read -r _'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    try {
      await once(holder.stdout, 'data')
      writeFileSync(`/proc/${holder.pid}/uid_map`, `0 0 1\n1 ${users.first} ${users.count}\n`)
      expect((await findSubordinateIds()).users.first).not.toBe(users.first)
    } finally {
      holder.stdin.end()
      await once(holder, 'exit')
    }
  })

  it('says so if the user has no account', async () => {
    process.seteuid?.(1_234_567)
    const error = await failureOf(findSubordinateIds()).finally(() => process.seteuid?.(0))
    expect(error).toMatchObject({
      code: 'engine',
      message: expect.stringContaining('1234567 has no account') as string,
    })
  })
})

it('a program that gets no ids ends with the reason as the only output', async () => {
  const dir = await temporaryDirectory()
  await writeFile(join(dir, 'newuidmap'), '#!/bin/sh\necho "newuidmap: not today" >&2; exit 1\n', { mode: 0o755 })
  const ids = { first: 300_000, count: 65_535 }
  // Root writes the map itself.
  const mapper = mapperArgv({ users: ids, groups: ids }, { uid: 1, gid: 1 }).map(arg =>
    arg === 'direct' ? 'program' : arg,
  )
  const inner = [...mapper, ...mappedNamespaces, 'echo', 'started']
  const { stdout, stderr } = spawnSync('sh', ['-c', '"$@"; exit $?', 'sh', ...inner], {
    encoding: 'utf8',
    env: { PATH: `${dir}:${process.env['PATH']}` },
    timeout: 30_000,
  })
  expect([stdout, stderr]).toEqual(['', 'newuidmap: not today\n'])
})

describe.runIf(process.geteuid?.() === 0 && existsSync('/usr/bin/newuidmap'))('removeLeftover', () => {
  it('removes directories of subordinate ids, which their user cannot', async () => {
    const argv = await userWithIds('baletest:300000:65536\n')
    const home = join(argv.at(-1) as string, 'home')
    await writeTree(home, { 'left/of-user/apt/partial/file': '' })
    for (const path of ['left', 'left/of-user']) await chown(join(home, path), 54_321, 54_322)
    for (const path of ['left/of-user/apt', 'left/of-user/apt/partial']) await chown(join(home, path), 300_041, 300_041)
    const module = join(import.meta.dirname, '../../lifecycle/engines/subordinate.ts')
    const script = `import(${JSON.stringify(module)}).then(({ removeLeftover }) => removeLeftover(process.argv[1]))`
    const [program = '', ...args] = [...argv, process.execPath, '-e', script, join(home, 'left')]
    const { stderr, status } = spawnSync(program, args, { encoding: 'utf8', cwd: '/' })
    expect([stderr, status]).toEqual(['', 0])
    expect(await readdir(home)).toEqual(['.config'])
  })
})
