import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { type DockerCredentialsInput, anonymous, dockerCredentials } from '../../lifecycle/stores/credentials.ts'
import { failureOf } from '../helpers/failure.ts'
import { refusal, secret } from '../helpers/registry/set-up.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const entry = (user: string, password: string = secret) => ({ auth: base64(`${user}:${password}`) })
const ann = { kind: 'password', username: 'ann', password: secret }

/** A home with a config.json, and credential helpers as shell scripts. */
function home(config: unknown, helpers: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'bale-credentials-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const dockerConfig = join(dir, 'config.json')
  writeFileSync(dockerConfig, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 })
  mkdirSync(join(dir, 'bin'))
  for (const [name, script] of Object.entries(helpers)) {
    writeFileSync(join(dir, 'bin', `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  const path = `${join(dir, 'bin')}:/usr/bin:/bin`
  const warnings: string[] = []
  const credentials = (more: Partial<DockerCredentialsInput> = {}) =>
    dockerCredentials({ dockerConfig, path, warn: (text, fix) => warnings.push(`${text} | ${fix}`), ...more })
  return { dir, dockerConfig, path, warnings, credentials }
}

const answering = (user: string, password = secret) =>
  `cat > /dev/null; echo '{"ServerURL":"x","Username":"${user}","Secret":"${password}"}'`

/** Whether there is such a process, and it has not ended unburied. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

describe('CNB_REGISTRY_AUTH', () => {
  const of = (value: unknown) =>
    dockerCredentials({ registryAuth: typeof value === 'string' ? value : JSON.stringify(value), path: '' })

  it('has headers for registries', async () => {
    const credentials = of({
      'a.example.com': `Basic ${base64(`ann:${secret}`)}`,
      'b.example.com:5000': `Bearer ${secret}`,
      'c.example.com': `X-Identity ${secret}`,
    })
    expect(await credentials.find('a.example.com')).toEqual(ann)
    expect(await credentials.find('b.example.com:5000')).toEqual({ kind: 'registry-token', token: secret })
    expect(await credentials.find('c.example.com')).toEqual({ kind: 'identity-token', token: secret })
    expect(await credentials.find('b.example.com')).toBeUndefined()
  })

  it('goes before config.json, which serves for other registries', async () => {
    const { credentials } = home({ auths: { 'a.example.com': entry('config'), 'b.example.com': entry('config') } })
    const both = credentials({ registryAuth: JSON.stringify({ 'a.example.com': `Basic ${base64(`ann:${secret}`)}` }) })
    expect(await both.find('a.example.com')).toEqual(ann)
    expect(await both.find('b.example.com')).toMatchObject({ username: 'config' })
  })

  it.each(['', ' ', '{}'])('has nothing: %j', async value => {
    expect(await of(value).find('a.example.com')).toBeUndefined()
  })

  it.each([
    [secret, 'CNB_REGISTRY_AUTH | is not JSON'],
    [`{"a.example.com":"Basic ${secret}`, 'CNB_REGISTRY_AUTH | is not JSON'],
    [`["${secret}"]`, 'is not a JSON object'],
    [{ 'a.example.com': secret }, '"a.example.com" | is neither Basic nor Bearer'],
    [{ 'a.example.com': `Basic ${secret}` }, 'no user:password in Base64'],
    [{ 'a.example.com': `Basic ${base64(secret)}` }, 'no user:password in Base64'],
    [{ 'a.example.com': `Bearer ${secret} ${secret}` }, 'is neither'],
    [{ 'a.example.com': { password: secret } }, 'is not a string'],
  ])('K07 K02 is malformed (%#), and not shown', async (value, why) => {
    expect(await refusal(of(value).find('a.example.com'))).toContain(why)
  })

  it('K07 is malformed for one registry, which harms no other', async () => {
    expect(await of({ 'a.example.com': 7 }).find('b.example.com')).toBeUndefined()
  })
})

describe('config.json', () => {
  it.each<[string, unknown, unknown]>([
    ['K01 a password with colons', entry('ann', 'a:b:c'), { kind: 'password', username: 'ann', password: 'a:b:c' }],
    ['K01 a password in UTF-8', entry('ünn', 'pässwört'), { kind: 'password', username: 'ünn', password: 'pässwört' }],
    ['K01 an empty password', entry('ann', ''), { kind: 'password', username: 'ann', password: '' }],
    ["K01 Docker's padding", { auth: base64(`ann:${secret}\0\0`) }, ann],
    ['K03 an identity token', { ...entry('ann'), identitytoken: 'id' }, { kind: 'identity-token', token: 'id' }],
    ['a registry token', { registrytoken: 'rt' }, { kind: 'registry-token', token: 'rt' }],
    ['user and password in the clear', { username: 'ann', password: secret }, ann],
    ['an empty entry', {}, undefined],
    ['an entry of empty texts', { auth: '', username: '', password: '' }, undefined],
    ['null', null, undefined],
  ])('has %s', async (_what, auth, credential) => {
    const { credentials } = home({ auths: { 'a.example.com': auth } })
    if (auth === null) return expect(await refusal(credentials().find('a.example.com'))).toContain('is not an object')
    expect(await credentials().find('a.example.com')).toEqual(credential)
  })

  it.each([
    [{ auth: `${base64(`ann:${secret}`)}!` }, 'K02 auth that is not user:password in Base64'],
    [{ auth: base64(secret) }, 'K02 auth that is not user:password in Base64'],
    [{ auth: Buffer.from([0xff, 0xfe, 0x3a, 0x61]).toString('base64') }, 'K02 auth that is not'],
    [{ auth: 7 }, 'K02 auth that is not a string'],
  ])('has bad Base64 (%#): an error, not nobody', async (auth, why) => {
    const { credentials, dockerConfig } = home({ auths: { 'a.example.com': auth } })
    const line = await refusal(credentials().find('a.example.com'))
    expect(line).toContain(why.slice(4))
    expect(line).toContain(dockerConfig)
    expect(line).toContain('run docker login a.example.com')
  })

  it.each<[string, string, boolean]>([
    ['https://index.docker.io/v1/', 'index.docker.io', true],
    ['docker.io', 'index.docker.io', true],
    ['registry-1.docker.io', 'index.docker.io', true],
    ['https://a.example.com', 'a.example.com', true],
    ['http://a.example.com/v2/', 'a.example.com', true],
    ['A.Example.com', 'a.example.com', true],
    ['a.example.com:5000', 'a.example.com:5000', true],
    ['a.example.com:5000', 'a.example.com', false],
    ['a.example.com', 'a.example.com:5000', false],
    // Podman's entry for a part of a registry is not for all of it.
    ['a.example.com/team', 'a.example.com', false],
    ['https://a.example.com/v1/team', 'a.example.com', false],
    // Look-alikes.
    ['a.example.co', 'a.example.com', false],
    ['a.example.com.evil.org', 'a.example.com', false],
    ['evil-a.example.com', 'a.example.com', false],
    ['https://a.example.com@evil.org/', 'evil.org', false],
    ['index.docker.io.evil.org', 'index.docker.io', false],
    ['__proto__', 'a.example.com', false],
  ])('K06 has a key %s, which is for %s: %s', async (key, registry, found) => {
    const { credentials } = home(`{"auths":{${JSON.stringify(key)}:${JSON.stringify(entry('ann'))}}}`)
    expect(await credentials().find(registry)).toEqual(found ? ann : undefined)
  })

  it('K06 has several keys for a registry: the exact one counts', async () => {
    const auths = { 'https://a.example.com/v1/': entry('old'), 'a.example.com': entry('ann') }
    expect(await home({ auths }).credentials().find('a.example.com')).toEqual(ann)
  })

  it('does not exist', async () => {
    const { credentials, dir } = home({})
    expect(await credentials({ dockerConfig: join(dir, 'none.json') }).find('a.example.com')).toBeUndefined()
    expect(await credentials({ dockerConfig: join(dir, 'config.json/none') }).find('a.example.com')).toBeUndefined()
    expect(await anonymous.find('a.example.com')).toBeUndefined()
  })

  it('is empty', async () => {
    expect(await home('').credentials().find('a.example.com')).toBeUndefined()
  })

  it('is a link, as Kubernetes mounts it', async () => {
    const { credentials, dir, dockerConfig } = home({ auths: { 'a.example.com': entry('ann') } })
    symlinkSync(dockerConfig, join(dir, 'link.json'))
    expect(await credentials({ dockerConfig: join(dir, 'link.json') }).find('a.example.com')).toEqual(ann)
  })

  it.each([
    [`{"auths":{"a":"${secret}"`, 'is not JSON'],
    [`"${secret}"`, 'is not a JSON object'],
    [{ auths: secret }, 'auths is not an object'],
    [{ credHelpers: [secret] }, 'credHelpers is not an object'],
    [{ credsStore: 7 }, 'the helper for a.example.com is not a string'],
  ])('is malformed (%#), and not shown', async (config, why) => {
    const { credentials, dockerConfig } = home(config)
    const line = await refusal(credentials().find('a.example.com'))
    expect(line).toContain(why)
    expect(line).toContain(dockerConfig)
  })

  it('K11 is longer than 1 MB', async () => {
    const { credentials } = home(JSON.stringify({ auths: {}, x: 'x'.repeat(1024 * 1024) }))
    expect(await refusal(credentials().find('a.example.com'))).toContain('is longer than 1048576 bytes')
  })

  it('K11 is a fifo or a directory', async () => {
    const { credentials, dir } = home({})
    execFileSync('mkfifo', [join(dir, 'fifo')])
    for (const name of ['fifo', 'bin']) {
      expect(await refusal(credentials({ dockerConfig: join(dir, name) }).find('a.example.com'))).toContain(
        'is not a regular file',
      )
    }
    expect(await refusal(credentials({ dockerConfig: '/proc/self/mem' }).find('a'))).toContain('/proc/self/mem')
  })

  it('K11 can be read by everybody', async () => {
    const { credentials, dockerConfig, warnings } = home({ auths: { 'a.example.com': entry('ann') } })
    await credentials().find('a.example.com')
    expect(warnings).toEqual([])
    chmodSync(dockerConfig, 0o644)
    const open = credentials()
    expect(await open.find('a.example.com')).toEqual(ann)
    await open.find('b.example.com')
    expect(warnings).toEqual([
      `every user of this machine can read the passwords in ${dockerConfig} | chmod 600 ${dockerConfig}`,
    ])
    const harmless = home({ credsStore: 'x', auths: { 'a.example.com': {} } }, { x: answering('ann') })
    chmodSync(harmless.dockerConfig, 0o644)
    await harmless.credentials().find('a.example.com')
    expect(harmless.warnings).toEqual([])
  })
})

describe('K18 entries for a path in a registry', () => {
  const auths = {
    'a.example.com': entry('registry'),
    'a.example.com/team': entry('team'),
    'a.example.com/team/app': entry('app'),
    'https://a.example.com/slash/': entry('slash'),
    'docker.io/team': entry('hub'),
    'b.example.com/team': entry('team'),
    'b.example.com:5000/team': entry('port'),
    'a.example.com/empty': {},
  }
  const cases: [string, string | undefined][] = [
    ['a.example.com/team/app', 'app'],
    ['a.example.com/team/app/web', 'app'],
    ['a.example.com/team/other', 'team'],
    ['a.example.com/team', 'team'],
    ['a.example.com/slash/app', 'slash'],
    ['a.example.com/empty/app', 'registry'],
    ['a.example.com/app', 'registry'],
    // A prefix of a name is another name.
    ['a.example.com/team-evil/app', 'registry'],
    ['a.example.com/team/application', 'team'],
    ['a.example.com/teams', 'registry'],
    ['b.example.com/team/app', 'team'],
    ['b.example.com/teamwork/app', undefined],
    ['b.example.com/app/team', undefined],
    ['b.example.com', undefined],
    ['b.example.com:5000/team/app', 'port'],
    ['b.example.com:5001/team/app', undefined],
    ['a.example.com.evil.org/team/app', undefined],
    ['index.docker.io/team/app', 'hub'],
    ['index.docker.io/library/app', undefined],
  ]

  it.each(cases)('config.json: of all that fit %s, the longest counts: %s', async (name, user) => {
    const found = await home({ auths }).credentials().find(name)
    expect(found).toEqual(user === undefined ? undefined : { ...ann, username: user })
  })

  it.each(cases.filter(([name]) => !name.includes('/empty/')))('CNB_REGISTRY_AUTH: %s is %s', async (name, user) => {
    const headers = Object.entries(auths).filter(([key]) => !key.endsWith('/empty'))
    const registryAuth = JSON.stringify(
      Object.fromEntries(headers.map(([key, value]) => [key, `Basic ${(value as { auth: string }).auth}`])),
    )
    const found = await dockerCredentials({ registryAuth, path: '' }).find(name)
    expect(found).toEqual(user === undefined ? undefined : { ...ann, username: user })
  })

  it('go before a helper for the whole registry; a helper may be for a path, too', async () => {
    const { credentials, dir } = home(
      {
        auths: { 'a.example.com/team': entry('team') },
        credsStore: 'all',
        credHelpers: { 'a.example.com/secret': 'own' },
      },
      { all: `echo x >> "$HOME/log"; ${answering('all')}`, own: answering('own') },
    )
    const all = credentials({ environment: { HOME: dir } })
    expect(await all.find('a.example.com/team/app')).toMatchObject({ username: 'team' })
    expect(await all.find('a.example.com/secret/app')).toMatchObject({ username: 'own' })
    expect(await all.find('a.example.com/other/app')).toMatchObject({ username: 'all' })
    expect(await all.find('a.example.com/another')).toMatchObject({ username: 'all' })
    expect(readFileSync(join(dir, 'log'), 'utf8')).toBe('x\n')
  })

  it('that are malformed harm no other path, and are not shown', async () => {
    const { credentials } = home({ auths: { 'a.example.com/team': { auth: secret }, 'a.example.com': entry('ann') } })
    expect(await credentials().find('a.example.com/other')).toEqual(ann)
    expect(await refusal(credentials().find('a.example.com/team/app'))).toContain('auths "a.example.com/team"')
  })
})

describe('credential helpers', () => {
  it('K05 are asked before auths, the one for a registry before the one for all', async () => {
    const { credentials } = home(
      {
        credHelpers: { 'a.example.com': 'own' },
        credsStore: 'all',
        auths: { 'a.example.com': entry('auths'), 'b.example.com': entry('auths') },
      },
      { own: answering('own'), all: answering('all') },
    )
    expect(await credentials().find('a.example.com')).toMatchObject({ username: 'own' })
    expect(await credentials().find('b.example.com')).toMatchObject({ username: 'all' })
  })

  it('are told the registry as Docker writes it', async () => {
    const script = `echo "{\\"Username\\":\\"$1 $(cat)\\",\\"Secret\\":\\"x\\"}"`
    const { credentials } = home({ credsStore: 'echo' }, { echo: script })
    expect(await credentials().find('a.example.com:5000')).toMatchObject({ username: 'get a.example.com:5000' })
    expect(await credentials().find('index.docker.io')).toMatchObject({
      username: 'get https://index.docker.io/v1/',
    })
  })

  it('K03 may have an identity token', async () => {
    const { credentials } = home({ credsStore: 'token' }, { token: answering('<token>') })
    expect(await credentials().find('a.example.com')).toEqual({ kind: 'identity-token', token: secret })
  })

  it('that have nothing leave it to auths', async () => {
    const none = 'cat > /dev/null; echo "credentials not found in native keychain"; exit 1'
    const { credentials } = home({ credsStore: 'none', auths: { 'a.example.com': entry('ann') } }, { none })
    expect(await credentials().find('a.example.com')).toEqual(ann)
    expect(await credentials().find('b.example.com')).toBeUndefined()
  })

  it('are asked once for each registry', async () => {
    const { credentials, dir } = home({ credsStore: 'count' }, { count: `echo x >> "$HOME/log"; ${answering('ann')}` })
    const all = credentials({ environment: { HOME: dir } })
    await Promise.all([1, 2, 3].map(() => all.find('a.example.com')))
    await all.find('a.example.com')
    expect(readFileSync(join(dir, 'log'), 'utf8')).toBe('x\n')
  })

  it.each<[string, string | undefined, string]>([
    ['missing', undefined, 'is not in PATH | install docker-credential-test, or remove it from'],
    ['crashing', 'exit 3', 'failed with exit code 3 | run docker-credential-test by hand'],
    ['killed', 'kill -9 $$', 'was killed by SIGKILL'],
    ['hanging', 'sleep 60', 'did not answer within 0.5 s'],
    ['hanging with a child', 'sleep 60 & sleep 60', 'did not answer within 0.5 s'],
    ['of endless output', 'yes', 'answered more than 65536 bytes'],
    ['silent', 'exit 0', 'did not answer with JSON'],
    ['of other JSON', 'echo null', 'answered without Username and Secret'],
    ['without a Secret', `echo '{"Username":"ann"}'`, 'answered without Username and Secret'],
    ['talkative', `echo ${secret} >&2; echo ${secret}; exit 1`, 'failed with exit code 1'],
    ['deaf', `exec < /dev/null; exit 2`, 'failed with exit code 2'],
  ])('K04 that are %s are an error with their name', async (_what, script, why) => {
    const { credentials, dockerConfig } = home({ credsStore: 'test' }, script === undefined ? {} : { test: script })
    const started = performance.now()
    const line = await refusal(credentials({ helperTimeout: 500 }).find('a.example.com'))
    expect(performance.now() - started).toBeLessThan(5_000)
    expect(line).toContain('the credential helper docker-credential-test')
    expect(line).toContain(why)
    expect(line).toContain(dockerConfig)
  })

  it('K04 that hang are ended with all that they started', async () => {
    const script = 'sleep 60 & echo $! > "$HOME/pids"; echo $$ >> "$HOME/pids"; sleep 60'
    const { credentials, dir } = home({ credsStore: 'test' }, { test: script })
    await refusal(credentials({ helperTimeout: 500, environment: { HOME: dir } }).find('a.example.com'))
    const pids = readFileSync(join(dir, 'pids'), 'utf8').trim().split('\n').map(Number)
    expect(pids).toHaveLength(2)
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), 5_000)
  })

  it('K04 that are not executable are an error', async () => {
    const { credentials, dir } = home({ credsStore: 'test' }, { test: 'exit 0' })
    chmodSync(join(dir, 'bin/docker-credential-test'), 0o644)
    expect(await refusal(credentials().find('a.example.com'))).toMatch(/could not be started: EACCES|is not in PATH/)
  })

  it('K12 with a slash in their name are not run', async () => {
    for (const name of ['../evil', '/tmp/evil', 'a/b', '..', '', '-x', 'a b', 'a\nb']) {
      const { credentials } = home({ credHelpers: { 'a.example.com': name } })
      if (name === '') expect(await credentials().find('a.example.com')).toBeUndefined()
      else
        expect(await refusal(credentials().find('a.example.com'))).toContain('is not the name of a credential helper')
    }
  })

  it('are not looked for in relative directories of PATH', async () => {
    const { credentials, dir } = home({ credsStore: 'test' }, { test: answering('ann') })
    // Helpers run in the root directory: from there, this one would be found.
    const path = `.::${join(dir, 'bin').slice(1)}`
    expect(await refusal(credentials({ path }).find('a.example.com'))).toContain('is not in PATH')
  })

  it('get their own environment and none of the build', async () => {
    const { credentials, dir } = home({ credsStore: 'env' }, { env: `env > "$HOME/env"; ${answering('ann')}` })
    const environment = {
      HOME: dir,
      AWS_PROFILE: 'work',
      HTTPS_PROXY: 'http://proxy',
      CNB_REGISTRY_AUTH: secret,
      GITHUB_TOKEN: secret,
      LD_PRELOAD: '/tmp/evil.so',
    }
    await credentials({ environment }).find('a.example.com')
    const env = readFileSync(join(dir, 'env'), 'utf8')
    expect(env).toContain('AWS_PROFILE=work')
    expect(env).toContain('HTTPS_PROXY=http://proxy')
    expect(env).not.toMatch(/hunter2|LD_PRELOAD/)
  })

  it('end when the build is stopped', async () => {
    const { credentials } = home({ credsStore: 'test' }, { test: 'sleep 60' })
    const controller = new AbortController()
    const reason = new BaleError('cancelled', 'stopped')
    setTimeout(() => controller.abort(reason), 100)
    const started = performance.now()
    await expect(credentials().find('a.example.com', controller.signal)).rejects.toBe(reason)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('are not even started when it has been stopped before', async () => {
    const { credentials, dir } = home({ credsStore: 'test' }, { test: 'touch "$HOME/started"; sleep 60' })
    const reason = new BaleError('cancelled', 'stopped')
    const asked = credentials({ environment: { HOME: dir } }).find('a.example.com', AbortSignal.abort(reason))
    await expect(asked).rejects.toBe(reason)
    expect(existsSync(join(dir, 'started'))).toBe(false)
  })

  it('that failed are asked again', async () => {
    const script = `test -e "$HOME/ready" || { touch "$HOME/ready"; exit 1; }; ${answering('ann')}`
    const { credentials, dir } = home({ credsStore: 'test' }, { test: script })
    const all = credentials({ environment: { HOME: dir } })
    expect(await refusal(all.find('a.example.com'))).toContain('failed with exit code 1')
    expect(await all.find('a.example.com')).toEqual(ann)
  })
})

describe('helpers that need no entry in config.json', () => {
  const ecr = '123456789012.dkr.ecr.eu-central-1.amazonaws.com'

  it.each([
    ['ecr', 'ecr-login', ecr],
    ['ecr', 'ecr-login', 'public.ecr.aws'],
    ['google', 'gcr', 'eu.gcr.io'],
    ['google', 'gcr', 'europe-west1-docker.pkg.dev'],
    ['acr', 'acr-env', 'team.azurecr.io'],
  ] as const)('%s asks docker-credential-%s for %s', async (name, program, registry) => {
    const { credentials } = home({}, { [program]: answering('ann') })
    expect(await credentials({ knownHelpers: [name] }).find(`${registry}/app`)).toEqual(ann)
    expect(await credentials().find(`${registry}/app`)).toBeUndefined()
  })

  it('are not asked for other registries, nor for those that config.json has a credential for', async () => {
    const { credentials } = home({ auths: { [ecr]: entry('bob') } }, { 'ecr-login': 'exit 3', gcr: 'exit 3' })
    const all = credentials({ knownHelpers: ['ecr', 'google', 'acr', 'gitlab'] })
    for (const name of ['registry.test/app', 'ecr.amazonaws.com.evil.test/app', 'gcr.io.evil.test/app'])
      expect(await all.find(name), name).toBeUndefined()
    expect(await all.find(`${ecr}/app`)).toEqual({ kind: 'password', username: 'bob', password: secret })
  })

  it('give anonymous access with one warning if they fail, as the image may be public', async () => {
    const warnings: string[] = []
    const { credentials } = home({}, { 'ecr-login': 'exit 1' })
    const all = credentials({ knownHelpers: ['ecr'], warn: text => void warnings.push(text) })
    expect(await all.find(`${ecr}/app`)).toBeUndefined()
    expect(await all.find(`${ecr}/other`)).toBeUndefined()
    expect(warnings).toEqual([
      `the credential helper docker-credential-ecr-login failed with exit code 1, so access to ${ecr} is anonymous`,
    ])
  })

  it('name the flag if the program is missing', async () => {
    const { credentials } = home({})
    expect(await failureOf(credentials({ knownHelpers: ['ecr'] }).find(`${ecr}/app`))).toMatchObject({
      code: 'credentials',
      message: 'the credential helper docker-credential-ecr-login is not in PATH',
      fix: 'install docker-credential-ecr-login, or remove it from --credential-helpers',
    })
  })

  it('gitlab is the login of the job, for its own registry only', async () => {
    const environment = { CI_REGISTRY: 'registry.test:5050', CI_REGISTRY_USER: 'ann', CI_REGISTRY_PASSWORD: secret }
    const { credentials } = home({})
    const job = credentials({ knownHelpers: ['gitlab'], environment })
    expect(await job.find('registry.test:5050/team/app')).toEqual(ann)
    expect(await job.find('registry.test/team/app')).toBeUndefined()
    expect(await credentials({ environment }).find('registry.test:5050/team/app')).toBeUndefined()
  })
})
