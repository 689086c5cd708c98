import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { caCertificates } from '../../buildpacks/ca-certificates/ca-certificates.ts'
import { launchScript } from '../../buildpacks/ca-certificates/launch-script.ts'
import { bindingsOf } from '../../buildpacks/sdk/bindings.ts'
import { TestProject } from '../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const dir = join(import.meta.dirname, '../../buildpacks/ca-certificates')
const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----`

async function project(bindings: Record<string, string>, env: Record<string, string> = {}): Promise<TestProject> {
  const made = await TestProject.create({ buildpack: caCertificates, dir, app: {}, env })
  onTestFinished(() => made[Symbol.asyncDispose]())
  for (const [path, content] of Object.entries(bindings)) {
    const file = join(made.root, 'platform/bindings', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
  }
  return made
}
const corporate = {
  'corporate/type': 'ca-certificates\n',
  'corporate/root.pem': pem('ROOT'),
  'corporate/provider': 'us',
}

/** Runs the program of exec.d, and returns the bundle that it names. */
async function launch(script: string, env: Record<string, string>) {
  const tmp = await temporaryDirectory()
  const file = join(tmp, 'script')
  await writeFile(file, script)
  await chmod(file, 0o755)
  const { status, stderr, output } = spawnSync(file, [], {
    env: { PATH: process.env['PATH'], TMPDIR: tmp, ...env },
    stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
    encoding: 'utf8',
  })
  const [, bundle] = /^SSL_CERT_FILE = "(.*)"$/m.exec(output[3] ?? '') ?? []
  return { status, stderr, toml: output[3] ?? '', bundle: bundle === undefined ? '' : await readFile(bundle, 'utf8') }
}

describe('the ca-certificates buildpack', () => {
  it('takes no part without a binding of its type', async () => {
    expect((await (await project({})).detect()).exitCode).toBe(100)
    expect((await (await project({ 'db/type': 'postgresql', 'db/ca.pem': pem('DB') })).detect()).exitCode).toBe(100)
  })

  it('lets later buildpacks trust a binding beside what they trust anyway', async () => {
    const base = join(await temporaryDirectory(), 'base.crt')
    await writeFile(base, pem('SYSTEM'))
    const p = await project(corporate, { SSL_CERT_FILE: base })
    expect((await p.detect()).output).toContain('a binding has corporate/root.pem')
    const { layers, exitCode, output } = await p.build()
    expect(exitCode, output).toBe(0)
    expect(layers['build-bundle']?.types).toEqual({ build: true, cache: false, launch: false })
    expect(await p.read('layers/build-bundle/ca-certificates.crt')).toBe(`${pem('SYSTEM')}\n${pem('ROOT')}\n`)
    expect(await p.read('layers/build-bundle/env.build/NODE_EXTRA_CA_CERTS.override')).toBe(
      join(p.layersDir, 'build-bundle/ca-certificates.crt'),
    )
    // A binding is for the build, unless it is to be in the image.
    expect(await p.read('layers/certificates/embedded.crt')).toBe('')
  })

  it('refuses to trust the binding alone where the bundle that SSL_CERT_FILE names is not there', async () => {
    const p = await project(corporate, { SSL_CERT_FILE: '/nonexistent.crt' })
    const { exitCode, output } = await p.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('SSL_CERT_FILE: /nonexistent.crt cannot be read')
  })

  it('embeds certificates where BP_EMBED_CERTS says so', async () => {
    const p = await project(corporate, { BP_EMBED_CERTS: 'true', BP_RUNTIME_CERT_BINDING_DISABLED: 'true' })
    await p.build()
    expect(await p.read('layers/certificates/embedded.crt')).toBe(`${pem('ROOT')}\n`)
  })

  it('puts nothing into the image where bindings at run time are switched off', async () => {
    const p = await project(corporate, { BP_ENABLE_RUNTIME_CERT_BINDING: 'false' })
    expect(Object.keys((await p.build()).layers)).toEqual(['build-bundle'])
  })

  it('takes part for the run time alone', async () => {
    const p = await project({}, { BP_ENABLE_RUNTIME_CERT_BINDING: 'true' })
    expect((await p.detect()).exitCode).toBe(0)
    expect(Object.keys((await p.build()).layers)).toEqual(['certificates'])
  })

  it('refuses a binding without a certificate', async () => {
    const { exitCode, output } = await (await project({ ...corporate, 'corporate/key.pem': 'secret' })).detect()
    expect(exitCode).toBe(1)
    expect(output).toContain('the binding corporate/key.pem: holds no certificate')
    expect(output).not.toContain('secret')
  })
})

describe('the program of exec.d', () => {
  it('joins the certificates of the image, of the build and of bindings', async () => {
    const root = await temporaryDirectory()
    await writeTree(root, {
      'base.crt': pem('SYSTEM'),
      'embedded.crt': pem('EMBEDDED'),
      'bindings/a/type': ' CA-certificates \r\n',
      'bindings/a/one.pem': pem('ONE'),
      'bindings/b/type': 'other',
      'bindings/b/two.pem': pem('TWO'),
    })
    const env = { SSL_CERT_FILE: join(root, 'base.crt'), SERVICE_BINDING_ROOT: join(root, 'bindings') }
    const { status, bundle, toml } = await launch(launchScript(join(root, 'embedded.crt')), env)
    expect(status).toBe(0)
    expect(bundle.match(/^[A-Z]+$/gm)).toEqual(['SYSTEM', 'EMBEDDED', 'ONE'])
    expect(toml).toContain('NODE_EXTRA_CA_CERTS = "')
  })

  it('changes nothing without certificates, and ends the start for a binding that holds none', async () => {
    const root = await temporaryDirectory()
    expect(await launch(launchScript(''), { SERVICE_BINDING_ROOT: root })).toMatchObject({ status: 0, toml: '' })
    await writeTree(root, { 'a/type': 'ca-certificates', 'a/x': 'nothing' })
    const { status, stderr } = await launch(launchScript(''), { SERVICE_BINDING_ROOT: root })
    expect(status).toBe(1)
    expect(stderr).toBe(`Error: ${root}/a/x contains no certificate in PEM format\n`)
  })
})

describe('bindingsOf', () => {
  it('reads Kubernetes’ projected files, and nothing that is not a file', async () => {
    const root = await temporaryDirectory()
    await writeTree(root, {
      'k8s/..2026/type': 'Npmrc\n',
      'k8s/..2026/.npmrc': 'registry=x\n',
      'k8s/..data': { link: '..2026' },
      'k8s/type': { link: '..data/type' },
      'k8s/.npmrc': { link: '..data/.npmrc' },
      'other/type/x': '',
    })
    const found = await bindingsOf({ env: { SERVICE_BINDING_ROOT: root }, platformDir: '/nonexistent' }, 'npmrc')
    expect(found.map(({ name, keys }) => [name, keys])).toEqual([['k8s', ['.npmrc']]])
    expect(await found[0]?.read('.npmrc')).toBe('registry=x')
  })
})
