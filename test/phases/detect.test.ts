import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { detect } from '../../lifecycle/phases/detect.ts'
import type { Group } from '../../lifecycle/spec/types.ts'
import { failureOf } from '../helpers/failure.ts'
import { supervisorProgram } from '../helpers/supervisor.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import type { Tree } from '../helpers/tree.ts'
import { buildpack, detectInput, order } from './harness.ts'

const ids = ({ buildpacks }: Group): string[] => buildpacks.map(b => b.id)

describe('detect', () => {
  it('takes the first group whose required buildpacks all pass, without the optional ones that do not', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('a/no', { detect: 'echo "no go.mod"; exit 100' }),
      ...buildpack('a/yes', {}),
      ...buildpack('a/maybe', { detect: 'exit 100' }),
    }
    const input = await detectInput(dir, tree, order(['a/no', 'a/yes'], ['a/yes', { id: 'a/maybe', optional: true }]))
    const { group, results } = await detect(input)
    expect(ids(group)).toEqual(['a/yes'])
    expect(results.map(r => `${r.id} ${r.status}`)).toEqual(['a/no failed', 'a/yes passed', 'a/maybe failed'])
  })

  it('runs each bin/detect once, however many groups it is in', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('count', { detect: `echo run >> "${dir}/runs"; exit 0` }),
      ...buildpack('no', { detect: 'exit 100' }),
      ...buildpack('never', { detect: 'exit 100' }),
    }
    await detect(await detectInput(dir, tree, order(['count', 'no'], ['count', 'never'], ['count'])))
    expect(await readFile(join(dir, 'runs'), 'utf8')).toBe('run\n')
  })

  it('reads composites that name each other twice only once, and refuses what they multiply to', async () => {
    const dir = await temporaryDirectory()
    const element = (id: string) => `[[order]]\n[[order.group]]\nid = "${id}"\nversion = "1.0.0"\n`
    const levels = Array.from({ length: 30 }, (_, n): [string, string] => [
      `buildpacks/level${n}/1.0.0/buildpack.toml`,
      `api = "0.11"\n[buildpack]\nid = "level${n}"\nversion = "1.0.0"\n${element(`level${n + 1}`).repeat(2)}`,
    ])
    const tree = { ...Object.fromEntries(levels), ...buildpack('level30', {}) }
    const input = await detectInput(dir, tree, order(['level0']))
    await expect(detect(input)).rejects.toThrow('the order expands to more than 10000 groups')
  })

  it('expands a composite buildpack in place', async () => {
    const dir = await temporaryDirectory()
    const composite = {
      'buildpacks/family/1.0.0/buildpack.toml':
        'api = "0.11"\n[buildpack]\nid = "family"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "no"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "yes"\nversion = "1.0.0"\n',
    }
    const tree = {
      ...composite,
      ...buildpack('yes', {}),
      ...buildpack('no', { detect: 'exit 100' }),
      ...buildpack('last', {}),
    }
    const { group } = await detect(await detectInput(dir, tree, order(['family', 'last'])))
    expect(ids(group)).toEqual(['yes', 'last'])
  })

  it('resolves the build plan, and an `or` in it', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('jdk', { detect: `printf '[[provides]]\\nname = "jdk"\\n' > "$CNB_BUILD_PLAN_PATH"` }),
      ...buildpack('spring', {
        detect: `printf '[[requires]]\\nname = "nothing"\\n[[or]]\\n[[or.requires]]\\nname = "jdk"\\n[or.requires.metadata]\\nversion = "21"\\n' > "$2"`,
      }),
    }
    const { plan } = await detect(await detectInput(dir, tree, order(['jdk', 'spring'])))
    expect(plan.entries).toEqual([
      { providers: [{ id: 'jdk', version: '1.0.0' }], requires: [{ name: 'jdk', metadata: { version: '21' } }] },
    ])
  })

  it('keeps the order of the group', async () => {
    const dir = await temporaryDirectory()
    const names = ['c', 'a', 'd', 'b']
    const tree = Object.assign({}, ...names.map((id, i) => buildpack(id, { detect: `sleep 0.${4 - i}` }))) as Tree
    expect(ids((await detect(await detectInput(dir, tree, order(names)))).group)).toEqual(names)
  })

  it('needs one buildpack that passes: a group of optional ones that do not is none', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('no', { detect: 'exit 100' }), ...buildpack('yes', {}) }
    const { group } = await detect(await detectInput(dir, tree, order([{ id: 'no', optional: true }], ['yes'])))
    expect(ids(group)).toEqual(['yes'])
  })

  it('tries the next group when no build plan works out', async () => {
    const dir = await temporaryDirectory()
    const needy = `printf '[[requires]]\\nname = "jdk"\\n' > "$2"`
    const tree = { ...buildpack('needy', { detect: needy }), ...buildpack('plain', {}) }
    const optional = { id: 'needy', optional: true } as const
    expect(ids((await detect(await detectInput(dir, tree, order(['needy'], ['plain'])))).group)).toEqual(['plain'])
    expect(ids((await detect(await detectInput(dir, tree, order([optional, 'plain'])))).group)).toEqual(['plain'])
  })

  it.each(['0.7', '0.8', '0.9', '0.10', '0.11', '0.12'])(
    'gives bin/detect the inputs of Buildpack API %s',
    async api => {
      const dir = await temporaryDirectory()
      const script = `{ printf '%s\\n' "$0" "$1" "$#" "$PWD"; env; } > "${dir}/seen"; : >> "$2"`
      await detect(await detectInput(dir, buildpack('one', { api, detect: script }), order(['one'])))
      const seen = await readFile(join(dir, 'seen'), 'utf8')
      const inputs = [`${dir}/buildpacks/one/1.0.0/bin/detect`, `${dir}/platform`, '2', `${dir}/workspace`]
      expect(seen.startsWith(inputs.join('\n'))).toBe(true)
      const minor = Number(api.slice(2))
      for (const [line, since] of [
        [`CNB_BUILDPACK_DIR=${dir}/buildpacks/one/1.0.0\n`, 7],
        [`CNB_PLATFORM_DIR=${dir}/platform\n`, 8],
        ['CNB_BUILD_PLAN_PATH=/', 8],
        ['CNB_TARGET_OS=linux\n', 10],
        ['CNB_TARGET_ARCH=amd64\n', 10],
        ['CNB_EXEC_ENV=production\n', 12],
      ] as const)
        expect(seen.includes(line), line).toBe(minor >= since)
    },
  )

  it('gives bin/detect the inputs of the spec, and only the environment that may pass', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('env', { detect: `env > "${dir}/env"; pwd >> "${dir}/env"` }) }
    await detect(await detectInput(dir, tree, order(['env'])))
    const env = await readFile(join(dir, 'env'), 'utf8')
    expect(env).toContain(`CNB_BUILDPACK_DIR=${dir}/buildpacks/env/1.0.0\n`)
    expect(env).toContain(`CNB_PLATFORM_DIR=${dir}/platform\n`)
    expect(env).toContain('CNB_TARGET_DISTRO_VERSION=13\n')
    expect(env).toContain(`\n${dir}/workspace\n`)
    expect(env).not.toContain('NODE')
  })

  it('fails with 20 when nothing fits, saying what each looked for', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('go', { detect: 'echo "there is no go.mod"; exit 100' }) }
    const error = (await failureOf(detect(await detectInput(dir, tree, order(['go']))))) as BaleError
    expect(error.code).toBe('nothing-detected')
    expect(error.message).toContain('go@1.0.0: there is no go.mod')
  })

  it('leaves out those that said nothing where others did', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('silent', { detect: 'exit 100' }),
      ...buildpack('last', { detect: 'echo "this looks like Perl"; exit 100' }),
    }
    const explained = (await failureOf(detect(await detectInput(dir, tree, order(['silent'], ['last']))))) as BaleError
    expect(explained.message).toContain('last@1.0.0: this looks like Perl')
    expect(explained.message).not.toContain('silent')
    const silent = (await failureOf(detect(await detectInput(dir, tree, order(['silent']))))) as BaleError
    expect(silent.message).toContain('silent@1.0.0: it did not say why')
  })

  it('fails with 21 when nothing fits and one errored', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('broken', { detect: 'echo oops >&2; exit 3' }) }
    const error = (await failureOf(detect(await detectInput(dir, tree, order(['broken']))))) as BaleError
    expect(error.code).toBe('detect-errored')
    expect(error.message).toContain('exit status 3')
    expect(error.message).toContain('oops')
  })

  it('counts a required buildpack for another target as an error', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('arm', { toml: '[[targets]]\nos = "linux"\narch = "arm64"\n' }) }
    const error = (await failureOf(detect(await detectInput(dir, tree, order(['arm']))))) as BaleError
    expect(error.code).toBe('detect-errored')
    expect(error.message).toContain('it does not support linux/amd64')
  })

  it('names a buildpack that the order has and the builder has not', async () => {
    const dir = await temporaryDirectory()
    const error = (await failureOf(detect(await detectInput(dir, {}, order(['ghost']))))) as BaleError
    expect(error.message).toContain('ghost@1.0.0')
    expect(error.fix).toBeDefined()
  })

  it.each([
    ['is missing', 'rm'],
    ['is not executable', 'chmod'],
  ])('D17 bin/detect %s', async (_what, how) => {
    const dir = await temporaryDirectory()
    const input = await detectInput(dir, buildpack('x', {}), order(['x']))
    const { chmod, rm } = await import('node:fs/promises')
    const file = join(dir, 'buildpacks/x/1.0.0/bin/detect')
    await (how === 'rm' ? rm(file) : chmod(file, 0o644))
    const error = (await failureOf(detect(input))) as BaleError
    expect(error.where).toBe(file)
  })

  it('D17 bin/detect has a bad interpreter', async () => {
    const dir = await temporaryDirectory()
    const input = await detectInput(dir, buildpack('x', {}), order(['x']))
    await writeFile(join(dir, 'buildpacks/x/1.0.0/bin/detect'), '#!/no/such/shell\n')
    const error = (await failureOf(detect(input))) as BaleError
    expect(error.message).toContain('interpreter')
  })

  it('S20 a bin/detect with Windows line ends is called that', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('one', {}), 'buildpacks/one/1.0.0/bin/detect': { script: 'exit 0\r' } }
    const input = await detectInput(dir, tree, order(['one']))
    const file = join(dir, 'buildpacks/one/1.0.0/bin/detect')
    await writeFile(file, '#!/bin/sh\r\nexit 0\r\n')
    const error = (await failureOf(detect(input))) as BaleError
    expect(`${error.message} ${error.fix}`).toContain('its first line ends in CRLF')
  })

  it('D17 prints far too much: memory stays bounded and the rest is dropped', async () => {
    const dir = await temporaryDirectory()
    const tree = buildpack('loud', { detect: 'head -c 300000000 /dev/zero | tr "\\0" x; exit 100' })
    const input = await detectInput(dir, tree, order(['loud']))
    let most = 0
    const before = process.memoryUsage.rss()
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss() - before)), 20)
    const error = (await failureOf(detect(input)).finally(() => clearInterval(timer))) as BaleError
    expect(error.message.length).toBeLessThan(200_000)
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(150_000_000)
  })

  it('X13 X16 makes no system call that no build needs, and leaves no process', async () => {
    const dir = await temporaryDirectory()
    const script = `grep -q '^Seccomp:.2$' /proc/self/status || exit 100
(setsid sh -c 'trap "" TERM; echo $$ > "${dir}/pid"; exec sleep 600' >/dev/null 2>&1 &)
while ! [ -s "${dir}/pid" ]; do sleep 0.01; done`
    const input = await detectInput(dir, buildpack('leaving', { detect: script }), order(['leaving']))
    const { results } = await detect({ ...input, supervisor: supervisorProgram() })
    expect(results).toMatchObject([{ status: 'passed' }])
    const pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('D17 ignores SIGTERM: it is killed all the same', { timeout: 15_000 }, async () => {
    const dir = await temporaryDirectory()
    const tree = buildpack('deaf', { detect: `trap '' TERM; echo $$ > "${dir}/pid"; while :; do sleep 1; done` })
    const abort = new AbortController()
    const running = failureOf(detect(await detectInput(dir, tree, order(['deaf'])), abort.signal))
    const pid = await waitForFile(join(dir, 'pid'))
    abort.abort(new BaleError('cancelled', 'stopped'))
    expect(await running).toMatchObject({ code: 'cancelled' })
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  })
})

async function waitForFile(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.endsWith('\n')) return text.trim()
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
