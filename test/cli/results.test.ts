import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkResultFiles, writeResultFiles } from '../../lifecycle/cli/commands/result-files.ts'
import { jsonReporter } from '../../lifecycle/cli/render/json.ts'
import { readPairs } from '../../lifecycle/cli/variables.ts'
import { makeAppImage } from '../../lifecycle/image/app-image.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

describe('files for later steps of a job', () => {
  const digest = `sha256:${'a'.repeat(64)}` as const
  const report = { tags: [], digest, imageId: digest, manifestSize: 1 }

  it('have the digest, and each name with it', async () => {
    const dir = await temporaryDirectory()
    const options = {
      digestFile: `${dir}/new/no/../digest`,
      imageNameWithDigestFile: join(dir, 'names'),
      imageNameTagWithDigestFile: join(dir, 'tags'),
    }
    await checkResultFiles(options, 'app')
    await writeResultFiles(options, ['localhost:5000/app:1', 'localhost:5000/app:2', 'r.test/app:1'], report)
    expect(await readFile(join(dir, 'new/digest'), 'utf8')).toBe(digest)
    expect(await readFile(options.imageNameWithDigestFile, 'utf8')).toBe(
      `localhost:5000/app@${digest}\nr.test/app@${digest}\n`,
    )
    expect(await readFile(options.imageNameTagWithDigestFile, 'utf8')).toContain(`r.test/app:1@${digest}\n`)
  })

  it('are an error before the build where they cannot be', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'file'), '')
    await mkdir(join(dir, 'sub'))
    expect(await failureOf(checkResultFiles({ digestFile: join(dir, 'file/digest') }, 'app'))).toMatchObject({
      code: 'filesystem',
    })
  })

  it.each(['docker-daemon:app', 'docker-archive:app.tar'])('are an error before a build to %s', async image => {
    expect(await failureOf(checkResultFiles({ digestFile: '/x/y' }, image))).toMatchObject({ where: '--digest-file' })
    await checkResultFiles({}, image)
  })

  it('are an error for an image without a digest', async () => {
    const { digest: _none, ...rest } = report
    expect(await failureOf(writeResultFiles({ digestFile: '/x' }, [], rest))).toMatchObject({ code: 'arguments' })
  })
})

describe('labels and annotations', () => {
  it('are the image’s and its manifest’s', () => {
    const run = makeImage(configOf(), [])
    const options = { labels: { a: 'b' }, env: {}, entrypoint: '/x', workingDir: '/', created: '1980-01-01T00:00:01Z' }
    const image = makeAppImage(run, [], { ...options, annotations: { 'org.opencontainers.image.revision': 'r' } })
    expect(image.config.config?.Labels).toMatchObject({ a: 'b' })
    expect(image.manifest.annotations).toEqual({ 'org.opencontainers.image.revision': 'r' })
    expect(makeAppImage(run, [], options).manifest).not.toHaveProperty('annotations')
  })

  it('are refused where they are malformed, or the lifecycle’s', () => {
    expect(readPairs(['a=b=c', 'd='], '--label')).toEqual({ a: 'b=c', d: '' })
    for (const text of ['a', '=b', 'io.buildpacks.x=y'])
      expect(() => readPairs([text], '--label')).toThrow(/has no value|for the lifecycle/)
  })
})

it('events are lines of JSON with their time', () => {
  const lines: string[] = []
  const now = () => new Date(0)
  const reporter = jsonReporter({ write: text => lines.push(text), now })
  reporter.event({ type: 'warning', text: 'two\nlines' })
  reporter.event({ type: 'transfer', direction: 'push', id: 'x', name: 'x', done: 1 })
  expect(lines).toEqual(['{"time":"1970-01-01T00:00:00.000Z","type":"warning","text":"two\\nlines"}\n'])
})
