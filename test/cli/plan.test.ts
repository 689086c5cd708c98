import { access, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { planCommand } from '../../lifecycle/cli/commands/plan.ts'
import { type GlobalOptions, makeContext } from '../../lifecycle/cli/context.ts'
import { runProgram } from '../../lifecycle/cli/program.ts'
import type { BuildOptions } from '../../lifecycle/platform/build-options.ts'
import { plan } from '../../lifecycle/platform/plan-app.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type Script, builds, fakeEngine, machine, tells } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { zip } from '../helpers/zip.ts'

/** A user whose builds run in a fake engine. */
async function user() {
  /** The source that each detection found. */
  const seen: string[][] = []
  const detector: Script = async (run, mounted) => {
    seen.push((await readdir(mounted('/workspace'))).sort())
    return tells()(run, mounted)
  }
  const { root, options } = await machine(fakeEngine({ detector, builder: builds() }))
  const given: BuildOptions[] = []
  const planning = (called: BuildOptions) => {
    given.push(called)
    return plan({ ...called, distribution: options.distribution })
  }
  const bale = async (chosen: GlobalOptions = {}) => {
    const { own, said } = fakeProcess({ HOME: root })
    const all: GlobalOptions = { path: options.path, builder: join(root, 'builder'), ...chosen }
    const context = { ...makeContext(all, own), settings: options.settings }
    await planCommand(context, 'app', all, planning).finally(() => context.close())
    return said
  }
  return { root, bale, seen, given }
}

function fakeProcess(env: NodeJS.ProcessEnv) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const said = { out: '', err: '' }
  stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  const self = { env, stdin: new PassThrough().end(), stdout, stderr, once: () => self, removeListener: () => self }
  return { own: self as unknown as Parameters<typeof runProgram>[1], said }
}

describe('bale plan', () => {
  it('tells people what takes part and why, on what, for where, and what cannot be known', async () => {
    const { bale } = await user()
    const { out, err } = await bale({ output: 'human' })
    expect(err).toBe('')
    const lines = out.slice(out.indexOf('The build would use'))
    expect(lines).toMatch(/Builder +\S+\/builder, chosen by --builder/)
    expect(lines).toMatch(/Run image +bale.local\/stacks\/stack:run sha256:[0-9a-f]{64}/)
    expect(lines).toMatch(/Target +linux\/amd64 debian 13/)
    expect(lines).toMatch(/Previous +none: a first build/)
    expect(lines).toMatch(/Goes to +app:latest \(writable\)/)
    expect(lines).toMatch(/test\/bp +1\.0\.0 +found main\.js\n/)
    expect(lines).toContain('  node {"version":"22"}, from test/bp@1.0.0\n')
    expect(lines).toContain('Known only after a build: processes, layers, the digest.')
  })

  it('says the same in JSON, YAML and TOML, alone on standard output', async () => {
    const { bale } = await user()
    const json = await bale({ output: 'json' })
    const planned = JSON.parse(json.out) as Record<string, unknown>
    expect(planned).toMatchObject({ buildpacks: [{ id: 'test/bp' }], unknown: ['processes', 'layers', 'digest'] })
    expect(json.err).toContain('DETECTING')
    expect(load((await bale({ output: 'yaml' })).out)).toEqual(planned)
    const toml = parseToml((await bale({ output: 'toml' })).out, 'output')
    expect(JSON.parse(JSON.stringify(toml))).toEqual(planned)
  })

  it('writes none of the files that a build writes', async () => {
    const { root, bale } = await user()
    const files = {
      reportOutputDir: join(root, 'report'),
      sbomOutputDir: join(root, 'sbom'),
      digestFile: join(root, 'd'),
    }
    await bale({ ...files, output: 'json' })
    for (const file of Object.values(files)) await expect(access(file)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(readdir(join(root, 'cache/apps'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('takes the source from a zip file', async () => {
    const { root, bale, seen } = await user()
    await writeFile(join(root, 'source.zip'), zip({ 'main.js': 'main', 'lib/a.js': 'a' }))
    await bale({ path: join(root, 'source.zip'), output: 'json' })
    expect(seen).toEqual([['lib', 'main.js']])
  })

  it('hands on users, insecure registries and mirrors of the command line and of bale config', async () => {
    const { root, bale, given } = await user()
    const config = '[registry-mirrors]\n"r.test" = ["mirror.test/x"]\n'
    await writeTree(root, { '.config/bale/config.toml': config })
    await bale({ output: 'json', uid: '1234', gid: '0', insecureRegistry: ['s.test:5000', 't.test'] })
    expect(given).toMatchObject([
      {
        user: { uid: 1234, gid: 0 },
        settings: {
          insecureRegistries: ['s.test:5000', 't.test'],
          registries: { 'r.test': { mirrors: ['mirror.test/x'] } },
        },
      },
    ])
    expect(await failureOf(bale({ uid: '0' }))).toMatchObject({ code: 'usage', where: '--uid' })
  })

  it('does not put a table among lines of JSON', async () => {
    const { bale } = await user()
    expect(await failureOf(bale({ logFormat: 'json' }))).toMatchObject({ code: 'usage', where: '--log-format json' })
  })
})

it.each([
  ['bale plan', ['plan', 'app']],
  ['bale build --dry-run', ['build', 'app', '--dry-run']],
])('%s takes the options of build, and makes a plan', async (_what, argv) => {
  const home = await temporaryDirectory()
  const bale = async (...more: string[]) => {
    const { own, said } = fakeProcess({ HOME: home })
    return { code: await runProgram([...argv, ...more], own), ...said }
  }
  expect((await bale('--memory', 'much')).err).toContain('--memory')
  expect((await bale('--output', 'xml')).code).not.toBe(0)
  for (const format of ['json', 'yaml', 'toml']) {
    const { err } = await bale('--output', format, '--path', join(home, 'absent'))
    expect(err).toContain('absent')
    expect(err).not.toContain('--output')
  }
  // Only a plan refuses this one.
  expect((await bale('--log-format', 'json')).err).toContain('the plan as text')
  expect((await bale('--log-format', 'json')).code).toBe(2)
})

it.each([
  ['json', [], 'add --dry-run for a plan'],
  ['yaml', [], 'add --dry-run for a plan'],
  ['toml', ['--on', 'kubernetes'], 'write --output yaml'],
])('a build has no result as %s', async (format, more, fix) => {
  const { own, said } = fakeProcess({ HOME: await temporaryDirectory() })
  expect(await runProgram(['build', 'app', '--output', format, ...more], own)).toBe(2)
  expect(said.err).toContain(`--output ${format}`)
  expect(said.err).toContain(fix)
})
