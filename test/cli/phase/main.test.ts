import { describe, expect, it } from 'vitest'
import { binaries } from '../../../lifecycle/cli/phase/binaries.ts'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import { EventLog, PhaseLog } from '../../../lifecycle/cli/phase/log.ts'
import { checkDeprecated, requireExperimental } from '../../../lifecycle/cli/phase/modes.ts'
import { BaleError } from '../../../lifecycle/errors.ts'
import type { BuildEvent } from '../../../lifecycle/events.ts'
import { supportedPlatformApis } from '../../../lifecycle/spec/api.ts'
import { lifecycleVersion } from '../../../lifecycle/version.ts'

async function run(argv: readonly string[], env: Record<string, string> = {}, uid = 1000) {
  let said = ''
  const status = await main(argv, env, {
    write: text => void (said += text),
    user: { uid, gid: uid },
    signal: new AbortController().signal,
    become: () => {},
    program: name => [name],
    supervisor: '/cnb/lifecycle/supervisor',
    landlock: '/nowhere/landlock',
  })
  return { status, said }
}

const names = Object.keys(binaries)
const verbs = ['analyze', 'detect', 'restore', 'extend', 'build', 'export', 'create', 'rebase']
const red = (text: string): string => `\u001b[31m${text}\u001b[39m`

describe('the Platform API comes before all else', () => {
  it.each(names)('%s', async name => {
    for (const api of [undefined, '', '0.6', '0.16', '1.0', '0.7.1', 'x\nERROR: y']) {
      const { status, said } = await run([name, '-nope'], api === undefined ? {} : { CNB_PLATFORM_API: api })
      expect([status, said.split('\n').length]).toEqual([11, 2])
      expect(said).toContain('0.7')
      expect(said).toContain('0.15')
    }
  })
  it.each(supportedPlatformApis)('%s is known', async api => {
    expect(await run(['analyzer', '-version', '-no-color'], { CNB_PLATFORM_API: api })).toEqual({
      status: 0,
      said: `${lifecycleVersion}\n`,
    })
  })
})

describe('binaries by their names and by verbs', () => {
  const env = { CNB_PLATFORM_API: '0.15' }
  it.each(names)('%s -version', async name => {
    for (const argv of [
      [name, '-version'],
      [`/cnb/lifecycle/${name}`, '--version=true'],
      ['/cnb/lifecycle/lifecycle', binaries[name]?.verb ?? '', '-version'],
    ])
      expect(await run(argv, env)).toEqual({ status: 0, said: `${lifecycleVersion}\n` })
  })
  it('has the verbs that platforms know', () => expect(Object.values(binaries).map(b => b.verb)).toEqual(verbs))
  it('lifecycle -version', async () => {
    expect(await run(['lifecycle', '-version'], env)).toEqual({ status: 0, said: `${lifecycleVersion}\n` })
  })
  it.each([[['lifecycle']], [['lifecycle', 'analyse']], [['lifecycle', '__proto__']], [['toString']], [[]]])(
    '%j is refused',
    async argv => {
      const { status, said } = await run(argv, env)
      expect(status).toBe(3)
      expect(said).toContain('analyze')
    },
  )
  it.each(names)('%s -help', async name => {
    for (const argv of [['-h'], ['--help'], ['-no-color', '-help', '-nope']]) {
      const { status, said } = await run([name, ...argv], env)
      expect([status, said.startsWith(`Usage of ${name}: -`), said.includes(' -version')]).toEqual([0, true, true])
    }
    expect((await run([name, '-nope', '-h'], env)).status).toBe(2)
  })
  it.each(names)('%s: a malformed flag is 2', async name => {
    expect((await run([name, '-nope'], env)).status).toBe(2)
    expect((await run([name, '-log-level'], env)).status).toBe(2)
    expect((await run([name, '-no-color=maybe'], env)).status).toBe(2)
  })
  it.each(names)('%s: an unknown log level is 1', async name => {
    expect((await run([name, '-log-level=loud'], env)).status).toBe(1)
    expect((await run([name], { ...env, CNB_LOG_LEVEL: 'loud' })).status).toBe(1)
  })
  it.each(['detector', 'restorer', 'builder'])('%s takes no arguments', async name => {
    expect(await run([name, '-no-color', 'stray', '-app=x'], env)).toMatchObject({
      status: 3,
      said: expect.stringContaining(`ERROR: ${name} takes no arguments`) as string,
    })
  })
  it.each(['detector', 'builder'])('%s refuses to run as root', async name => {
    expect(await run([name, '-no-color'], env, 0)).toMatchObject({
      status: 1,
      said: expect.stringContaining(`ERROR: refusing to run ${name} as root`) as string,
    })
  })
  it('warns of a flag after the first argument', async () => {
    const { said } = await run(['exporter', '-no-color', 'image', '-daemon'], env)
    expect(said).toContain('Warning: "-daemon" comes after the first argument, so it is not read as a flag\n')
  })
})

describe('modes', () => {
  function logged(act: (log: PhaseLog) => void): string {
    let said = ''
    const log = new PhaseLog(text => void (said += text))
    log.color = false
    act(log)
    return said
  }
  it.each([
    ['silent', ''],
    ['quiet', ''],
    ['warn', 'Warning: the platform asks for an experimental feature: x\n'],
  ])('CNB_EXPERIMENTAL_MODE=%s', (mode, said) => {
    expect(logged(log => requireExperimental('x', { CNB_EXPERIMENTAL_MODE: mode }, log))).toBe(said)
  })
  it.each([undefined, '', 'error', 'yes'])('CNB_EXPERIMENTAL_MODE=%s refuses', mode => {
    const attempt = () => logged(log => requireExperimental('x', { CNB_EXPERIMENTAL_MODE: mode }, log))
    expect(attempt).toThrow(BaleError)
    expect(attempt).toThrow('x is an experimental feature')
  })
  it.each([
    ['0.8', undefined, ''],
    ['0.7', undefined, 'Warning: Platform API 0.7 is deprecated\n'],
    ['0.7', 'warn', 'Warning: Platform API 0.7 is deprecated\n'],
    ['0.7', 'quiet', ''],
  ])('API %s with CNB_DEPRECATION_MODE=%s', (api, mode, said) => {
    const check = (log: PhaseLog) => checkDeprecated(api, 'platform-api', ['0.7'], { CNB_DEPRECATION_MODE: mode }, log)
    expect(logged(check)).toBe(said)
  })
  it('CNB_DEPRECATION_MODE=error refuses a deprecated API as if it were not supported', () => {
    for (const kind of ['platform-api', 'buildpack-api'] as const)
      expect(() =>
        logged(log => checkDeprecated('0.7', kind, ['0.7'], { CNB_DEPRECATION_MODE: 'error' }, log)),
      ).toThrow(expect.objectContaining({ code: kind }) as Error)
  })
})

describe('what is printed', () => {
  const digest = `sha256:${'ab'.repeat(32)}`
  const events: BuildEvent[] = [
    { type: 'phase-started', phase: 'analyze' },
    { type: 'restored', what: 'metadata', name: 'a/b:c', from: 'image' },
    { type: 'restored', what: 'data', name: 'a/b:c', from: 'cache' },
    { type: 'layer', action: 'added', kind: 'buildpack', name: 'a/b:c', diffId: digest, size: 1 },
    { type: 'layer', action: 'reused', kind: 'app', name: 'app', diffId: digest, size: 1 },
    { type: 'cached', action: 'added', name: 'a/b:c', size: 1 },
    { type: 'cached', action: 'reused', name: 'a/b:d', size: 1 },
    { type: 'saved', names: ['r.io/x:1', 'r.io/x:2'], digest, imageId: digest, size: 1 },
    { type: 'warning', text: 'careful' },
    { type: 'note', level: 'debug', text: 'small' },
    { type: 'output', stream: 'stderr', text: 'from a buildpack\u001b[2J' },
    {
      type: 'detected',
      results: [
        { id: 'a/b', version: '1.2', optional: false, status: 'passed', exitCode: 0, output: 'yes' },
        { id: 'long/name', version: '3.0', optional: true, status: 'passed', exitCode: 0, output: '' },
        { id: 'other', version: '1', optional: true, status: 'failed', exitCode: 100, output: '' },
      ],
      group: [
        { id: 'a/b', version: '1.2' },
        { id: 'long/name', version: '3.0' },
      ],
    },
  ]
  function shown(level: string, color = false): string[] {
    let said = ''
    const log = new PhaseLog(text => void (said += text))
    log.color = color
    log.setLevel(level)
    for (const event of events) log.event(event)
    log.failed(new BaleError('failed', 'bad\u001b]0;x\u0007 thing', { where: 'place', fix: 'mend it' }))
    return said.trimEnd().split('\n')
  }
  it('has the lines that platforms read', () => {
    expect(shown('info')).toEqual([
      '===> ANALYZING',
      'Restoring metadata for "a/b:c" from app image',
      'Restoring data for "a/b:c" from cache',
      "Adding layer 'a/b:c'",
      "Reusing layer 'app'",
      "Adding cache layer 'a/b:c'",
      "Reusing cache layer 'a/b:d'",
      'Saving r.io/x:1...',
      '*** Images (abababababab):',
      '      r.io/x:1',
      '      r.io/x:2',
      'Warning: careful',
      'from a buildpack',
      '2 of 3 buildpacks participating',
      'a/b       1.2',
      'long/name 3.0',
      'ERROR: place; bad thing; mend it',
    ])
  })
  it('has more at debug and less at warn and error, and at each what buildpacks print', () => {
    expect(shown('debug')).toEqual(expect.arrayContaining(['small', `*** Digest: ${digest}`, 'failed: other@1', 'yes']))
    expect(shown('WARN')).toEqual(['Warning: careful', 'from a buildpack', 'ERROR: place; bad thing; mend it'])
    expect(shown('warning')).toEqual(shown('WARN'))
    expect(shown('error')).toEqual(['from a buildpack', 'ERROR: place; bad thing; mend it'])
  })
  it('has no event for a stop, which whoever stops the phase knows of', () => {
    const sent: string[] = []
    const log = new EventLog(text => void sent.push(text))
    log.failed(new BaleError('cancelled', 'stopped'))
    expect(sent).toEqual([])
    log.failed(new BaleError('failed', 'broken'))
    expect(sent).toEqual([expect.stringContaining('"broken"')])
  })
  it('has colours unless -no-color says otherwise', async () => {
    expect(shown('info', true)).toEqual(expect.arrayContaining([`${red('ERROR: ')}place; bad thing; mend it`]))
    expect(shown('info', true)[0]).toBe('\u001b[36m===> ANALYZING\u001b[39m')
    const env = { CNB_PLATFORM_API: '0.15' }
    expect((await run(['extender'], env)).said).toContain(red('ERROR: '))
    for (const argv of [['extender'], ['extender', '-nope'], ['lifecycle', 'nope']])
      expect((await run(argv, { ...env, CNB_NO_COLOR: 'true' })).said).not.toContain('\u001b')
    expect((await run(['extender'], { CNB_NO_COLOR: '1' })).said).not.toContain('\u001b')
  })
})
