import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sayUnreadSettings } from '../../lifecycle/platform/unread-settings.ts'
import { parseBuildpack } from '../../lifecycle/spec/buildpack.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { recorder } from '../phases/harness.ts'

/** What is said of these variables; `reads` has the settings of each buildpack of the group, undefined for one that does not say. */
async function saidOf(
  env: Record<string, string>,
  reads: Record<string, readonly string[] | undefined>,
  secrets: readonly { id: string; type: string }[] = [],
) {
  const root = await temporaryDirectory()
  const group = Object.keys(reads).map(id => ({ id, version: '1.0.0', api: '0.10' }))
  for (const [id, names] of Object.entries(reads))
    await writeTree(
      root,
      names === undefined ? { [`${id}/x`]: '' } : { [`${id}/settings.json`]: JSON.stringify(names) },
    )
  const buildpacks = group.map(({ id }) => ({
    descriptor: parseBuildpack(`api = "0.10"\n[buildpack]\nid = "${id}"\nversion = "1.0.0"\n`, 'buildpack.toml'),
    dir: join(root, id),
  }))
  const reporter = recorder()
  await sayUnreadSettings(env, group, { buildpacks }, reporter, secrets)
  return reporter.events.flatMap(e => (e.type === 'warning' ? [e.text] : []))
}

describe('settings of other builders', () => {
  const reads = { node: ['BP_NODE_VERSION'], procfile: ['GOOGLE_ENTRYPOINT'] }

  it('are said to be there where no buildpack of the build reads them', async () => {
    const env = {
      BP_NODE_VERSOIN: '22',
      GOOGLE_ENTRYPOINT: 'x',
      BPE_APPEND_PATH: ':/x',
      OTHER: '',
    }
    expect(await saidOf(env, reads)).toEqual([
      'BPE_APPEND_PATH, BP_NODE_VERSOIN: set, but no buildpack of this build reads them',
    ])
  })

  it('that cannot be read are said alone, with what does the same', async () => {
    expect(await saidOf({ RAILPACK_PACKAGES: 'node@22', BP_NODE_VERSION: '22' }, reads)).toEqual([
      'RAILPACK_PACKAGES is set but not used',
    ])
    const others = { BP_DEBUG_ENABLED: 'true', BP_DATADOG_ENABLED: 'true' }
    expect(await saidOf(others, reads)).toEqual([
      'BP_DATADOG_ENABLED is set but not used',
      'BP_DEBUG_ENABLED is set but not used',
    ])
    // A buildpack may read one of them after all.
    expect(await saidOf({ BP_DATADOG_ENABLED: 'true' }, { java: ['BP_DATADOG_ENABLED'] })).toEqual([])
    expect(await saidOf({ BP_NGINX_VERSION: '1.27' }, { nginx: ['BP_NGINX_VERSION'] })).toEqual([])
  })

  it('are not spoken of where all are read, or a buildpack does not say what it reads', async () => {
    expect(await saidOf({ BP_NODE_VERSION: '22', NODE_ENV: 'x' }, reads)).toEqual([])
    expect(await saidOf({ BP_X: '' }, { ...reads, other: undefined })).toEqual([])
  })

  it('may begin as a buildpack says, which puts their names together', async () => {
    const environment = ['BPE_', 'GOOGLE_LABEL_', 'BP_IMAGE_LABELS']
    const env = { BPE_FOO: '1', BPE_APPEND_PATH: ':/x', GOOGLE_LABEL_team: 'a', BP_IMAGE_LABELS_X: '' }
    expect(await saidOf(env, { environment })).toEqual([
      'BP_IMAGE_LABELS_X: set, but no buildpack of this build reads it',
    ])
  })
})

describe('bindings', () => {
  const reads = { php: ['BP_PHP_VERSION', 'binding:composer'] }

  it('are said to be there where no buildpack of the build reads their type', async () => {
    const secrets = [
      { id: 'auth', type: 'Composer' },
      { id: 'login', type: 'compozer' },
      // For a script of the application.
      { id: 'token', type: 'token' },
    ]
    expect(await saidOf({}, reads, secrets)).toEqual([
      'the secret login is a binding of type compozer, which no buildpack of this build reads',
    ])
    expect(await saidOf({}, { ...reads, other: undefined }, secrets)).toEqual([])
  })
})
