import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import {
  bindingsOf,
  type BuildContext,
  BuildpackError,
  type Context,
  defineBuildpack,
  digestOf,
  fail,
  isSet,
  override,
  pass,
} from '../sdk/index.ts'
import { launchScript, variables } from './launch-script.ts'

const systemBundle = '/etc/ssl/certs/ca-certificates.crt'

export const caCertificates = defineBuildpack({
  async detect(context) {
    const certificates = await readCertificates(context)
    if (certificates.length > 0) return pass(`a binding has ${certificates.map(({ name }) => name).join(', ')}`)
    if (isSet(context.env, 'BP_ENABLE_RUNTIME_CERT_BINDING') && atLaunch(context)) {
      return pass('BP_ENABLE_RUNTIME_CERT_BINDING enables bindings of the type ca-certificates at run time')
    }
    return fail('there is no binding of the type ca-certificates')
  },

  async build(context) {
    context.log.heading('CA certificates')
    const certificates = await readCertificates(context)
    if (certificates.length > 0) await trustInBuild(context, certificates)
    const embedded = isSet(context.env, 'BP_EMBED_CERTS') ? certificates : []
    if (atLaunch(context) || embedded.length > 0) await trustAtLaunch(context, embedded)
    return {}
  },
})

interface Certificate {
  /** `binding/key`, for messages. */
  readonly name: string
  readonly pem: string
}

/** @throws BuildpackError for a file that holds no certificate */
async function readCertificates(context: Context): Promise<Certificate[]> {
  const found: Certificate[] = []
  for (const binding of await bindingsOf(context, 'ca-certificates')) {
    for (const key of binding.keys) {
      const name = `${binding.name}/${key}`
      const pem = (await binding.read(key)) ?? ''
      if (!/^-----BEGIN (TRUSTED )?CERTIFICATE-----$/m.test(pem)) {
        throw new BuildpackError('holds no certificate', {
          where: `the binding ${name}`,
          fix: 'give it certificates in PEM format, which begin with -----BEGIN CERTIFICATE-----',
        })
      }
      found.push({ name, pem })
    }
  }
  return found
}

function atLaunch({ env }: Context): boolean {
  const { BP_ENABLE_RUNTIME_CERT_BINDING: enabled = 'true' } = env
  return enabled.toLowerCase() !== 'false' && !isSet(env, 'BP_RUNTIME_CERT_BINDING_DISABLED')
}

/** Later buildpacks trust the certificates in addition to their usual ones. */
async function trustInBuild({ env, layer, log }: BuildContext, certificates: readonly Certificate[]): Promise<void> {
  for (const { name } of certificates) log.info(`Trusting ${name}`)
  const own = env['SSL_CERT_FILE'] || undefined
  const base = await readFile(own ?? systemBundle, 'utf8').catch((cause: unknown) => {
    // Without a bundle of its own, the build image trusts no certificates yet.
    if (own === undefined && isErrno(cause, 'ENOENT')) return ''
    throw new BuildpackError(`${own ?? systemBundle} cannot be read`, { where: 'SSL_CERT_FILE', cause })
  })
  const bundle = textOf([base.trim(), ...certificates.map(({ pem }) => pem)])
  await layer('build-bundle', {
    types: { build: true },
    key: { Certificates: digestOf(bundle) },
    create: async dir => {
      const file = join(dir, 'ca-certificates.crt')
      await writeFile(file, bundle)
      return { env: { build: Object.fromEntries(variables.map(name => [name, override(file)])) } }
    },
  })
}

/** The application's bundle is created at its start, since a rebase updates the run image's own certificates. */
async function trustAtLaunch({ layer }: BuildContext, embedded: readonly Certificate[]): Promise<void> {
  const pems = textOf(embedded.map(({ pem }) => pem))
  await layer('certificates', {
    title:
      embedded.length === 0 ? 'the helper that trusts certificates at run time' : `${embedded.length} CA certificates`,
    types: { launch: true },
    key: { Certificates: digestOf(pems), Script: digestOf(launchScript('')) },
    create: async dir => {
      const file = join(dir, 'embedded.crt')
      const script = join(dir, 'exec.d', 'ca-certificates')
      await writeFile(file, pems)
      await mkdir(join(dir, 'exec.d'))
      await writeFile(script, launchScript(file))
      await chmod(script, 0o755)
    },
  })
}

const textOf = (pems: readonly string[]): string => pems.map(pem => `${pem}\n`).join('')
