import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseProcfile } from '../../buildpacks/procfile/parse.ts'
import { procfile } from '../../buildpacks/procfile/procfile.ts'
import type { Tree } from '../../buildpacks/sdk/testing.ts'
import { openProject } from './sdk/project.ts'

const dir = join(import.meta.dirname, '../../buildpacks/procfile')
const projectOf = (app: Tree, env: Record<string, string> = {}) => openProject({ buildpack: procfile, dir, app, env })

describe('a Procfile', () => {
  it.each<[string, string, [string, string][]]>([
    [
      'a command with everything a shell has',
      'web: A=1 run "x y" | tee log && b: c\n',
      [['web', 'A=1 run "x y" | tee log && b: c']],
    ],
    [
      'several processes, comments, blank lines',
      '# ours\nweb: a\n\n  # theirs\nworker-2: b\nclock_x:c',
      [
        ['web', 'a'],
        ['worker-2', 'b'],
        ['clock_x', 'c'],
      ],
    ],
    [
      'line ends of Windows, tabs and spaces',
      'web:\ta \r\nworker : b\r\n',
      [
        ['web', 'a'],
        ['worker', 'b'],
      ],
    ],
    ['a hash in a command', 'web: a # b', [['web', 'a # b']]],
  ])('names %s', (_name, text, expected) => {
    expect(parseProcfile(text).map(({ type, command }) => [type, command])).toEqual(expected)
  })

  it.each([
    ['web: a\nworker\n', 'Error: Procfile:2: there is no colon between a process type and its command'],
    ['# x\n\n: a\n', 'Error: Procfile:3: "" cannot be a process type'],
    ['my web: a\n', 'Error: Procfile:1: "my web" cannot be a process type'],
    ['../x: a\n', 'Error: Procfile:1: "../x" cannot be a process type'],
    ['web: a\nworker:  \n', 'Error: Procfile:2: the process worker has no command'],
    ['web: a\nworker: b\nweb: c\n', 'Error: Procfile:3: the process web is already in line 1'],
    ['# nothing\n', 'Error: Procfile: it names no process'],
  ])('%j is an error that names the line', async (text, expected) => {
    const { exitCode, output } = await (await projectOf({ Procfile: text })).build()
    expect(exitCode).toBe(1)
    expect(output).toContain(expected)
  })
})

describe('the buildpack', () => {
  it('makes processes for a shell; web is the default', async () => {
    const project = await projectOf({ Procfile: 'worker: b $X\nweb: a\n' })
    expect((await project.detect()).exitCode).toBe(0)
    const { launch, output } = await project.build()
    expect(launch).toEqual({
      processes: [
        { type: 'worker', command: ['bash', '-c', 'b $X', 'bash'] },
        { type: 'web', command: ['bash', '-c', 'a', 'bash'], default: true },
      ],
    })
    expect(output).toBe('Procfile\n  worker: b $X\n  web: a\n')
  })

  it('leaves the default to others if there is no web', async () => {
    const { launch } = await (await projectOf({ Procfile: 'worker: b\n' })).build()
    expect(launch).toEqual({ processes: [{ type: 'worker', command: ['bash', '-c', 'b', 'bash'] }] })
  })

  it('takes GOOGLE_ENTRYPOINT for web, and the rest of the Procfile', async () => {
    const project = await projectOf({ Procfile: 'web: a\nworker: b\n' }, { GOOGLE_ENTRYPOINT: 'c' })
    const { launch } = await project.build()
    expect(launch).toEqual({
      processes: [
        { type: 'web', command: ['bash', '-c', 'c', 'bash'], default: true },
        { type: 'worker', command: ['bash', '-c', 'b', 'bash'] },
      ],
    })
    const alone = await projectOf({}, { GOOGLE_ENTRYPOINT: 'c' })
    expect((await alone.detect()).exitCode).toBe(0)
    expect((await alone.build()).launch).toMatchObject({ processes: [{ type: 'web' }] })
  })

  it('does not take part without either', async () => {
    expect(await (await projectOf({ 'index.html': '' })).detect()).toMatchObject({ exitCode: 100 })
  })

  it.each<[Tree, Record<string, string>, string]>([
    [
      { 'app.yaml': 'runtime: python312\nentrypoint: gunicorn -b :8080 main:app # web\n' },
      {},
      'gunicorn -b :8080 main:app',
    ],
    [{ 'app.yaml': 'entrypoint: "a \\"b\\" c"\n' }, {}, 'a "b" c'],
    [{ 'app.yaml': "entrypoint: 'it''s' # x\r\n" }, {}, "it's"],
    [{ 'app.yaml': 'entrypoint: >-\n  a\n  --b\nruntime: x\n' }, {}, 'a --b'],
    [{ 'app.yaml': 'entrypoint: a\n', Procfile: 'web: b\n' }, {}, 'b'],
    [{ 'app.yaml': 'entrypoint: a\n', Procfile: 'web: b\n' }, { GOOGLE_ENTRYPOINT: 'c' }, 'c'],
    [{ 'app.yaml': 'entrypoint: a\n', Procfile: 'worker: b\n' }, {}, 'a'],
    [{ Procfile: 'web: b\n' }, { RAILPACK_START_CMD: 'd' }, 'd'],
    [{ 'start.sh': 'echo hi\n' }, {}, 'exec bash start.sh'],
    [{ 'start.sh': '#! /bin/sh -e\n' }, {}, 'exec /bin/sh -e start.sh'],
    [{ 'bin/my run.sh': '' }, { RAILPACK_SHELL_SCRIPT: 'bin/my run.sh' }, "exec bash 'bin/my run.sh'"],
  ])('takes the web process of %j with %j', async (app, env, expected) => {
    const project = await projectOf(app, env)
    expect(await project.detect()).toMatchObject({ exitCode: 0 })
    const { launch } = await project.build()
    const { processes } = launch as { processes: { type: string; command: string[]; default?: boolean }[] }
    expect(processes[0]).toEqual({ type: 'web', command: ['bash', '-c', expected, 'bash'], default: true })
  })

  it('leaves a start.sh to the buildpack of a language, and an app.yaml of Kubernetes alone', async () => {
    expect(await (await projectOf({ 'start.sh': '', 'go.mod': '' })).detect()).toMatchObject({ exitCode: 100 })
    expect(await (await projectOf({ 'app.yaml': 'kind: Deployment\n' })).detect()).toMatchObject({ exitCode: 100 })
  })

  it.each<[Tree, Record<string, string>, string]>([
    [{}, { RAILPACK_SHELL_SCRIPT: 'run.sh' }, 'Error: RAILPACK_SHELL_SCRIPT: there is no file run.sh'],
    [{ 'start.sh': '#!/bin/sh\r\n' }, {}, 'Error: start.sh:1: it has Windows line ends (CRLF)'],
  ])('says what is wrong with %j and %j', async (app, env, expected) => {
    const { exitCode, output } = await (await projectOf(app, env)).detect()
    expect(exitCode).toBe(1)
    expect(output).toContain(expected)
  })

  it.each<[string, boolean]>([
    ['web: serve --port $PORT', true],
    ['web: serve --port ${PORT}', true],
    ['web: serve --port ${PORT:-3000}', false],
    ['web: serve', false],
    ['worker: work $PORT', false],
  ])('gives PORT a value where none is set, if %j needs it', async (Procfile, expected) => {
    const project = await projectOf({ Procfile })
    const { layers } = await project.build()
    expect(layers['port']?.types.launch).toBe(expected ? true : undefined)
    if (expected) expect(await project.read('layers/port/env.launch/PORT.default')).toBe('8080')
  })
})
