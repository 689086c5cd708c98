import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { byDefault, type BuildContext, defineBuildpack, pass, prepend } from '../../../buildpacks/sdk/index.ts'
import type { Command } from '../../../buildpacks/sdk/command.ts'
import { buildpackDir, openProject } from './project.ts'

const install = { RAILPACK_INSTALL_CMD: './fetch' }
const build = { RAILPACK_BUILD_CMD: './compile all' }

/** What a buildpack starts that has both steps, or only some, and whose programs the user's commands may replace. */
async function built(
  env: Record<string, string>,
  work: (context: BuildContext) => Promise<void>,
  {
    ownCommands,
    plan = {},
    app = {},
    fails = '',
  }: { ownCommands?: 'after' | 'left'; plan?: object; app?: Record<string, string>; fails?: string } = {},
) {
  const commands: Command[] = []
  const buildpack = defineBuildpack({
    ...(ownCommands && { ownCommands }),
    detect: () => pass('always'),
    async build(context) {
      await work(context)
      return {}
    },
  })
  const project = await openProject({
    buildpack,
    dir: await buildpackDir(),
    app,
    env,
    runner: command => {
      commands.push(command)
      const line = command.argv.join(' ')
      const stderr = line.includes('fetch') ? fails : ''
      return Promise.resolve({ exitCode: stderr === '' ? 0 : 127, stdout: '', stderr })
    },
  })
  const { output, exitCode } = await project.build({ ...plan })
  return { output, exitCode, commands, lines: commands.map(({ argv }) => argv.join(' ')) }
}

const both = async ({ run }: BuildContext) => {
  await run(['tool', 'fetch'], { step: 'install', env: { HOME: '/cache' } })
  await run(['tool', 'fetch', 'more'], { step: 'install' })
  await run(['tool', 'check'])
  await run(['tool', 'compile'], { step: 'build', env: { MODE: 'release' } })
}

describe('the user’s own commands', () => {
  it('are not there: what the language runs', async () => {
    const { lines } = await built({}, both, { ownCommands: 'left' })
    expect(lines).toEqual(['tool fetch', 'tool fetch more', 'tool check', 'tool compile'])
  })

  it('are run once, in place of a step’s programs, with their variables', async () => {
    const { lines, commands, output } = await built({ ...install, ...build }, both, { ownCommands: 'left' })
    expect(lines).toEqual(['bash -c ./fetch', 'tool check', 'bash -c ./compile all'])
    expect(commands[0]?.env).toMatchObject({ HOME: '/cache' })
    expect(commands[2]?.env).toMatchObject({ MODE: 'release' })
    expect(output).toContain('Running RAILPACK_BUILD_CMD: ./compile all, instead of tool compile')
    expect(output).not.toContain('Warning')
  })

  it('to install come before the build of a language that installs nothing', async () => {
    const { lines } = await built(install, ({ run }) => run(['tool', 'compile'], { step: 'build' }).then(() => {}))
    expect(lines).toEqual(['bash -c ./fetch', 'tool compile'])
  })

  it('are run after a build that goes on from the files, with the variables of its layers', async () => {
    const { lines, commands } = await built(
      build,
      async ({ layer }) => {
        await layer('packages', {
          types: { launch: true, cache: true },
          key: {},
          create: async dir => {
            await mkdir(join(dir, 'bin'))
            await writeFile(join(dir, 'bin/tool'), '')
            return { env: { launch: { PATH: prepend('/more', ':'), MODE: byDefault('x') } } }
          },
        })
      },
      { ownCommands: 'after' },
    )
    expect(lines).toEqual(['bash -c ./compile all'])
    expect(commands[0]?.env['PATH']).toMatch(/^\/more:.*\/layers\/packages\/bin:/)
    expect(commands[0]?.env['MODE']).toBe('x')
  })

  it('fill a layer in each build, whatever its key, and leave nothing there without them', async () => {
    const lines: string[] = []
    const buildpack = defineBuildpack({
      ownCommands: 'left',
      detect: () => pass('always'),
      async build({ layer, run }) {
        const create = async () => void (await run(['tool', 'fetch'], { step: 'install' }))
        await layer('packages', {
          title: 'packages',
          types: { launch: true },
          step: 'install',
          key: { a: '1' },
          create,
        })
        return {}
      },
    })
    const runner = ({ argv }: Command) => {
      lines.push(argv.join(' '))
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
    }
    const project = await openProject({ buildpack, dir: await buildpackDir(), app: {}, env: install, runner })
    for (const env of [install, install, { RAILPACK_INSTALL_CMD: './other' }, {}, {}]) {
      project.setEnv(env)
      expect((await project.build()).output).not.toContain('Warning')
      await project.nextBuild()
    }
    expect(lines).toEqual(['bash -c ./fetch', 'bash -c ./fetch', 'bash -c ./other', 'tool fetch'])
  })

  it('that nothing gives way to are spoken of', async () => {
    const { lines, output } = await built({ ...install, ...build }, async () => {}, { ownCommands: 'left' })
    expect(lines).toEqual([])
    expect(output).toContain('Warning: RAILPACK_INSTALL_CMD and RAILPACK_BUILD_CMD: not run')
  })

  it('are of no matter to a buildpack that is not a language’s, or that builds for another', async () => {
    expect((await built(build, async () => {})).output).not.toContain('RAILPACK')
    const entries = [{ name: 'python', metadata: { launch: false } }]
    const { lines, output } = await built(build, async () => {}, { ownCommands: 'after', plan: { entries } })
    expect({ lines, warns: output.includes('RAILPACK') }).toEqual({ lines: [], warns: false })
  })

  it('are those of Node.js where it builds a front end', async () => {
    const app = { 'package.json': '{"scripts":{"build":"vite build"},"devDependencies":{"vite":"7"}}', 'main.go': '' }
    const { lines, output } = await built({ ...install, ...build }, both, { ownCommands: 'after', app })
    expect(lines).toContain('tool compile')
    expect(output).not.toContain('RAILPACK')
  })

  it('that fail end the build with the program that is missing', async () => {
    const fails = 'bash: line 1: poetry: command not found\n'
    const { output, exitCode } = await built(install, both, { fails })
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: RAILPACK_INSTALL_CMD failed with exit status 127')
    expect(output).toContain('poetry is not available when this language is built')
  })
})
