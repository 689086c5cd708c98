import { describe, expect, it } from 'vitest'
import { requireBuildpackApi } from '../../lifecycle/spec/api.ts'
import { combineProcesses, parseLaunch } from '../../lifecycle/spec/launch.ts'
import type { LaunchDocument } from '../../lifecycle/spec/types.ts'
import { failure } from './failure.ts'

const parse = (text: string, api = '0.12') => parseLaunch(text, 'launch.toml', requireBuildpackApi(api, 'a'))
const fails = (text: string, api = '0.12') => failure(() => parse(text, api))
const web = '[[processes]]\ntype = "web"\ncommand = ["node"]\n'

describe('launch.toml', () => {
  it('reads processes, labels and slices', () => {
    const text = `
[[labels]]
key = "maintainer"
value = ""
[[processes]]
type = "web"
command = ["node", "server.js"]
args = ["--port", "80"]
default = true
working-dir = "sub/dir"
exec-env = ["production"]
[[processes]]
type = "worker"
command = ["bin/worker"]
exec-env = ["*"]
[[slices]]
paths = ["dist/*", "/workspace/x"]
[[bom]]
name = "legacy"`
    expect(parse(text)).toEqual({
      labels: [{ key: 'maintainer', value: '' }],
      processes: [
        {
          type: 'web',
          command: ['node', 'server.js'],
          args: ['--port', '80'],
          direct: true,
          default: true,
          workingDir: 'sub/dir',
          execEnv: ['production'],
        },
        { type: 'worker', command: ['bin/worker'], args: [], direct: true, default: false },
      ],
      slices: [{ paths: ['dist/*', '/workspace/x'] }],
    })
  })
  it('may be empty', () => expect(parse('')).toEqual({ processes: [], labels: [], slices: [] }))

  it('reads one-string commands of Buildpack API 0.8, with a shell unless direct', () => {
    const text = '[[processes]]\ntype = "web"\ncommand = "node $X"\nexec-env = ["test"]\n'
    expect(parse(text, '0.8').processes).toEqual([
      { type: 'web', command: ['node $X'], args: [], direct: false, default: false },
    ])
    expect(parse(text + 'direct = true', '0.8').processes[0]?.direct).toBe(true)
    expect(fails(web, '0.8')).toBe('launch.toml:3 processes[0].command: not a string but an array')
  })
  it('refuses one-string commands and shells from 0.9 on', () => {
    expect(fails('[[processes]]\ntype = "web"\ncommand = "node"', '0.9')).toBe(
      'launch.toml:3 processes[0].command: a string, which this Buildpack API no longer allows; write a list: command = ["program", "argument"]',
    )
    expect(fails(web + 'direct = false', '0.9')).toContain('launch.toml:4 processes[0].direct: false, but this')
    expect(parse(web + 'direct = true', '0.9').processes[0]?.direct).toBe(true)
  })
  it('ignores exec-env where the API has none', () => {
    expect(parse(web + 'exec-env = ["test"]', '0.11').processes[0]).not.toHaveProperty('execEnv')
  })

  it.each([
    [
      'D13',
      '[[processes]]\ntype = ".."\ncommand = ["x"]',
      'launch.toml:2 processes[0].type: ".." cannot be a process type',
    ],
    ['D13', '[[processes]]\ntype = "/"\ncommand = ["x"]', '"/" cannot be a process type'],
    ['D13', `[[processes]]\ntype = "${'x'.repeat(300)}"\ncommand = ["x"]`, 'longer than 255 bytes'],
    ['D13', web + web, 'launch.toml:5 processes[1].type: "web" appears twice'],
    [
      'D13',
      `${web}default = true\n${web.replace('web', 'b')}default = true`,
      'launch.toml:8 processes[1].default: "default = true" appears twice',
    ],
    ['D13', '[[processes]]\ncommand = ["x"]', 'launch.toml:1 processes[0].type: missing'],
    ['D13', '[[processes]]\ntype = "web"', 'launch.toml:1 processes[0].command: names no program'],
    ['D13', '[[processes]]\ntype = "web"\ncommand = [""]', 'launch.toml:3 processes[0].command: names no program'],
    ['P03', '[[processes]]\ntype = "web"\ncommand = ["x", 1]', 'processes[0].command: not a string but a number'],
    ['P08', '[[processes]]\ntype = "web"\ncommand = ["x", "\\u0000"]', 'a string holds a NUL character'],
    ['D14', web + 'working-dir = "../x"', 'launch.toml:4 processes[0].working-dir: "../x" is outside the application'],
    ['D14', web + 'working-dir = "a/../../x"', 'is outside the application directory'],
    ['D15', '[[slices]]\npaths = ["../**"]', 'launch.toml:2 slices[0].paths: "../**" leaves the application directory'],
    ['D15', '[[slices]]\npaths = ["a/../../b"]', 'leaves the application directory'],
    ['D15', '[[slices]]\npaths = ["["]', 'launch.toml:2 slices[0].paths: "[" is malformed'],
    ['D16', `[[labels]]\nkey = "a"\nvalue = "${'x'.repeat(10 << 20)}"`, 'labels[0].value: a label larger than 1 MiB'],
    ['D16', '[[labels]]\nkey = "a b"\nvalue = ""', 'launch.toml:2 labels[0].key: "a b" cannot be a label\'s key'],
    ['', '[[labels]]\nkey = "a"', 'launch.toml:1 labels[0].value: missing'],
    [
      '',
      '[[labels]]\nkey = "a"\nvalue = ""\n[[labels]]\nkey = "a"\nvalue = "b"',
      'launch.toml:5 labels[1].key: "a" appears twice',
    ],
  ])('%s refuses %.80j', (_case, text, message) => {
    expect(fails(text)).toContain(message)
    expect(fails(text).length).toBeLessThan(300)
  })
  it('D14 takes directories in the app and absolute ones, such as a layer', () => {
    for (const dir of ['.', 'a/../b', '/layers/x', '/']) {
      expect(parse(web + `working-dir = "${dir}"`).processes[0]?.workingDir).toBe(dir)
    }
  })
})

describe('combineProcesses', () => {
  const launch = (...types: string[]): LaunchDocument => ({
    labels: [],
    slices: [],
    processes: types.map(type => ({
      type: type.replace('!', ''),
      command: [type],
      args: [],
      direct: true,
      default: type.endsWith('!'),
    })),
  })
  const combine = (...documents: LaunchDocument[]) =>
    combineProcesses(documents.map((launch, i) => ({ buildpackId: `b${i}`, launch })))

  it('sorts by type and says whose they are', () => {
    const { processes, defaultProcessType } = combine(launch('worker', 'web'), launch('api!'))
    expect(processes.map(p => [p.type, p.buildpackId, p.default])).toEqual([
      ['api', 'b1', true],
      ['web', 'b0', false],
      ['worker', 'b0', false],
    ])
    expect(defaultProcessType).toBe('api')
  })
  it('takes the last definition of a type and the last default', () => {
    const { processes, defaultProcessType } = combine(launch('web!', 'worker'), launch('worker!'), launch('web'))
    expect(processes.map(p => [p.type, p.buildpackId, p.default])).toEqual([
      ['web', 'b2', false],
      ['worker', 'b1', true],
    ])
    expect(defaultProcessType).toBe('worker')
  })
  it('leaves no default when the default is defined anew and not as default', () => {
    const combined = combine(launch('web!'), launch('web'))
    expect(combined).not.toHaveProperty('defaultProcessType')
    expect(combined.lostDefault).toEqual({ type: 'web', buildpackId: 'b1' })
    expect(combined.processes[0]?.default).toBe(false)
  })
  it('keeps a default that comes after the loss', () => {
    const combined = combine(launch('web!'), launch('web'), launch('worker!'))
    expect(combined.defaultProcessType).toBe('worker')
    expect(combined).not.toHaveProperty('lostDefault')
  })
  it('may combine nothing', () => expect(combine()).toEqual({ processes: [] }))
})
